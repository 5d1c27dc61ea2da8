# SPDX-License-Identifier: Apache-2.0
"""The quick decoder is the strict one: it takes nothing that has another encoding."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclaves import cbor

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.integers(-(1 << 40), 1 << 40) | st.text() | st.binary(), inner)
        | st.builds(cbor2.CBORTag, st.integers(0, 1 << 32), inner)
    ),
    max_leaves=20,
)


def strictly(data: bytes) -> object:
    """By the strict decoder alone."""
    value, end = cbor._decode_item(data, 0, 0)
    if end != len(data):
        raise cbor.CborError("trailing")
    return value


def agree(data: bytes) -> None:
    try:
        expected = strictly(data)
    except cbor.CborError:
        with pytest.raises(cbor.CborError):
            cbor.decode(data)
        return
    assert cbor.decode(data) == expected
    assert cbor.encode(expected) == data


@given(VALUES)
def test_what_is_encoded_is_decoded(value: object) -> None:
    agree(cbor.encode(value))


@given(VALUES, st.data())
def test_both_decoders_agree_on_changed_bytes(value: object, data: st.DataObject) -> None:
    encoded = bytearray(cbor.encode(value))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    agree(bytes(encoded))


@given(st.binary(max_size=60))
def test_both_decoders_agree_on_any_bytes(data: bytes) -> None:
    agree(data)


@pytest.mark.parametrize(
    "text",
    [
        "1800 1817 190017 1a00000017 1b0000000000000017",  # longer than they need be
        "f800 f814 f7 f90000 fb0000000000000000 e0 ff",  # simple values, floats, a break
        "a201000100 a202000100 a22000190000 a220001903e800 a2616100616000 a26161000100",
        "5fff 7fff 9fff bfff 5f4100ff",  # indefinite
        "c24101 c100 d81c00 d82363282e2b c074323031332d30332d32315432303a30343a30305a",
        "62c328 61ff 41 82 a1 0000 a1f600 a18000 a1fb000000000000000000",
    ],
)
def test_unusual_encodings_are_judged_alike(text: str) -> None:
    for each in text.split():
        agree(bytes.fromhex(each))


@pytest.mark.parametrize("head", [b"\x81", b"\xc0", b"\xd2", b"\xa1\x00"])
def test_depth_is_bounded(head: bytes) -> None:
    with pytest.raises(cbor.CborError):
        cbor.decode(head * 3000 + b"\x00")
