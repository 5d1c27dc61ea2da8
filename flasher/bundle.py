# SPDX-License-Identifier: Apache-2.0
"""What the flasher needs of a bundle: its facts and its files, and what an image says of itself.

Nothing is verified here. That is the board's work: a host that judged would be believed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flasher.errors import BadFileError

FACTS_FILE = "bundle.json"
_FACTS_MAX = 4 << 20
_IMAGE_MAX = 16 << 20

# MCUboot's image format: docs/design.md of MCUboot, "Image Format".
_HEADER = struct.Struct("<IIHHIIBBHI4x")
_TLV_INFO = struct.Struct("<HH")
_TLV = struct.Struct("<HH")
_MAGIC = 0x96F3B83D
_TLV_MAGIC = 0x6907
_TLV_SHA256, _TLV_ECDSA = 0x10, 0x22

_BUILD = "name a bundle directory made by `coffret build`, or one of its slot images"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image as bytes, and what its header says: where it is linked, version, SHA256 TLV.

    `signed`: it carries an ECDSA signature, good or bad.
    """

    data: bytes
    load_address: int
    version: str
    digest: bytes
    signed: bool


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle directory. `files` are absolute paths by their name in `bundle.json`."""

    folder: Path
    appliance: str
    version: str
    board: str
    files: dict[str, Path]

    def slot_image(self, slot: int) -> ImageFile:
        """The image for slot 0 (A) or 1 (B). Raises BadFileError."""
        return read_image(self.files[("slot_a", "slot_b")[slot]])


def read_bundle(folder: Path) -> Bundle:
    """The bundle in a directory. Raises BadFileError naming the file and the key."""
    path = folder / FACTS_FILE
    try:
        facts = json.loads(_read(path, _FACTS_MAX))
        names = facts["files"]
        files = {name: _inside(folder, names[name]) for name in ("slot_a", "slot_b", "boot")}
        return Bundle(
            folder=folder,
            appliance=str(facts["appliance"]),
            version=str(facts["version"]),
            board=str(facts["board"]),
            files=files,
        )
    except KeyError as error:
        raise BadFileError(f"{path}: {error.args[0]}: is missing", _BUILD) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise BadFileError(f"{path}: {error}", _BUILD) from error


def _inside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"files: {name} lies outside the bundle")
    return path


def read_image(path: Path) -> ImageFile:
    """One image file. Raises BadFileError when it is no MCUboot image at all."""
    data = _read(path, _IMAGE_MAX)
    try:
        return parse_image(data)
    except ValueError as error:
        raise BadFileError(f"{path}: {error}", _BUILD) from error


def parse_image(data: bytes) -> ImageFile:
    """What an image says of itself; ValueError says what is missing."""
    if len(data) < _HEADER.size:
        raise ValueError("is too short for an image")
    magic, address, header, protected, body, _flags, major, minor, revision, build = (
        _HEADER.unpack_from(data)
    )
    if magic != _MAGIC:
        raise ValueError("is no MCUboot image (its magic number is missing)")
    version = f"{major}.{minor}.{revision}" + (f".{build}" if build else "")
    tlvs = tuple(_tlvs(data, header + body, protected))
    digests = [value for kind, value in tlvs if kind == _TLV_SHA256]
    if len(digests) != 1 or len(digests[0]) != 32:
        raise ValueError("does not carry one SHA-256 of itself")
    signed = any(kind == _TLV_ECDSA for kind, _ in tlvs)
    return ImageFile(data, address, version, digests[0], signed)


def _tlvs(data: bytes, offset: int, protected: int) -> Iterator[tuple[int, bytes]]:
    """The unprotected TLVs behind the protected area of `protected` bytes."""
    offset += protected
    if offset + _TLV_INFO.size > len(data):
        raise ValueError("ends before its TLV area")
    magic, total = _TLV_INFO.unpack_from(data, offset)
    end = offset + total
    if magic != _TLV_MAGIC or end > len(data):
        raise ValueError("its TLV area is malformed")
    offset += _TLV_INFO.size
    while offset < end:
        if offset + _TLV.size > end:
            raise ValueError("its TLV area is malformed")
        kind, length = _TLV.unpack_from(data, offset)
        offset += _TLV.size
        if offset + length > end:
            raise ValueError("its TLV area is malformed")
        yield kind, data[offset : offset + length]
        offset += length


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise BadFileError(f"{path}: {error.strerror}", _BUILD) from error
    if len(data) > limit:
        raise BadFileError(f"{path}: is longer than {limit} bytes", _BUILD)
    return data
