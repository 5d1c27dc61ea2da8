# SPDX-License-Identifier: Apache-2.0
"""What a relying party's policy asks is asked of the evidence, and a changed flow is named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flow_policies import (
    NARROW_DIGEST,
    NARROW_DOCUMENT,
    WIDE_DIGEST,
    WIDE_DOCUMENT,
)
from simulated_device import GOOD, NONCE, REFERENCES, SimulatedDevice, expectations

from attest.appraisal import Challenge, Expectations, Verdict, appraise
from attest.corim import ReferenceValues
from attest.errors import FlowsError
from attest.explain import explain
from attest.flows import EMPTY, FlowBook, Route
from attest.policy import DEFAULT, Policy, Rules

KNOWN = FlowBook.of([NARROW_DOCUMENT, WIDE_DOCUMENT])
WEEKLY_BY_USB = Route("alice/health", "usb", "coach.weekly")
WEEKLY_BY_BLE = Route("alice/health", "ble", "coach.weekly")
NARROW_VALUES = replace(REFERENCES, policy=NARROW_DIGEST)
NARROW_DEVICE = replace(GOOD, policy=NARROW_DIGEST)
WIDE_DEVICE = replace(GOOD, policy=WIDE_DIGEST)


def appraised(
    device: SimulatedDevice,
    rules: Rules,
    references: ReferenceValues | None = REFERENCES,
    flows: FlowBook = EMPTY,
    age: int | None = None,
) -> Verdict:
    expected = replace(
        expectations(references=references),
        policy=Policy(rules=rules),
        flows=flows,
        challenge=Challenge(NONCE, age=age),
    )
    return appraise(device.answer(), expected)


def why(verdict: Verdict, claim: str) -> str:
    return next(each.why for each in verdict.claims if each.claim == claim)


def test_equal_code_with_other_flows_is_other_evidence_and_the_changed_flow_is_named() -> None:
    narrow, wide = NARROW_DEVICE.evidence(), WIDE_DEVICE.evidence()
    assert narrow.enclaves == wide.enclaves
    assert narrow != wide
    assert NARROW_DEVICE.certificate != WIDE_DEVICE.certificate
    assert appraised(NARROW_DEVICE, Rules(), NARROW_VALUES, KNOWN).trusted
    verdict = appraised(WIDE_DEVICE, Rules(), NARROW_VALUES, KNOWN)
    assert verdict.verdict == "untrusted"
    assert verdict.differing == ("policy",)
    assert "ble" in why(verdict, "policy")
    assert "alice/health" in why(verdict, "policy")


def test_a_token_that_hides_the_changed_flow_contradicts_its_certificate() -> None:
    """The image may sign any token; what boot measured stands in the certificate."""
    lies = tuple(
        replace(part, value=NARROW_DIGEST) if part.type == "policy" else part
        for part in WIDE_DEVICE.evidence().components
    )
    liar = replace(WIDE_DEVICE, token_changes={"components": lies})
    verdict = appraised(liar, Rules(), NARROW_VALUES, KNOWN)
    assert verdict.differing == ("policy",)


def test_a_changed_flow_that_nobody_has_the_text_of_is_refused_all_the_same() -> None:
    verdict = appraised(WIDE_DEVICE, Rules(), NARROW_VALUES, FlowBook.of([NARROW_DOCUMENT]))
    assert verdict.differing == ("policy",)
    assert "other data may leave" in why(verdict, "policy")


@pytest.mark.parametrize(
    ("device", "references", "flows", "rules", "outcome"),
    [
        (NARROW_DEVICE, NARROW_VALUES, KNOWN, (WEEKLY_BY_USB,), "trusted"),
        (NARROW_DEVICE, NARROW_VALUES, KNOWN, (WEEKLY_BY_USB, WEEKLY_BY_BLE), "trusted"),
        (NARROW_DEVICE, NARROW_VALUES, KNOWN, (), "untrusted"),
        (NARROW_DEVICE, NARROW_VALUES, KNOWN, (WEEKLY_BY_BLE,), "untrusted"),
        (NARROW_DEVICE, NARROW_VALUES, KNOWN, (Route("alice/health", "usb"),), "untrusted"),
        (NARROW_DEVICE, NARROW_VALUES, EMPTY, (WEEKLY_BY_USB,), "unknown"),
    ],
)
def test_only_the_flows_that_the_policy_lists_are_allowed(
    device: SimulatedDevice,
    references: ReferenceValues,
    flows: FlowBook,
    rules: tuple[Route, ...],
    outcome: str,
) -> None:
    """Even when the bundle itself says otherwise: the relying party need not trust its builder."""
    verdict = appraised(device, Rules(flows=rules), references, flows)
    assert verdict.verdict == outcome
    assert verdict.differing == (() if outcome == "trusted" else ("flows",))
    if outcome == "untrusted":
        assert "alice/health leaves by USB as coach.weekly" in why(verdict, "flows")


@pytest.mark.parametrize(
    ("rules", "claim"),
    [
        (Rules(versions=("1.2.4",)), "version"),
        (Rules(versions=("2.0.0", ">=1.3")), "version"),
        (Rules(minimum_security_counter=8), "security counter"),
        (Rules(lifecycle=("recoverable-debug",)), "lifecycle"),
    ],
)
def test_what_the_policy_does_not_accept_is_named(rules: Rules, claim: str) -> None:
    verdict = appraised(GOOD, rules)
    assert verdict.verdict == "untrusted"
    assert verdict.differing == (claim,)


@pytest.mark.parametrize(
    "rules",
    [
        Rules(versions=("1.2.3",)),
        Rules(versions=("9.0.0", ">=1.2, <2")),
        Rules(minimum_security_counter=7),
        Rules(lifecycle=("secured", "provisioning")),
    ],
)
def test_what_the_policy_accepts_is_trusted(rules: Rules) -> None:
    assert appraised(GOOD, rules).trusted


def test_the_version_of_an_unknown_image_is_not_believed() -> None:
    """Only an image of the bundle has the bundle's version; the token's word is not enough."""
    stranger = replace(GOOD, image=b"\x77" * 32)
    verdict = appraised(stranger, Rules(versions=("1.2.3",)))
    assert "appliance" in verdict.differing
    assert "version" not in [claim.claim for claim in verdict.claims]


@pytest.mark.parametrize(
    ("age", "outcome"),
    [(0, "trusted"), (300, "trusted"), (301, "untrusted"), (-1, "untrusted"), (None, "unknown")],
)
def test_evidence_is_only_so_old(age: int | None, outcome: str) -> None:
    verdict = appraised(GOOD, Rules(maximum_age=300), age=age)
    assert verdict.verdict == outcome
    assert verdict.differing == (() if outcome == "trusted" else ("age",))


def test_debug_devices_are_for_those_who_ask_for_them_and_boot_must_agree() -> None:
    rules = Rules(lifecycle=("recoverable-debug",))
    assert appraised(replace(GOOD, lifecycle=0x5000, mode=2), rules).trusted
    assert appraised(replace(GOOD, lifecycle=0x5000, mode=1), rules).differing == ("lifecycle",)


def test_an_appliance_has_its_own_rules() -> None:
    strict = Rules(minimum_security_counter=99)
    policy = Policy("p", Rules(), (("heart-diary", strict),))
    verdict = appraise(GOOD.answer(), replace(expectations(), policy=policy))
    assert verdict.differing == ("security counter",)
    assert verdict.policy == policy.identifier
    other = Policy("p", strict, (("heart-diary", Rules()),))
    assert appraise(GOOD.answer(), replace(expectations(), policy=other)).trusted


def test_the_same_inputs_give_the_same_verdict_and_leave_them_as_they_were() -> None:
    answer, expected = GOOD.answer(), expectations()
    first = appraise(answer, expected)
    assert first == appraise(answer, expected)
    assert expected == expectations(endorsed=expected.endorsement)
    assert first.policy == DEFAULT.identifier
    assert (first.appliance, first.version) == ("heart-diary", "1.2.3")


def test_every_verdict_is_explained_in_plain_words() -> None:
    assert explain(appraise(GOOD.answer(), expectations())).reasons == ()
    told = explain(appraised(WIDE_DEVICE, Rules(), NARROW_VALUES, KNOWN))
    assert told.headline == "Do not rely on this device."
    assert [reason.claim for reason in told.reasons] == ["policy"]
    assert "may pass on other data" in told.reasons[0].means
    assert told.reasons[0].do
    nothing = Expectations(Challenge(NONCE), None, None, None)
    unknown = explain(appraise(GOOD.answer(), nothing))
    assert "not everything could be checked" in unknown.headline
    assert {reason.claim for reason in unknown.reasons} == {
        "certificate",
        "endorsement",
        "reference values",
    }


def test_what_is_no_flow_policy_is_refused() -> None:
    for bad in (b"", b"\xa0", NARROW_DOCUMENT + b"\0"):
        with pytest.raises(FlowsError):
            FlowBook.of([bad])
