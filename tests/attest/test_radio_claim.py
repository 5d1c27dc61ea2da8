# SPDX-License-Identifier: Apache-2.0
"""The radio module's firmware in evidence: which one the image was built for, and no other."""

from __future__ import annotations

from dataclasses import replace

import cbor2
import pytest
from simulated_device import GOOD, REFERENCES, SimulatedDevice, digest, expectations

from attest import corim, evidence, psa_token
from attest.appraisal import Verdict, appraise
from attest.corim import ReferenceValues
from attest.errors import CorimError, EvidenceError
from attest.evidence import Component

PINNED = replace(REFERENCES, radio=digest("radio"))
BUILT_FOR_IT = replace(GOOD, radio=PINNED.radio)


def appraised(device: SimulatedDevice, references: ReferenceValues) -> Verdict:
    return appraise(device.answer(), replace(expectations(), references=references))


def test_the_firmware_of_the_bundle_is_trusted_and_told() -> None:
    verdict = appraised(BUILT_FOR_IT, PINNED)
    assert verdict.trusted
    assert [c.found for c in verdict.claims if c.claim == "radio"] == [digest("radio").hex()]


@pytest.mark.parametrize(
    ("device", "references", "expected", "found"),
    [
        (replace(GOOD, radio=digest("evil")), PINNED, PINNED.radio, digest("evil")),
        (GOOD, PINNED, PINNED.radio, None),
        (BUILT_FOR_IT, REFERENCES, None, PINNED.radio),
    ],
    ids=["another", "none where one is pinned", "one where none is pinned"],
)
def test_other_firmware_is_named(
    device: SimulatedDevice,
    references: ReferenceValues,
    expected: bytes | None,
    found: bytes | None,
) -> None:
    verdict = appraised(device, references)
    assert verdict.verdict == "untrusted"
    assert verdict.differing == ("radio",)
    (claim,) = (c for c in verdict.claims if c.claim == "radio")
    assert claim.expected == ("absent" if expected is None else expected.hex())
    assert claim.found == ("absent" if found is None else found.hex())


def test_an_image_built_for_other_firmware_cannot_hide_behind_the_pinned_one() -> None:
    verdict = appraised(replace(BUILT_FOR_IT, image=digest("for an evil radio")), PINNED)
    assert "appliance" in verdict.differing


@pytest.mark.parametrize("place", [0, 1, 4, 5])
def test_the_radio_stands_last_or_the_token_is_malformed(place: int) -> None:
    parts = list(GOOD.evidence().components)
    parts.insert(place, Component("radio", digest("radio"), GOOD.signer_id))
    liar = replace(GOOD, token_changes={"components": tuple(parts)})
    assert appraised(liar, PINNED).differing == ("evidence",)


def test_the_radio_stands_once() -> None:
    parts = BUILT_FOR_IT.evidence().components
    token = psa_token.write(
        replace(BUILT_FOR_IT.evidence(), components=(*parts, parts[-1])), GOOD.alias
    )
    with pytest.raises(EvidenceError, match="unknown component 'radio'"):
        psa_token.read(token)


def test_a_radio_is_no_subject_of_a_report() -> None:
    about = evidence.Subject("radio", 0, 0, (), ())
    token = psa_token.write(replace(BUILT_FOR_IT.evidence(), subject=about), GOOD.alias)
    with pytest.raises(EvidenceError, match="subject"):
        psa_token.read(token)


def test_reference_values_carry_the_radio_and_none_is_as_it_was() -> None:
    written = corim.reference_values(PINNED)
    assert corim.read(written) == PINNED
    assert corim.read(corim.reference_values(REFERENCES)) == REFERENCES
    assert PINNED.components(0)[-1] == ("radio", digest("radio"))
    assert b"radio" not in corim.reference_values(REFERENCES)


def test_a_radio_in_one_slot_alone_is_refused() -> None:
    outer = cbor2.loads(corim.reference_values(PINNED))
    comid = cbor2.loads(outer.value[1][0].value)
    comid[4][0][1][1].pop()
    tags = [cbor2.CBORTag(corim.TAG_COMID, cbor2.dumps(comid, canonical=True))]
    changed = cbor2.CBORTag(corim.TAG_CORIM, {**outer.value, corim.CORIM_TAGS: tags})
    with pytest.raises(CorimError, match="more or other content"):
        corim.read(cbor2.dumps(changed, canonical=True))


def test_a_digest_of_another_length_is_refused() -> None:
    with pytest.raises(CorimError, match="32 bytes"):
        replace(REFERENCES, radio=b"short")
