# SPDX-License-Identifier: Apache-2.0
"""Deterministic CBOR (RFC 8949 section 4.2.1) over the few types that our documents use.

`encode` sorts map keys bytewise by their encoding; `decode` accepts exactly what `encode` writes.
So one value has one encoding, and trailing bytes, long integers, indefinite lengths, duplicate or
misordered keys, floats and shared values are all refused, each where it stands. The decoder is our
own, because cbor2's turns tags of hostile bytes into dates, regular expressions and messages before
anybody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import cbor2

MAX_DEPTH = 16
MAX_BYTES = 1 << 20

# The smallest argument that needs 1, 2, 4 or 8 bytes after the head.
_LEAST = (24, 1 << 8, 1 << 16, 1 << 32)
_SIMPLE: dict[int, bool | None] = {20: False, 21: True, 22: None}

Key: TypeAlias = int | str | bytes
Value: TypeAlias = (
    "int | str | bytes | bool | list[Value] | Mapping[Key, Value] | cbor2.CBORTag | None"
)


class CborError(ValueError):
    """The bytes are not a deterministic encoding, or the value has none."""


def encode(value: object) -> bytes:
    """Encode `value`: int, str, bytes, bool, None, list, tuple, mapping and tag, nested.

    Raises CborError for any other type, for map keys that are not int, str or bytes, for integers
    of more than 64 bits, and for nesting deeper than MAX_DEPTH.
    """
    try:
        if _is_ours(value, MAX_DEPTH):  # as it is written
            return cbor2.dumps(value)
        return cbor2.dumps(_ordered(value, 0))
    except UnicodeEncodeError as error:
        raise CborError("a text string that UTF-8 cannot hold") from error


def string_head(data: bytes) -> bytes:
    """What stands before the bytes of a byte string, for who joins it to others without a copy."""
    size = len(data)
    if size < 24:
        return bytes((0x40 | size,))
    if size < 1 << 8:
        return bytes((0x58, size))
    if size < 1 << 16:
        return b"\x59" + size.to_bytes(2, "big")
    return b"\x5a" + size.to_bytes(4, "big")


def decode(data: bytes, *, limit: int = MAX_BYTES) -> Value:
    """Decode `data`, at most `limit` bytes. Raises CborError unless `encode` gives `data` back.

    Tags come back as `cbor2.CBORTag`, none is interpreted.
    """
    if len(data) > limit:
        raise CborError(f"{len(data)} bytes of CBOR, at most {limit} are read")
    quick = _decode_quickly(data)
    if quick is not _NOT:
        return quick  # type: ignore[return-value]
    value, end = _decode_item(data, 0, 0)
    if end != len(data):
        raise CborError(f"{len(data) - end} bytes after the end of the CBOR item")
    return value


def _refuse(_decoder: object, _immutable: bool) -> object:
    raise CborError("a tag that cbor2 would interpret")


_NOT = object()  # for the slow decoder to say why, or to accept after all
# Every tag that cbor2 knows how to interpret (RFC 8949 section 3.4 and IANA's registry): none of
# them may be, so what has one goes to the slow decoder.
_INTERPRETED: dict[int, Callable[[object, bool], object]] = {
    tag: _refuse
    for tag in (
        *(*range(6), 21, 22, 23, 24, 25, 28, 29, 30, 35, 36, 37, 43, 44, 52, 54, 100, 256, 258),
        *(260, 261, 1004, 43000, 55799),
    )
}


def _decode_quickly(data: bytes) -> object:
    """What `_decode_item` gives, by cbor2, where it is certain to be that; else `_NOT`.

    Certain: only our types, keys in their order, and encoded again it is the same bytes.
    """
    try:
        value = cbor2.loads(
            data,
            semantic_decoders=_INTERPRETED,
            max_depth=MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
        )
        return value if _is_ours(value) and cbor2.dumps(value) == data else _NOT
    except (CborError, cbor2.CBORError, ValueError, EOFError, RecursionError, TypeError):
        return _NOT


_SCALARS = frozenset({int, str, bytes, bool, type(None)})
_STRINGS = frozenset({str, bytes})


def _is_ours(value: object, depth: int = MAX_DEPTH) -> bool:
    """Whether a value has only types and orders that `encode` writes, `depth` levels deep."""
    kind, known = type(value), False
    if kind is int:
        known = -(1 << 64) <= value < 1 << 64  # type: ignore[operator]
    elif kind in _SCALARS:
        known = True
    elif depth == 0:
        known = False
    elif kind is dict:
        known = _is_our_map(value, depth - 1)  # type: ignore[arg-type]
    elif kind is list:
        known = all([type(each) in _STRINGS or _is_ours(each, depth - 1) for each in value])  # type: ignore[attr-defined]
    elif kind is cbor2.CBORTag:
        known = _is_ours(value.value, depth - 1)  # type: ignore[attr-defined]
    return known


def _is_our_map(value: dict[object, object], depth: int) -> bool:
    """Keys of one major type only, which is what nearly all have, and rising."""
    before = -1
    text: tuple[int, bytes] = (-1, b"")
    for key, item in value.items():
        if type(key) is int:
            # Unsigned ones rise and come first, negative ones fall (their encodings rise).
            place = key if key >= 0 else (1 << 64) - key
            if place <= before or text[0] >= 0:
                return False
            before = place
        elif type(key) is str:
            encoded = key.encode()
            if before >= 0 or (len(encoded), encoded) <= text:
                return False
            text = (len(encoded), encoded)
        else:
            return False
        if type(item) not in _STRINGS and not _is_ours(item, depth):
            return False
    return True


def _ordered(value: object, depth: int) -> object:
    """`value` with every map's keys in the order of their encodings, types checked."""
    if depth > MAX_DEPTH:
        raise CborError(f"nested deeper than {MAX_DEPTH}")
    match value:
        case None | bool() | str() | bytes():
            return value
        case int():
            if not -(1 << 64) <= value < 1 << 64:
                raise CborError("an integer of more than 64 bits")
            return value
        case list() | tuple():
            return [_ordered(item, depth + 1) for item in value]
        case Mapping():
            return _ordered_map(value, depth)
        case cbor2.CBORTag():
            return cbor2.CBORTag(value.tag, _ordered(value.value, depth + 1))
    raise CborError(f"a {type(value).__name__} has no place in our documents")


def _ordered_map(value: Mapping[object, object], depth: int) -> dict[object, object]:
    items: list[tuple[bytes, object, object]] = []
    for key, item in value.items():
        if isinstance(key, bool) or not isinstance(key, int | str | bytes):
            raise CborError(f"a map key of type {type(key).__name__}")
        items.append((cbor2.dumps(_ordered(key, depth)), key, _ordered(item, depth + 1)))
    return {key: item for _, key, item in sorted(items, key=lambda entry: entry[0])}


def _decode_head(data: bytes, at: int) -> tuple[int, int, int]:
    """The major type, the argument and the offset after them (RFC 8949 section 3)."""
    if at >= len(data):
        raise CborError("the CBOR item is cut short")
    major, short = data[at] >> 5, data[at] & 0x1F
    if short < 24:
        return major, short, at + 1
    if short > 27:
        raise CborError("an indefinite length or a reserved value")
    end = at + 1 + (1 << (short - 24))
    if end > len(data):
        raise CborError("the CBOR item is cut short")
    argument = int.from_bytes(data[at + 1 : end], "big")
    if major < 7 and argument < _LEAST[short - 24]:
        raise CborError("not the deterministic encoding: a number longer than it need be")
    return major, argument, end


def _decode_item(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    """One item from offset `at`: its value and the offset after it."""
    if depth > MAX_DEPTH:
        raise CborError(f"nested deeper than {MAX_DEPTH}")
    start = at
    major, argument, at = _decode_head(data, at)
    match major:
        case 0 | 1:
            return (argument if major == 0 else -1 - argument), at
        case 2 | 3:
            return _decode_string(data, at, argument, text=major == 3)
        case 4:
            return _decode_array(data, at, argument, depth)
        case 5:
            return _decode_map(data, at, argument, depth)
        case 6:
            inner, at = _decode_item(data, at, depth + 1)
            return cbor2.CBORTag(argument, inner), at
    if at != start + 1 or argument not in _SIMPLE:
        raise CborError("a float or a simple value other than true, false and null")
    return _SIMPLE[argument], at


def _decode_string(data: bytes, at: int, length: int, *, text: bool) -> tuple[Value, int]:
    if length > len(data) - at:
        raise CborError("the CBOR item is cut short")
    raw = data[at : at + length]
    if not text:
        return raw, at + length
    try:
        return raw.decode("utf-8"), at + length
    except UnicodeDecodeError as error:
        raise CborError("a text string that is not UTF-8") from error


def _decode_array(data: bytes, at: int, count: int, depth: int) -> tuple[Value, int]:
    if count > len(data) - at:  # each item is at least one byte
        raise CborError("the CBOR item is cut short")
    items: list[Value] = []
    for _ in range(count):
        item, at = _decode_item(data, at, depth + 1)
        items.append(item)
    return items, at


def _decode_map(data: bytes, at: int, count: int, depth: int) -> tuple[Value, int]:
    if 2 * count > len(data) - at:
        raise CborError("the CBOR item is cut short")
    items: dict[Key, Value] = {}
    before = b""  # the encoding of the key before: keys rise, so none stands there twice
    for _ in range(count):
        start = at
        key, at = _decode_item(data, at, depth + 1)
        if isinstance(key, bool) or not isinstance(key, int | str | bytes):
            raise CborError(f"a map key of type {type(key).__name__}")
        encoded = data[start:at]
        if encoded <= before:
            raise CborError(
                "a duplicate map key"
                if encoded == before or key in items
                else "not the deterministic encoding: map keys out of order"
            )
        before = encoded
        items[key], at = _decode_item(data, at, depth + 1)
    return items, at
