# SPDX-License-Identifier: Apache-2.0
"""A quick reader for CBOR maps that nearly always have the same keys and sizes.

Bytes can be read as CBOR in one way only. So where a map's pattern matches, and each part that it
leaves open is one whole item, `cbor.decode` would find the same; everything else, and whatever is
wrong, is left to that one and to who says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from enclaves import cbor

_UINT = rb"[\x00-\x17]|\x18[\x18-\xff]|\x19[\x01-\xff].|\x1a(?!\x00\x00)...."


@dataclass(frozen=True, slots=True)
class Part:
    """A value: its pattern with one group, and what makes the value of the group's bytes."""

    pattern: bytes
    read: Callable[[bytes], object]


def data(size: int) -> Part:
    """A byte string of `size` bytes."""
    return Part(re.escape(cbor.string_head(bytes(size))) + b"(.{%d})" % size, bytes)


def uint() -> Part:
    """An unsigned number of at most 32 bits."""
    return Part(b"(" + _UINT + b")", _unsigned)


def two_bytes(upper: int) -> Part:
    """A number from 256 to the one whose upper byte is `upper` and whose lower one is 0xFF."""
    return Part(rb"\x19([\x01-" + re.escape(bytes((upper,))) + b"].)", _unsigned_of_two)


def small_negative() -> Part:
    """A number from -24 to -1."""
    return Part(rb"([\x20-\x37])", _negative)


def item(read: Callable[[bytes], object]) -> Part:
    """Any item; `read` raises ValueError unless its bytes are one whole item, and what it wants."""
    return Part(b"(.*)", read)


class Layout:
    """A map whose keys are exactly those of `parts` and `fixed`, each with its value's name.

    `fixed` are values that are always the same; nobody reads them.
    """

    def __init__(
        self, parts: Mapping[int, tuple[str, Part]], fixed: Mapping[int, str] | None = None
    ) -> None:
        constant = {key: re.escape(cbor.encode(value)) for key, value in (fixed or {}).items()}
        keys = sorted((*parts, *constant), key=cbor.encode)
        values = [constant[key] if key in constant else parts[key][1].pattern for key in keys]
        entries = [
            re.escape(cbor.encode(key)) + value for key, value in zip(keys, values, strict=True)
        ]
        head = bytes((0xA0 | len(keys),))
        self._pattern = re.compile(re.escape(head) + b"".join(entries), re.DOTALL)
        self._names = [parts[key][0] for key in keys if key in parts]
        self._readers = [parts[key][1].read for key in keys if key in parts]

    def read(self, encoded: bytes) -> dict[str, object] | None:
        """The values by their names; None where it does not look like that."""
        found = self._pattern.fullmatch(encoded)
        if found is None:
            return None
        try:
            values = [read(raw) for read, raw in zip(self._readers, found.groups(), strict=True)]
        except ValueError:
            return None
        return dict(zip(self._names, values, strict=True))


def _unsigned(raw: bytes) -> int:
    return raw[0] if len(raw) == 1 else int.from_bytes(raw[1:], "big")


def _unsigned_of_two(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _negative(raw: bytes) -> int:
    return 0x1F - raw[0]
