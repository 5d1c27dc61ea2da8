# SPDX-License-Identifier: Apache-2.0
"""DfuSe, the file format that tools for an STM32's USB boot loader take (ST UM0391).

A prefix, one target with elements (an address and its bytes), and the suffix of USB DFU 1.1.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from boards.uf2 import Segment

_PREFIX = struct.Struct("<5sBIB")  # section 2.1: signature, version, bytes without suffix, targets
_TARGET = struct.Struct("<6sBI255sII")  # section 2.3.1: setting, named, name, bytes, count
_ELEMENT = struct.Struct("<II")  # section 2.3.2
_SUFFIX = struct.Struct("<HHHH3sB")  # section 2.2; its CRC follows
_CRC = struct.Struct("<I")
_ANY_DEVICE = 0xFFFF
_SUFFIX_SIZE = _SUFFIX.size + _CRC.size


class DfuseError(ValueError):
    """Bytes that are not a DfuSe file with one target."""


def write_dfuse(
    segments: Sequence[Segment], vendor: int, product: int, name: str = "appliance"
) -> bytes:
    """The file that programs `segments` by the alternate setting 0, the flash."""
    elements = b"".join(
        _ELEMENT.pack(segment.address, len(segment.data)) + segment.data for segment in segments
    )
    head = _TARGET.pack(b"Target", 0, 1, name.encode(), len(elements), len(segments))
    size = _PREFIX.size + len(head) + len(elements)
    body = _PREFIX.pack(b"DfuSe", 1, size, 1) + head + elements
    body += _SUFFIX.pack(_ANY_DEVICE, product, vendor, 0x011A, b"UFD", _SUFFIX_SIZE)
    return body + _CRC.pack(zlib.crc32(body) ^ 0xFFFFFFFF)


def read_dfuse(data: bytes) -> tuple[Segment, ...]:
    """The segments of a file, from hostile bytes. Raises DfuseError."""
    if len(data) < _PREFIX.size + _TARGET.size + _SUFFIX_SIZE:
        raise DfuseError("too short for a DfuSe file")
    (crc,) = _CRC.unpack_from(data, len(data) - _CRC.size)
    suffix = _SUFFIX.unpack_from(data, len(data) - _SUFFIX_SIZE)
    if crc != zlib.crc32(data[: -_CRC.size]) ^ 0xFFFFFFFF or suffix[4:] != (b"UFD", _SUFFIX_SIZE):
        raise DfuseError("its suffix is wrong: a damaged file")
    end = len(data) - _SUFFIX_SIZE
    if _PREFIX.unpack_from(data) != (b"DfuSe", 1, end, 1):
        raise DfuseError("its prefix is wrong: no DfuSe file with one target")
    signature, _, _, _, size, count = _TARGET.unpack_from(data, _PREFIX.size)
    at = _PREFIX.size + _TARGET.size
    if signature != b"Target" or size != end - at:
        raise DfuseError("its target does not fill it")
    segments = []
    for _ in range(count):
        if end - at < _ELEMENT.size:
            raise DfuseError("it ends inside an element")
        address, length = _ELEMENT.unpack_from(data, at)
        at += _ELEMENT.size
        if length > end - at or address + length > 1 << 32:
            raise DfuseError("an element reaches beyond its end")
        segments.append(Segment(address, data[at : at + length]))
        at += length
    if at != end:
        raise DfuseError("bytes behind its last element")
    return tuple(segments)
