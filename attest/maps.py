# SPDX-License-Identifier: Apache-2.0
"""Reading a CBOR map field by field, each with its type and bounds, and nothing left over."""

from __future__ import annotations

from collections.abc import Mapping

from attest.errors import AttestError


class Fields:
    """A map of hostile origin. Every reader takes one field away; `end` refuses what is left.

    Each method raises `error`, an AttestError type, with the document's and the field's name.
    """

    __slots__ = ("_error", "_left", "_what")

    def __init__(self, value: object, what: str, error: type[AttestError]) -> None:
        self._what = what
        self._error = error
        if type(value) is not dict and not isinstance(value, Mapping):
            raise error(f"{what}: not a map")
        self._left: dict[object, object] = dict(value)

    def take(self, key: int | str, name: str) -> object:
        """The field's value, whatever it is."""
        try:
            return self._left.pop(key)
        except KeyError:
            raise self._error(f"{self._what}: {name} ({key}) is missing") from None

    def has(self, key: int | str) -> bool:
        return key in self._left

    def data(self, key: int | str, name: str, *sizes: int) -> bytes:
        """A byte string, of one of `sizes` bytes when any is given."""
        value = self.take(key, name)
        if not isinstance(value, bytes):
            raise self._error(f"{self._what}: {name} ({key}) is not a byte string")
        if sizes and len(value) not in sizes:
            wanted = " or ".join(map(str, sizes))
            raise self._error(
                f"{self._what}: {name} ({key}) has {len(value)} bytes instead of {wanted}"
            )
        return value

    def text(self, key: int | str, name: str, longest: int) -> str:
        """Printable ASCII of 1 to `longest` characters (it is shown to people and terminals)."""
        value = self.take(key, name)
        if not isinstance(value, str):
            raise self._error(f"{self._what}: {name} ({key}) is not text")
        if not 1 <= len(value) <= longest:
            raise self._error(
                f"{self._what}: {name} ({key}) has {len(value)} characters, 1 to {longest} may be"
            )
        if not (value.isascii() and value.isprintable()):
            raise self._error(f"{self._what}: {name} ({key}) is not printable ASCII")
        return value

    def uint(self, key: int | str, name: str, largest: int) -> int:
        """An unsigned integer up to `largest`."""
        return self.integer(key, name, 0, largest)

    def integer(self, key: int | str, name: str, smallest: int, largest: int) -> int:
        """An integer from `smallest` to `largest`."""
        value = self.take(key, name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._error(f"{self._what}: {name} ({key}) is not an integer")
        if not smallest <= value <= largest:
            raise self._error(f"{self._what}: {name} ({key}) is out of range")
        return value

    def array(self, key: int | str, name: str, longest: int) -> list[object]:
        """An array of 1 to `longest` items."""
        value = self.take(key, name)
        if not isinstance(value, list):
            raise self._error(f"{self._what}: {name} ({key}) is not an array")
        if not 1 <= len(value) <= longest:
            raise self._error(
                f"{self._what}: {name} ({key}) has {len(value)} items, 1 to {longest} may be"
            )
        return list(value)

    def expect(self, key: int | str, name: str, wanted: object) -> None:
        """A field with one allowed value, of the same type (True is not 1)."""
        value = self.take(key, name)
        if type(value) is not type(wanted) or value != wanted:
            raise self._error(f"{self._what}: {name} ({key}) is not {wanted!r}")

    def end(self) -> None:
        """Refuse fields that nobody read."""
        if self._left:
            names = ", ".join(sorted(ascii(key)[:40] for key in list(self._left)[:8]))
            raise self._error(f"{self._what}: unknown field {names}")
