# SPDX-License-Identifier: Apache-2.0
"""The software bill of materials: CycloneDX 1.6 JSON, a pure function of what went into the image.

No clock and no random serial number: the serial (RFC 9562 UUID) is made of the content, so the
same image has the same SBOM, and its digest can stand in the signed image.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

MIT = "MIT"
APACHE = "Apache-2.0"
_NAMESPACE = uuid.UUID("6c1f2c1e-6a0b-5d0e-9b52-6f2f0d8f3c11")  # of this file's serial numbers


@dataclass(frozen=True, slots=True)
class Part:
    """Something the image is made of. `digest` is a SHA-256: of a tree's lock, or of a file."""

    kind: str  # "library", "file", "firmware": a component type of CycloneDX
    name: str
    version: str
    digest: bytes
    licence: str = ""  # SPDX id
    says: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that made the image and is not in it."""

    name: str
    version: str


def prepare() -> None:
    """Import what `sbom` needs: for a caller that waits for something else meanwhile."""
    import cyclonedx.model.bom  # noqa: PLC0415
    import cyclonedx.output.json  # noqa: F401, PLC0415


def sbom(appliance: Part, parts: Sequence[Part], tools: Sequence[Tool]) -> bytes:
    """The document in UTF-8, its keys sorted; the same arguments give the same bytes."""
    # The library takes half a second to import.
    from cyclonedx.model.bom import Bom, BomMetaData  # noqa: PLC0415
    from cyclonedx.model.tool import ToolRepository  # noqa: PLC0415
    from cyclonedx.output.json import JsonV1Dot6  # noqa: PLC0415

    root = _component(appliance)
    components = [_component(part) for part in parts]
    metadata = BomMetaData(
        component=root, tools=ToolRepository(components=[_tool(tool) for tool in tools])
    )
    bom = Bom(metadata=metadata, components=components)
    bom.register_dependency(root, components)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    # The library always writes the present time, and a random serial number.
    del document["metadata"]["timestamp"], document["serialNumber"]
    content = json.dumps(document, sort_keys=True).encode()
    document["serialNumber"] = uuid.uuid5(_NAMESPACE, hashlib.sha256(content).hexdigest()).urn
    return (json.dumps(document, sort_keys=True, indent=2) + "\n").encode()


def _component(part: Part) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType  # noqa: PLC0415
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415
    from cyclonedx.model.license import DisjunctiveLicense  # noqa: PLC0415

    return Component(
        type=ComponentType(part.kind),
        name=part.name,
        version=part.version or None,
        bom_ref=f"{part.kind}:{part.name}",
        description=part.says or None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.digest.hex())],
        licenses=[DisjunctiveLicense(id=part.licence)] if part.licence else (),
    )


def _tool(tool: Tool) -> Component:
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415

    return Component(
        type=ComponentType.APPLICATION,
        name=tool.name,
        version=tool.version,
        bom_ref=f"tool:{tool.name}",
    )
