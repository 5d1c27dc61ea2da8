# SPDX-License-Identifier: Apache-2.0
"""Every claim attacked: each difference names its claim, and nothing else passes for trusted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from simulated_device import (
    GOOD,
    GOOD_ENDORSEMENT,
    NONCE,
    OPERATOR,
    OTHER_OPERATOR,
    REFERENCES,
    SimulatedDevice,
    digest,
    expectations,
    private_key,
)

from attest import certificate, dice, endorsement, p256, psa_claims, psa_token
from attest.appraisal import NonceState, Outcome, Verdict, appraise
from attest.evidence import Component, Evidence
from attest.response import Response
from enclaves import cbor, cose

ALL_CLAIMS = (
    "nonce",
    "signature",
    "certificate",
    "endorsement",
    "lifecycle",
    "caller",
    "board",
    "boot",
    "runtime",
    "appliance",
    "policy",
    "enclave:sensor",
    "enclave:coach",
    "signing key",
    "security counter",
)


def appraised(device: SimulatedDevice) -> Verdict:
    """The verdict on a device that the operator endorsed as the good one."""
    return appraise(device.answer(), expectations())


def changed(**changes: object) -> SimulatedDevice:
    """The good hardware, its token saying something else than boot measured."""
    return replace(GOOD, token_changes=changes)


def with_component(kind: str, **changes: object) -> SimulatedDevice:
    components = tuple(
        replace(part, **changes) if part.type == kind else part  # type: ignore[arg-type]
        for part in GOOD.evidence().components
    )
    return changed(components=components)


def test_good_device_is_trusted_claim_by_claim() -> None:
    verdict = appraised(GOOD)
    assert verdict.verdict == "trusted"
    assert tuple(claim.claim for claim in verdict.claims) == ALL_CLAIMS
    assert all(claim.ok and not claim.why for claim in verdict.claims)
    assert verdict.device == GOOD.identity_facts.instance_id.hex()


def test_slot_b_of_the_same_bundle_is_trusted_too() -> None:
    assert appraised(replace(GOOD, image=REFERENCES.image_b)).trusted


@dataclass(frozen=True)
class Attack:
    """A device that differs, and exactly the claims that must say so."""

    name: str
    device: SimulatedDevice
    differing: tuple[str, ...]


OTHER_SIGNER = p256.key_hash(private_key(77).public_key())

ATTACKS = [
    Attack("another image", replace(GOOD, image=digest("evil")), ("appliance",)),
    Attack("another policy", replace(GOOD, policy=digest("leaky")), ("policy",)),
    Attack("another signing key", replace(GOOD, signer_id=OTHER_SIGNER), ("signing key",)),
    Attack("another boot", replace(GOOD, boot=digest("evil boot")), ("boot",)),
    Attack("another runtime", replace(GOOD, runtime=digest("evil vm")), ("runtime",)),
    Attack(
        "another enclave's code",
        replace(GOOD, enclaves=(("sensor", digest("spy")), ("coach", digest("coach")))),
        ("enclave:sensor",),
    ),
    Attack(
        "an enclave left out",
        replace(GOOD, enclaves=(("sensor", digest("sensor")),)),
        ("enclave:coach",),
    ),
    Attack(
        "an enclave too many",
        replace(GOOD, enclaves=(*REFERENCES.enclaves, ("spy", digest("spy")))),
        ("enclave:spy",),
    ),
    Attack("an older image", replace(GOOD, counter=6), ("security counter",)),
    Attack("never secured", replace(GOOD, lifecycle=0x2000, mode=2), ("lifecycle",)),
    Attack("secured after boot", replace(GOOD, mode=int(dice.Mode.DEBUG)), ("lifecycle",)),
    Attack("lies of being secured", replace(GOOD, lifecycle=0x3000, mode=0), ("lifecycle",)),
    Attack("decommissioned", replace(GOOD, lifecycle=0x6000), ("lifecycle",)),
    Attack("another version named", replace(GOOD, version="9.9.9"), ("appliance",)),
    Attack("an enclave asked", changed(client_id=-7), ("caller",)),
    Attack("the secure side asked", changed(client_id=3), ("caller",)),
    Attack(
        "token lies about the image",
        with_component("appliance", value=REFERENCES.image_b),
        ("appliance",),
    ),
    Attack("token lies about boot", with_component("boot", value=digest("x")), ("boot",)),
    Attack("token lies about the policy", with_component("policy", value=digest("x")), ("policy",)),
    Attack(
        "token lies about a signer",
        with_component("enclave:coach", signer_id=OTHER_SIGNER),
        ("signing key",),
    ),
    Attack(
        "an evil image hides behind good components",
        replace(
            GOOD,
            image=digest("evil"),
            token_changes={"components": GOOD.evidence().components},
        ),
        ("appliance",),
    ),
    Attack(
        "a leaky policy hides behind good components",
        replace(
            GOOD,
            policy=digest("leaky"),
            token_changes={"components": GOOD.evidence().components},
        ),
        ("policy",),
    ),
    Attack(
        "an image of another signer hides behind good components",
        replace(
            GOOD,
            signer_id=OTHER_SIGNER,
            token_changes={"components": GOOD.evidence().components},
        ),
        ("signing key",),
    ),
    Attack(
        "another implementation",
        changed(implementation_id=endorsement.implementation_id("mps2-an386")),
        ("endorsement", "board"),
    ),
    Attack(
        "boot names another board",
        replace(
            GOOD,
            board="mps2-an386",
            token_changes={"implementation_id": REFERENCES.implementation_id},
        ),
        ("board",),
    ),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack_is_untrusted_and_named(attack: Attack) -> None:
    verdict = appraised(attack.device)
    assert verdict.verdict == "untrusted"
    assert verdict.differing == attack.differing
    for claim in verdict.claims:
        if not claim.ok:
            assert claim.why and claim.expected and claim.found


def test_what_boot_certified_is_shown_and_not_what_the_image_says() -> None:
    liar = replace(
        GOOD, image=digest("evil"), token_changes={"components": GOOD.evidence().components}
    )
    claim = next(c for c in appraised(liar).claims if c.claim == "appliance")
    assert claim.found == digest("evil").hex()


def test_never_endorsed_device_is_unknown_and_says_so() -> None:
    verdict = appraise(GOOD.answer(), expectations(endorsed=None))
    assert verdict.verdict == "unknown"
    assert verdict.differing == ("certificate", "endorsement")
    claim = next(c for c in verdict.claims if c.claim == "endorsement")
    assert "never endorsed" in claim.why


def test_never_endorsed_device_with_another_image_is_untrusted() -> None:
    device = replace(GOOD, image=digest("evil"))
    verdict = appraise(device.answer(), expectations(endorsed=None))
    assert verdict.verdict == "untrusted"
    assert "appliance" in verdict.differing


def test_endorsement_of_another_operator_is_refused() -> None:
    forged = GOOD.endorsed_by(OTHER_OPERATOR)
    verdict = appraise(GOOD.answer(), expectations(endorsed=forged))
    assert verdict.verdict == "untrusted"
    assert "endorsement" in verdict.differing


def test_without_an_operator_key_nothing_is_trusted() -> None:
    verdict = appraise(GOOD.answer(), expectations(operator=None))
    assert verdict.verdict == "unknown"
    assert "endorsement" in verdict.differing


def test_without_reference_values_nothing_is_trusted() -> None:
    verdict = appraise(GOOD.answer(), expectations(references=None))
    assert verdict.verdict == "unknown"
    assert verdict.differing == ("reference values",)


def test_endorsement_of_another_device_is_refused() -> None:
    other = replace(GOOD, secret=digest("other")).endorsed_by()
    verdict = appraise(GOOD.answer(), expectations(endorsed=other))
    assert verdict.verdict == "untrusted"
    assert "endorsement" in verdict.differing


def test_boot_changed_since_endorsement_is_named_even_if_the_bundle_has_it_too() -> None:
    device = replace(GOOD, boot=digest("new boot"))
    references = replace(REFERENCES, boot=digest("new boot"))
    verdict = appraise(device.answer(), expectations(references=references))
    assert verdict.differing == ("boot",)
    claim = next(c for c in verdict.claims if c.claim == "boot")
    assert "endorsed" in claim.why


@pytest.mark.parametrize("state", [NonceState.USED, NonceState.EXPIRED, NonceState.UNKNOWN])
def test_nonce_that_is_not_fresh_is_untrusted(state: NonceState) -> None:
    verdict = appraise(GOOD.answer(), expectations(state=state))
    assert verdict.verdict == "untrusted"
    assert verdict.differing == ("nonce",)


@pytest.mark.parametrize("nonce", [bytes(32), bytes(48), b"", NONCE[:-1], NONCE + b"\0"])
def test_answer_to_another_challenge_is_untrusted(nonce: bytes) -> None:
    verdict = appraise(GOOD.answer(), expectations(nonce=nonce))
    assert verdict.verdict == "untrusted"
    assert verdict.differing == ("nonce",)


def test_clone_with_another_secret_fails_although_it_claims_the_same_identity() -> None:
    clone = replace(
        GOOD,
        secret=digest("clone"),
        token_changes={"instance_id": GOOD.identity_facts.instance_id},
    )
    assert appraised(clone).differing == ("certificate",)


def test_token_of_another_device_under_a_good_certificate_fails() -> None:
    other = replace(GOOD, secret=digest("other"))
    mixed = Response(
        psa_token.write(GOOD.evidence(), other.alias),
        GOOD.certificate,
    )
    assert appraise(mixed, expectations()).differing == ("signature",)


def test_alias_key_may_not_certify_itself() -> None:
    """A certificate that the attestation key issued instead of the identity key."""
    self_issued = certificate.issue(
        GOOD.alias, GOOD.alias.public_key(), GOOD.inputs, GOOD.descriptor
    )
    response = Response(psa_token.write(GOOD.evidence(), GOOD.alias), self_issued)
    assert appraise(response, expectations()).differing == ("certificate",)


def test_certificate_is_no_token_and_a_token_no_certificate() -> None:
    good = GOOD.answer()
    swapped = Response(good.certificate, good.token)
    assert appraise(swapped, expectations()).verdict == "untrusted"


def test_endorsement_signed_as_something_else_is_refused() -> None:
    """The operator's signature over the same payload in another document counts for nothing."""
    payload = cose.read1(GOOD_ENDORSEMENT).payload
    bare = cose.sign1(payload, OPERATOR)
    verdict = appraise(GOOD.answer(), expectations(endorsed=bare))
    assert verdict.verdict == "untrusted"
    assert "endorsement" in verdict.differing


def test_outcome_order_wrong_beats_unchecked() -> None:
    verdict = appraise(GOOD.answer(), expectations(endorsed=None, state=NonceState.USED))
    assert {claim.outcome for claim in verdict.claims} == set(Outcome)
    assert verdict.verdict == "untrusted"


def test_json_has_the_shape_that_scripts_rely_on() -> None:
    document = appraised(replace(GOOD, image=digest("evil"))).to_json()
    assert list(document) == ["device", "verdict", "claims"]
    claims = document["claims"]
    assert isinstance(claims, list)
    for claim in claims:
        assert list(claim) == ["claim", "expected", "found", "ok", "why"]
        assert isinstance(claim["ok"], bool)


def test_component_lists_out_of_order_are_malformed() -> None:
    components = GOOD.evidence().components
    shuffled = (components[1], components[0], *components[2:])
    verdict = appraised(changed(components=shuffled))
    assert verdict.verdict == "untrusted"
    assert verdict.differing == ("evidence",)


def test_component_listed_twice_is_malformed() -> None:
    components = GOOD.evidence().components
    twice = (*components, Component("enclave:coach", digest("evil"), REFERENCES.signer_id))
    verdict = appraised(changed(components=twice))
    assert verdict.differing == ("evidence",)


def test_a_device_that_reports_again_costs_one_signature_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And one that verified once is refused as soon as a bit of it differs."""
    checked: list[bytes] = []
    check1 = cose.check1

    def counted(message: cose.Sign1, key: p256.PublicKey) -> None:
        checked.append(message.payload)
        check1(message, key)

    monkeypatch.setattr(cose, "check1", counted)
    device = replace(GOOD, secret=digest("met for the first time"))
    expected = expectations(endorsed=device.endorsed_by())
    for checks in (3, 1, 1):
        checked.clear()
        assert appraise(device.answer(), expected).trusted
        assert len(checked) == checks
    forged = bytearray(device.certificate)
    forged[-20] ^= 1  # within the signature
    answer = replace(device.answer(), certificate=bytes(forged))
    assert appraise(answer, expected).differing == ("certificate",)


def test_claims_map_is_what_the_wire_carries() -> None:
    token: Evidence = GOOD.evidence()
    payload = cose.read1(GOOD.answer().token).payload
    assert cbor.decode(payload) == psa_claims.to_map(token)
