# SPDX-License-Identifier: Apache-2.0
"""COSE_Sign1 and deterministic CBOR: one encoding, one algorithm, nothing after the end."""

from __future__ import annotations

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from enclaves import cbor, cose

KEY = ec.derive_private_key(0x1234567, ec.SECP256R1())
PUBLIC = KEY.public_key()
OTHER = ec.derive_private_key(0x7654321, ec.SECP256R1()).public_key()
MESSAGE = cose.sign1(b"payload", KEY, {4: b"kid"})
PROTECTED = cbor.encode({1: -7})

SCALARS = (
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.text() | st.binary()
)
KEYS = st.integers(-(1 << 64), (1 << 64) - 1) | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_encoded_is_decoded_and_cbor2_agrees(value: object) -> None:
    data = cbor.encode(value)
    assert cbor.decode(data) == value
    assert cbor2.loads(data) == value


@given(st.binary(max_size=64))
def test_no_two_byte_strings_mean_the_same(data: bytes) -> None:
    try:
        value = cbor.decode(data)
    except cbor.CborError:
        return
    assert cbor.encode(value) == data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cut short"),
        (b"\x01\x02", "after the end"),
        (b"\x18\x01", "not the deterministic encoding"),
        (b"\x1b\x00\x00\x00\x00\x00\x00\x00\x01", "not the deterministic encoding"),
        (b"\x9f\x01\xff", "indefinite"),
        (b"\x5f\x41a\xff", "indefinite"),
        (b"\xbf\xff", "indefinite"),
        (b"\xa2\x01\x01\x01\x02", "duplicate"),
        (b"\xa2\x02\x01\x01\x02", "not the deterministic encoding"),
        (b"\xa2\x20\x01\x18\x64\x01", "not the deterministic encoding"),
        (b"\xa1\x80\x01", "map key"),
        (b"\xa1\xf5\x01", "map key"),
        (b"\xf9\x3c\x00", "float"),
        (b"\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00", "float"),
        (b"\xf7", "simple value"),
        (b"\x61\xff", "UTF-8"),
        (b"\x81" * 17 + b"\x01", "nested"),
        (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "cut short"),
        (b"\xbb\x7f\xff\xff\xff\xff\xff\xff\xff", "cut short"),
        (b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", "cut short"),
        (b"\x1c", "reserved"),
    ],
)
def test_other_encodings_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(cbor.CborError, match=why):
        cbor.decode(data)


def test_tags_are_never_interpreted() -> None:
    for data in (b"\xd8\x23\x61(", b"\xc0\x63abc", b"\xd8\x1d\x00", b"\xc2\x41\x01"):
        assert isinstance(cbor.decode(data), cbor2.CBORTag)


def test_a_good_message_verifies_and_signing_is_deterministic() -> None:
    assert cose.sign1(b"payload", KEY, {4: b"kid"}) == MESSAGE
    found = cose.verify1(MESSAGE, PUBLIC)
    assert (found.payload, found.protected) == (b"payload", {1: -7, 4: b"kid"})
    untagged = cose.sign1(b"payload", KEY, tagged=False, external_aad=b"aad")
    assert cose.verify1(untagged, PUBLIC, tagged=False, external_aad=b"aad").payload == b"payload"


@pytest.mark.parametrize("at", range(len(MESSAGE)))
def test_any_changed_byte_is_refused(at: int) -> None:
    for bit in (0x01, 0x20, 0x80):
        changed = bytearray(MESSAGE)
        changed[at] ^= bit
        with pytest.raises(cose.CoseError):
            cose.verify1(bytes(changed), PUBLIC)


@pytest.mark.parametrize("tagged", [True, None, False])
def test_a_second_tag_is_refused(tagged: bool | None) -> None:
    with pytest.raises(cose.CoseError):
        cose.read1(b"\xd2" + MESSAGE, tagged=tagged)


def test_another_key_context_or_tagging_is_refused() -> None:
    untagged = cose.sign1(b"payload", KEY, tagged=False)
    for data, key, options in (
        (MESSAGE, OTHER, {}),
        (MESSAGE, PUBLIC, {"external_aad": b"x"}),
        (MESSAGE, PUBLIC, {"tagged": False}),
        (untagged, PUBLIC, {"tagged": True}),
        (MESSAGE + b"\x00", PUBLIC, {}),
        (MESSAGE[:-1], PUBLIC, {}),
        (b"", PUBLIC, {}),
    ):
        with pytest.raises(cose.CoseError):
            cose.verify1(data, key, **options)  # type: ignore[arg-type]


def forged(protected: bytes, unprotected: object = None, *, payload: object = b"p") -> bytes:
    """A message whose signature is right for whatever its headers say."""
    signed = payload if isinstance(payload, bytes) else b""
    der = KEY.sign(cose.signed_bytes(protected, signed), ec.ECDSA(cose.hashes.SHA256()))
    r, s = cose.decode_dss_signature(der)
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    body = [protected, {} if unprotected is None else unprotected, payload, raw]
    return cbor.encode(cbor2.CBORTag(18, body))


def test_the_forger_of_this_test_can_make_good_messages() -> None:
    assert cose.verify1(forged(PROTECTED), PUBLIC).payload == b"p"


@pytest.mark.parametrize(
    "data",
    [
        forged(b""),
        forged(cbor.encode({})),
        forged(cbor.encode({1: -35})),
        forged(cbor.encode({1: -7, 2: [1]})),
        forged(cbor.encode({1: -7, 2: []})),
        forged(PROTECTED, {2: [1]}),
        forged(PROTECTED, {1: -7}),
        forged(b"\xa0", {1: -7}),
        forged(cbor.encode({1: -7, 4: b"a"}), {4: b"b"}),
        forged(cbor.encode({1: -7, b"x": 1})),
        forged(PROTECTED, {b"x": 1}),
        forged(b"\xa1\x01\x38\x06"),
        forged(PROTECTED + b"\x00"),
        forged(cbor.encode([1])),
        forged(PROTECTED, [1]),
        forged(PROTECTED, payload=None),
        forged(PROTECTED, payload="text"),
    ],
)
def test_headers_that_a_kind_library_lets_pass_are_refused(data: bytes) -> None:
    with pytest.raises(cose.CoseError):
        cose.verify1(data, PUBLIC)


def test_keys_of_other_curves_are_refused() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(cose.CoseError, match="P-256"):
        cose.sign1(b"", key)
    with pytest.raises(cose.CoseError, match="P-256"):
        cose.verify1(MESSAGE, key.public_key())
    with pytest.raises(cose.CoseError, match="ES256"):
        cose.sign1(b"", KEY, {1: -35})
