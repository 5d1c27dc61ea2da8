# SPDX-License-Identifier: Apache-2.0
"""The record store's format, read a second time: what a flash image holds, independent of the C."""

from __future__ import annotations

import struct
import zlib

MAGIC = 0x53524643


def records_in(flash: bytes, offset: int, bank_size: int, unit: int) -> dict[int, bytes]:
    """The live records of a store (docs/internals.md, section Record store)."""
    best: tuple[int, bytes] | None = None
    for start in (offset, offset + bank_size):
        bank = flash[start : start + bank_size]
        magic, sequence, crc = struct.unpack_from("<III", bank)
        if magic == MAGIC and crc == zlib.crc32(bank[:8]) and (best is None or sequence > best[0]):
            best = (sequence, bank)
    return {} if best is None else _records(best[1], unit)


def _records(bank: bytes, unit: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = _align(12, unit)
    while at + 8 <= len(bank):
        key, reserved, length = struct.unpack_from("<BBH", bank, at)
        body = 4 + _align(length, 4)
        if key in (0, 255) or reserved != 255 or at + body + 4 > len(bank):
            break
        (crc,) = struct.unpack_from("<I", bank, at + body)
        if crc != zlib.crc32(bank[at : at + body]):
            break
        found[key] = bank[at + 4 : at + 4 + length]
        at += _align(body + 4, unit)
    return found


def _align(value: int, unit: int) -> int:
    return -(-value // unit) * unit
