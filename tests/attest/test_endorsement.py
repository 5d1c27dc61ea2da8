# SPDX-License-Identifier: Apache-2.0
"""The operator's endorsement: only the operator makes it, and only over a real identity."""

from __future__ import annotations

from dataclasses import replace

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_device import GOOD, GOOD_ENDORSEMENT, OPERATOR, OTHER_OPERATOR, digest

from attest import endorsement, p256
from attest.errors import EndorsementError
from enclaves import cbor, cose

PUBLIC = OPERATOR.public_key()
PAYLOAD = cbor2.loads(cose.read1(GOOD_ENDORSEMENT).payload)
HEADERS: dict[int | str, object] = {
    cose.HEADER_CONTENT_TYPE: endorsement.CONTENT_TYPE,
    cose.HEADER_KID: p256.key_hash(PUBLIC),
}


def test_endorsement_reads_back_and_fits_the_device() -> None:
    read = endorsement.verify(GOOD_ENDORSEMENT, PUBLIC)
    assert read.identity == GOOD.identity_facts
    assert read.identity.board == GOOD.board
    assert read.issued == 1_760_000_000
    assert len(GOOD_ENDORSEMENT) <= endorsement.MAX_BYTES


def test_two_endorsements_have_two_serials() -> None:
    first, second = (endorsement.verify(GOOD.endorsed_by(), PUBLIC) for _ in range(2))
    assert first.serial != second.serial


def test_another_operators_key_is_named() -> None:
    with pytest.raises(EndorsementError, match="another operator's key"):
        endorsement.verify(GOOD.endorsed_by(OTHER_OPERATOR), PUBLIC)


def test_kid_of_the_operator_does_not_help_a_forger() -> None:
    forged = cose.sign1(cbor.encode(PAYLOAD), OTHER_OPERATOR, HEADERS)
    with pytest.raises(EndorsementError, match="does not verify"):
        endorsement.verify(forged, PUBLIC)


@pytest.mark.parametrize(
    "headers",
    [
        {**HEADERS, cose.HEADER_CONTENT_TYPE: "application/rim+cbor"},
        {cose.HEADER_KID: HEADERS[cose.HEADER_KID]},
        {**HEADERS, 99: 1},
    ],
)
def test_what_the_operator_signed_as_something_else_is_no_endorsement(
    headers: dict[int | str, object],
) -> None:
    signed = cose.sign1(cbor.encode(PAYLOAD), OPERATOR, headers)
    with pytest.raises(EndorsementError, match="headers"):
        endorsement.verify(signed, PUBLIC)


@pytest.mark.parametrize("key", sorted(PAYLOAD))
@pytest.mark.parametrize("value", [None, b"", "x", -1, [], {}])
def test_each_field_is_checked_even_when_signed(key: int, value: object) -> None:
    signed = cose.sign1(cbor.encode({**PAYLOAD, key: value}), OPERATOR, HEADERS)
    with pytest.raises(EndorsementError):
        endorsement.verify(signed, PUBLIC)


@pytest.mark.parametrize("key", sorted(PAYLOAD))
def test_each_field_is_needed(key: int) -> None:
    fields = {name: value for name, value in PAYLOAD.items() if name != key}
    with pytest.raises(EndorsementError):
        endorsement.verify(cose.sign1(cbor.encode(fields), OPERATOR, HEADERS), PUBLIC)


def test_unknown_field_is_refused() -> None:
    signed = cose.sign1(cbor.encode({**PAYLOAD, 99: 1}), OPERATOR, HEADERS)
    with pytest.raises(EndorsementError, match="unknown field 99"):
        endorsement.verify(signed, PUBLIC)


def test_board_must_be_the_implementations() -> None:
    signed = cose.sign1(cbor.encode({**PAYLOAD, 5: "mps2-an386"}), OPERATOR, HEADERS)
    with pytest.raises(EndorsementError, match="board"):
        endorsement.verify(signed, PUBLIC)


def test_identity_must_hash_to_its_id() -> None:
    """An endorsement for somebody else's key is not even issued."""
    with pytest.raises(EndorsementError, match="not the hash of its identity key"):
        replace(GOOD.identity_facts, instance_id=b"\x01" + digest("other"))


def test_identity_key_must_be_on_the_curve() -> None:
    with pytest.raises(EndorsementError, match="no point of P-256"):
        replace(GOOD.identity_facts, identity_key=bytes(64))


@pytest.mark.parametrize(
    "text", ["", "coffret", "coffret/a", "other/a/flash", "coffret//flash", "coffret/a/b/c"]
)
def test_implementation_id_has_three_parts(text: str) -> None:
    with pytest.raises(EndorsementError, match="implementation id"):
        endorsement.board_of(text.encode().ljust(32, b"\0"))


def test_implementation_id_that_does_not_fit_is_refused() -> None:
    with pytest.raises(EndorsementError, match="longer than 32 bytes"):
        endorsement.implementation_id("arduino-nano-rp2040-connect")


@given(st.integers(0, len(GOOD_ENDORSEMENT) - 1), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_any_changed_byte_is_refused(position: int, change: int) -> None:
    mutated = bytearray(GOOD_ENDORSEMENT)
    mutated[position] ^= change
    with pytest.raises(EndorsementError):
        endorsement.verify(bytes(mutated), PUBLIC)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(EndorsementError):
        endorsement.verify(data, PUBLIC)
