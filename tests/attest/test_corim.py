# SPDX-License-Identifier: Apache-2.0
"""Reference values as CoRIM: deterministic, read back strictly, in the standard's structure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_device import REFERENCES, SIGNER, digest, private_key

from attest import corim, load_bundle
from attest.corim import ReferenceValues
from attest.errors import CorimError
from boards.errors import CoffretError
from enclaves import cbor, cose

UNSIGNED = corim.reference_values(REFERENCES)
SIGNED = corim.sign(UNSIGNED, SIGNER, "Example Makers")
DIGESTS = st.binary(min_size=32, max_size=32)
NAMES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)
VALUES = st.builds(
    ReferenceValues,
    implementation_id=DIGESTS,
    board=NAMES,
    appliance=NAMES,
    version=NAMES,
    boot=DIGESTS,
    image_a=DIGESTS,
    image_b=DIGESTS,
    policy=DIGESTS,
    runtime=DIGESTS,
    enclaves=st.lists(st.tuples(NAMES, DIGESTS), max_size=6, unique_by=lambda e: e[0]).map(tuple),
    signer_id=DIGESTS,
    security_counter=st.integers(0, 0xFFFFFFFF),
)


@given(VALUES)
@settings(deadline=None)
def test_any_reference_values_read_back_as_they_were(values: ReferenceValues) -> None:
    written = corim.reference_values(values)
    assert corim.read(written) == values
    assert corim.reference_values(values) == written


def test_signed_corim_reads_back_with_the_signers_key_only() -> None:
    assert corim.read(SIGNED, SIGNER.public_key()) == REFERENCES
    assert corim.read(SIGNED) == REFERENCES
    with pytest.raises(CorimError, match="does not verify"):
        corim.read(SIGNED, private_key(5).public_key())
    with pytest.raises(CorimError, match="not signed"):
        corim.read(UNSIGNED, SIGNER.public_key())


def test_signed_corim_has_the_headers_of_the_draft() -> None:
    """draft-ietf-rats-corim-11 section 4.2.1: content type, and CWT claims with the issuer."""
    message = cose.verify1(SIGNED, SIGNER.public_key())
    assert message.protected[3] == "application/rim+cbor"
    assert message.protected[15] == {1: "Example Makers"}
    assert message.payload == UNSIGNED


def test_structure_is_that_of_the_psa_profile() -> None:
    """Read with cbor2 alone, by the numbers of the drafts."""
    outer = cbor2.loads(UNSIGNED)
    assert outer.tag == 501
    assert outer.value[3] in (cbor2.CBORTag(32, corim.PROFILE), corim.PROFILE)
    (tagged,) = outer.value[1]
    assert tagged.tag == 506
    comid = cbor2.loads(tagged.value)
    slot_a, slot_b = comid[4][0]
    assert slot_a[0][0][0] == cbor2.CBORTag(560, REFERENCES.implementation_id)
    assert slot_a[0][0][2] == REFERENCES.board
    names = [measurement[1][11] for measurement in slot_a[1]]
    assert names == ["boot", "runtime", "appliance", "policy", "enclave:sensor", "enclave:coach"]
    for measurement in (*slot_a[1], *slot_b[1]):
        assert measurement[0] == "psa.software-component"
        assert set(measurement[1]) == {2, 11, 13}
        assert measurement[1][13] == [cbor2.CBORTag(560, REFERENCES.signer_id)]
        ((algorithm, value),) = measurement[1][2]
        assert algorithm == "sha-256"
        assert len(value) == 32
    assert slot_a[1][2][1][2] == [["sha-256", REFERENCES.image_a]]
    assert slot_b[1][2][1][2] == [["sha-256", REFERENCES.image_b]]
    (appliance,) = comid[4][1][0][1]
    assert appliance[1] == {0: {0: "1.2.3"}, 1: cbor2.CBORTag(552, 7), 11: "heart-diary"}


def test_every_value_is_in_the_bytes_and_in_the_id() -> None:
    changes: list[dict[str, Any]] = [
        {name: digest("other")}
        for name in ("implementation_id", "boot", "image_a", "image_b", "policy", "runtime")
    ]
    changes += [
        {"signer_id": digest("other")},
        {"board": "other"},
        {"appliance": "other"},
        {"version": "9"},
        {"security_counter": 8},
        {"enclaves": ()},
    ]
    variants = [REFERENCES, *(replace(REFERENCES, **change) for change in changes)]
    documents = [corim.reference_values(variant) for variant in variants]
    assert len(set(documents)) == len(variants)
    assert len({cbor2.loads(document).value[0] for document in documents}) == len(variants)


def altered(change: Any) -> bytes:
    """The CoRIM with its CoMID changed by `change(comid)`."""
    outer = cbor.decode(UNSIGNED)
    assert isinstance(outer, cbor2.CBORTag)
    comid = cbor.decode(outer.value[1][0].value)
    change(comid)
    outer.value[1] = [cbor2.CBORTag(506, cbor.encode(comid))]
    return cbor.encode(outer)


ALTERATIONS = [
    lambda c: c[4].pop(0),
    lambda c: c[4].pop(1),
    lambda c: c[4][0].pop(),
    lambda c: c[4].update({3: []}),
    lambda c: c.update({2: []}),
    lambda c: c.pop(1),
    lambda c: c[4][0][0][1].pop(0),
    lambda c: c[4][0][1][1].pop(1),
    lambda c: c[4][0][0][1].append(c[4][0][0][1][0]),
    lambda c: c[4][0][0][1][0].update({0: "other.key"}),
    lambda c: c[4][0][0][1][0][1].update({0: {0: "1"}}),
    lambda c: c[4][0][0][1][0][1].update({2: [["sha-512", bytes(64)]]}),
    lambda c: c[4][0][0][1][0][1].update({2: [["sha-256", bytes(31)]]}),
    lambda c: c[4][0][0][1][0][1].update({13: [bytes(32)]}),
    lambda c: c[4][0][0][1][0][1].update({13: [cbor2.CBORTag(560, bytes(32))]}),
    lambda c: c[4][0][0][0][0].update({2: "another board"}),
    lambda c: c[4][0][1][1][3][1].update({2: [["sha-256", bytes(32)]]}),
    lambda c: c[4][1][0][1][0][1].update({1: 7}),
    lambda c: c[4][1][0][1][0][1].update({1: cbor2.CBORTag(553, 7)}),
    lambda c: c[4][1][0][0][0].update({2: "another board"}),
]


@pytest.mark.parametrize("change", ALTERATIONS)
def test_any_other_content_is_refused(change: Any) -> None:
    with pytest.raises(CorimError):
        corim.read(altered(change))


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_any_changed_byte_of_a_signed_corim_is_refused(position: int, change: int) -> None:
    mutated = bytearray(SIGNED)
    mutated[position] ^= change
    with pytest.raises(CorimError):
        corim.read(bytes(mutated), SIGNER.public_key())


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CorimError):
        corim.read(data)


@pytest.mark.parametrize("length", range(0, len(UNSIGNED), 13))
def test_truncated_corim_is_refused(length: int) -> None:
    with pytest.raises(CorimError):
        corim.read(UNSIGNED[:length])


@pytest.mark.parametrize(
    "change",
    [
        {"boot": b""},
        {"board": ""},
        {"board": "b\n"},
        {"security_counter": -1},
        {"security_counter": 1 << 32},
        {"enclaves": (("a", bytes(32)), ("a", bytes(32)))},
    ],
)
def test_impossible_values_are_not_even_made(change: dict[str, Any]) -> None:
    with pytest.raises(CorimError):
        replace(REFERENCES, **change)


def test_bundle_folder_is_read_and_its_faults_are_named(tmp_path: Any) -> None:
    with pytest.raises(CoffretError, match="no reference values"):
        load_bundle(tmp_path)
    (tmp_path / "corim.cbor").write_bytes(SIGNED)
    assert load_bundle(tmp_path, SIGNER.public_key()) == REFERENCES
    (tmp_path / "corim.cbor").write_bytes(SIGNED[:-1])
    with pytest.raises(CoffretError, match=r"corim\.cbor: CoRIM"):
        load_bundle(tmp_path)
