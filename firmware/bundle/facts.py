# SPDX-License-Identifier: Apache-2.0
"""`bundle.json`: what a bundle is, holds, and was made from."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from firmware.appliance.profile import Profile

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^(elf/)?[a-z][a-z_]*(\.[a-z0-9]+)+$")]
Count = Annotated[int, Field(ge=0)]


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Sizes(_Facts):
    """Flash, in bytes. `image`: slot A's, signed; `monitor`: with its drivers and the services."""

    boot: Count
    monitor: Count
    vm: Count
    bytecode: Count
    tables: Count
    image: Count


class Ram(_Facts):
    """RAM, in bytes: the monitor with its stack and queues, and each enclave's own memory."""

    monitor: Count
    enclaves: dict[str, Count]


class Digests(_Facts):
    """SHA-256, hex: the images' own (their TLV 0x10) and the flow policy document's."""

    image_a: Digest
    image_b: Digest
    policy: Digest


class Files(_Facts):
    """File names inside the bundle."""

    slot_a: FileName = "slot_a.bin"
    slot_b: FileName = "slot_b.bin"
    boot: FileName = "boot.elf"
    sbom: FileName = "sbom.json"
    corim: FileName = "corim.cbor"
    policy: FileName = "policy.cbor"
    provenance: FileName = "provenance.intoto.jsonl"


class Enclave(_Facts):
    """An enclave and the SHA-256 of its code."""

    name: str
    digest: Digest


class Reference(_Facts):
    """What a device that runs this must prove, beside `digests`. Hex; digests are SHA-256."""

    implementation_id: Digest  # 32 bytes, padded with NUL
    boot: Digest
    runtime: Digest
    signer_id: Digest
    enclaves: tuple[Enclave, ...] = Field(strict=False)  # in the manifest's order
    radio: Digest | None = None  # of the radio module's firmware


class Facts(_Facts):
    """`bundle.json`."""

    format: Literal[1]
    appliance: str
    version: str
    profile: Profile
    board: str
    security_counter: Count
    sizes: Sizes
    ram: Ram
    digests: Digests
    reference: Reference
    inputs: dict[str, Digest]  # trees by name, modules by file name
    switches: dict[str, str]  # of the virtual machine
    tools: dict[str, str]  # name to version
    files: Files
    contents: dict[FileName, Digest]  # every file but this one

    def text(self) -> bytes:
        """The file's bytes: a function of the facts alone."""
        return (json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=2) + "\n").encode()

    def inspection(self) -> dict[str, object]:
        """What `coffret inspect --json` prints; scripts rely on it."""
        keys = {"appliance", "version", "board", "sizes", "ram", "digests", "files"}
        return self.model_dump(mode="json", include=keys)
