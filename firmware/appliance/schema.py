# SPDX-License-Identifier: Apache-2.0
"""The tables of `appliance.toml`, as people write them. docs/manifest.md explains each key.

A field's description is what `coffret check` prints as the mend when its value is wrong.
"""

from __future__ import annotations

import re
import struct
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    model_validator,
)

from enclaves import budgets
from enclaves.tags import is_tag_name
from firmware.appliance.profile import DEFAULT, Profile

MAX_MESSAGE_BYTES = 1024
_NAME = re.compile(r"[a-z][a-z0-9_]{0,23}")
_VERSION = re.compile(
    r"(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,4})(\+[0-9]{1,9})?"
)
_UNITS = {"": 1, "K": 1024, "M": 1024 * 1024}
_SIZE = re.compile(r"([0-9]{1,9}) ?(K|M)?(?:i?B)?")
# What MicroPython's `struct` packs too; the byte order must be said, so that sizes are fixed.
_FORMAT = re.compile(r"[<>](?:[0-9]{0,3}[bBhHiIlLqQfdsx])+")


def check_name(text: str) -> str:
    """`text` if it is a name. Raises ValueError."""
    if _NAME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a name")
    return text


def _tag_name(text: str) -> str:
    if not is_tag_name(text):
        raise ValueError(f"{text!r} is not a tag name")
    return text


def _version(text: str) -> str:
    match = _VERSION.fullmatch(text)
    if match is None or int(match[1]) > 255 or int(match[2]) > 255 or int(match[3]) > 65535:
        raise ValueError(f"{text!r} is not MAJOR.MINOR.PATCH (at most 255.255.65535)")
    return text


def _relative(text: str) -> str:
    if not text or text.startswith("/") or "\\" in text or re.match(r"[A-Za-z]:", text):
        raise ValueError(f"{text!r} is not a path from the manifest's folder")
    return text


def _module(text: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,30}\.py", text.rsplit("/", 1)[-1]):
        raise ValueError(f"{text!r} is not a Python file with an importable lower-case name")
    return text


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(f'{value!r} is not a size such as 8192 or "8K"')
    return int(match[1]) * _UNITS[match[2] or ""]


def _power_of_two(size: int) -> int:
    if size & size - 1:
        raise ValueError(f"{size} is no power of two")
    return size


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str | dict) else value


def _message(text: str) -> str:
    if text != "bytes" and _FORMAT.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a message type")
    return text


def _rate(text: str) -> str:
    budgets.parse_rate(text)
    return text


Name = Annotated[str, AfterValidator(check_name)]
TagName = Annotated[str, AfterValidator(_tag_name)]
RelativePath = Annotated[str, AfterValidator(_relative)]
Tags = Annotated[tuple[TagName, ...], Strict(False)]
Names = Annotated[tuple[Name, ...], Strict(False)]
Size = Annotated[int, BeforeValidator(_size)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

_TAGS = 'a list of tags declared as [tag."NAME"], such as ["alice/health"]'
NAMES = "a name of at most 24 lower-case letters, digits and _, beginning with a letter"


class Table(BaseModel):
    """A table of the manifest: unknown keys are errors, values are not converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Appliance(Table):
    """`[appliance]`."""

    name: Name = Field(description=NAMES)
    version: Annotated[str, AfterValidator(_version)] = Field(
        description='a version such as "1.0.0", or "1.0.0+7" with a build number'
    )
    security_counter: int = Field(
        default=0,
        ge=0,
        le=0x7FFFFFFF,
        description="a whole number from 0 that never falls; raise it to forbid older versions",
    )
    profile: Profile = Field(default=DEFAULT, description='"release" or "debug"')
    revokes_below: int = Field(
        default=0,
        ge=0,
        le=0xFFFF,
        description="a generation of signing keys: older ones are revoked once this is confirmed",
    )
    log: Annotated[Size, AfterValidator(_power_of_two)] | None = Field(
        default=None,
        ge=512,
        le=16 * 1024,
        description='memory for the log, a power of two: "1K", from 512 to "16K"',
    )
    delta_updates: bool = Field(
        default=False,
        description="true: a board that runs it takes updates as the difference to it",
    )
    pairwise: bool = Field(
        default=False,
        description="true: the device can show each verifier an identity of its own",
    )


class Requires(Table):
    """`[requires]`: what the board must have."""

    devices: Names = Field(default=(), description='a list of device names, such as ["usb"]')


class Package(Table):
    """`[package.NAME]`: Python that is not the appliance's own, pinned."""

    folder: RelativePath | None = Field(
        default=None, description='a folder of modules, such as "vendor/filters"; or `wheel`'
    )
    wheel: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!-]*$",
        description='a project and its version, such as "micro-filters==1.2"; or `folder`',
    )
    sha256: Sha256 = Field(
        description="64 hex digits: SHA-256 of the wheel, or the folder's digest"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Package:
        if (self.folder is None) == (self.wheel is None):
            raise ValueError("give either `folder` or `wheel`")
        return self


class Radio(Table):
    """`[radio]`: the firmware of the board's radio module, pinned."""

    firmware: RelativePath = Field(
        description='the file that goes to the radio module, such as "nina-fw.bin"'
    )
    sha256: Sha256 = Field(description="64 hex digits: SHA-256 of that file")


class Owner(Table):
    """`[owner.NAME]`."""

    key: RelativePath = Field(
        description='the PEM file of the owner\'s public key, such as "keys/alice.pem"'
    )


class Tag(Table):
    """`[tag."NAME"]`."""

    says: Annotated[str, Field(min_length=1, max_length=100)] = Field(
        description='what the data is, in plain words, such as "Alice\'s heart rate"'
    )
    owner: Annotated[tuple[Name, ...], Strict(False), BeforeValidator(_one_or_more)] = Field(
        min_length=1, description='who may grant its release, such as ["alice"], see [owner.NAME]'
    )


class _Gate(Table):
    """What releasing and vouching have in common."""

    tag: TagName | None = Field(default=None, description="one tag declared as [tag.NAME]")
    tags: Tags = Field(default=(), description=_TAGS)
    name: Name = Field(alias="as", description=NAMES)
    at_most: Annotated[str, AfterValidator(_rate)] = Field(
        description='a rate: N/second, N/minute, N/hour, N/day or N/week, such as "1/day"'
    )
    bytes: int = Field(
        ge=1,
        le=MAX_MESSAGE_BYTES,
        description=f"the most bytes of one message, 1 to {MAX_MESSAGE_BYTES}",
    )
    grant: Annotated[tuple[RelativePath, ...], Strict(False), BeforeValidator(_one_or_more)] = (
        Field(
            default=(),
            description='the file (or files) that the owner signed, such as "grants/weekly.cose"',
        )
    )

    @model_validator(mode="after")
    def _one_of_tag_and_tags(self) -> _Gate:
        if (self.tag is None) == (not self.tags):
            raise ValueError("needs either `tag` or `tags`")
        return self

    @property
    def all_tags(self) -> tuple[str, ...]:
        """`tag` or `tags`."""
        return self.tags if self.tag is None else (self.tag,)


class Release(_Gate):
    """`may_release`."""

    raw: bool = Field(
        default=False,
        description="true if the code may pass a labelled message on as it came, else false",
    )


class Vouch(_Gate):
    """`may_vouch`."""


class Role(Table):
    """`[enclave.NAME.role.ROLE]`: one label of a worker, beside what its enclave says."""

    sees: Tags = Field(default=(), description=_TAGS)
    makes: Tags = Field(default=(), description=_TAGS)
    trusts: Tags = Field(default=(), description=_TAGS)
    vouched: Tags = Field(default=(), description=_TAGS)


class Enclave(Table):
    """`[enclave.NAME]`."""

    module: Annotated[RelativePath, AfterValidator(_module)] = Field(
        description='the enclave\'s Python file, such as "sensor.py"'
    )
    sees: Tags = Field(default=(), description=_TAGS)
    makes: Tags = Field(default=(), description=_TAGS)
    trusts: Tags = Field(default=(), description=_TAGS)
    vouched: Tags = Field(default=(), description=_TAGS)
    heap: Size = Field(
        default=16 * 1024, ge=2048, le=1 << 20, description='a size such as "16K", 2K to 1M'
    )
    stack: Size = Field(
        default=4 * 1024, ge=2048, le=1 << 20, description='a size such as "4K", from 2K'
    )
    priority: int = Field(default=8, ge=0, le=15, description="0 (first) to 15 (last)")
    restart: Literal["always", "on-fault", "never"] = Field(
        default="on-fault", description='"always", "on-fault" or "never"'
    )
    backoff_ms: int = Field(
        default=100,
        ge=1,
        le=60_000,
        description="milliseconds before the first restart, 1 to 60000",
    )
    runs: Literal["always", "worker", "summoned"] = Field(
        default="always",
        description='"always", "worker" (while there are messages for it) or "summoned" (for one)',
    )
    role: dict[Name, Role] = Field(
        default_factory=dict,
        description="tables [enclave.NAME.role.ROLE], the labels that a worker may run with",
    )
    apart: bool = Field(
        default=False,
        description="true where each role has memory of its own, so that none waits for another",
    )
    supervises: Annotated[tuple[str, ...], Strict(False)] = Field(
        default=(), description='enclaves whose faults it is told, such as ["diary"]'
    )
    slice_ms: int | None = Field(
        default=None,
        ge=2,
        le=1000,
        description="milliseconds of its fixed time slice, 2 to 1000; all enclaves or none",
    )
    devices: Names = Field(
        default=(), description='devices and pins of the board, such as ["uart2", "led0"]'
    )
    may_release: Annotated[tuple[Release, ...], Strict(False), BeforeValidator(_one_or_more)] = (
        Field(
            default=(), description="a table { tag, as, at_most, bytes, grant } or a list of them"
        )
    )
    may_vouch: Annotated[tuple[Vouch, ...], Strict(False), BeforeValidator(_one_or_more)] = Field(
        default=(), description="a table { tag, as, at_most, bytes, grant } or a list of them"
    )


class Sink(Table):
    """`[sink.NAME]`."""

    accepts: Tags = Field(default=(), description=_TAGS)


class Channel(Table):
    """`[[channel]]`."""

    source: str = Field(alias="from", description='an enclave, or its gate as "enclave.gate"')
    target: str = Field(alias="to", description="an enclave or a sink")
    kind: Literal["send", "emit", "call"] | None = Field(
        default=None, description='"send", "emit" (one way, silent) or "call" (with a reply)'
    )
    reply: Annotated[str, AfterValidator(_message)] | None = Field(
        default=None,
        description='the reply of a call: "bytes", or a struct format with its byte order',
    )
    reply_size: int | None = Field(
        default=None,
        ge=1,
        le=MAX_MESSAGE_BYTES,
        description=f"the most bytes of a reply, 1 to {MAX_MESSAGE_BYTES}",
    )
    message: Annotated[str, AfterValidator(_message)] = Field(
        default="bytes",
        description='"bytes", or a struct format with its byte order, such as "<HI"',
    )
    size: int | None = Field(
        default=None,
        ge=1,
        le=MAX_MESSAGE_BYTES,
        description=f"the most bytes of one message, 1 to {MAX_MESSAGE_BYTES}",
    )
    depth: int = Field(default=4, ge=1, le=64, description="messages that may wait, 1 to 64")

    @property
    def fixed_size(self) -> int | None:
        """The size in bytes of a struct message, None for "bytes"."""
        return None if self.message == "bytes" else struct.calcsize(self.message)


SECTIONS: dict[str, type[Table]] = {
    "appliance": Appliance,
    "requires": Requires,
    "package": Package,
    "radio": Radio,
    "owner": Owner,
    "tag": Tag,
    "enclave": Enclave,
    "sink": Sink,
    "channel": Channel,
}
