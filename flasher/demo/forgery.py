# SPDX-License-Identifier: Apache-2.0
"""What an attacker does to a good image: changes a bit, takes the signature off."""

from __future__ import annotations

import struct

# MCUboot's image format: docs/design.md of MCUboot, "Image Format".
_SIGNATURE = 0x22
_TLV_INFO = struct.Struct("<HH")
_TLV = struct.Struct("<HH")


def flip_bit(image: bytes) -> bytes:
    """The image with one bit of its code changed, header and signature left alone."""
    header_size, body_size = _sizes(image)
    forged = bytearray(image)
    forged[header_size + body_size // 2] ^= 0x10
    return bytes(forged)


def strip_signature(image: bytes) -> bytes:
    """The image as it was before it was signed: its hash is right, its signature TLV is gone."""
    header_size, body_size = _sizes(image)
    (protected,) = struct.unpack_from("<H", image, 10)
    start = header_size + body_size + protected
    magic, total = _TLV_INFO.unpack_from(image, start)
    kept = b""
    offset = start + _TLV_INFO.size
    while offset < start + total:
        kind, length = _TLV.unpack_from(image, offset)
        end = offset + _TLV.size + length
        if kind != _SIGNATURE:
            kept += image[offset:end]
        offset = end
    return image[:start] + _TLV_INFO.pack(magic, _TLV_INFO.size + len(kept)) + kept


def _sizes(image: bytes) -> tuple[int, int]:
    """Header and body, bytes."""
    (header_size,) = struct.unpack_from("<H", image, 8)
    (body_size,) = struct.unpack_from("<I", image, 12)
    return header_size, body_size
