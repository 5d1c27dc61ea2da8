# SPDX-License-Identifier: Apache-2.0
"""Results are EARs that others can read, in both dialects, and nobody else can make them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import cbor2
import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_device import GOOD, NONCE, expectations, private_key

from attest import ear, psa_token
from attest.appraisal import NonceState, appraise
from attest.ar4si import Tier, facet, status, vector
from attest.ear import Dialect, Issuer, Result
from attest.errors import ResultError
from attest.keys import public_pem
from attest.p256 import PublicKey
from attest.response import Response
from attest.verdict import Claim, Outcome, Verdict
from enclaves import cbor, cose

VERIFIER = Issuer(private_key(0x7777))
PUBLIC = VERIFIER.key.public_key()
TRUSTED = appraise(GOOD.answer(), expectations())
UNTRUSTED = appraise(replace(GOOD, policy=bytes(32)).answer(), expectations())
UNKNOWN = appraise(GOOD.answer(), expectations(endorsed=None))
BOTH = pytest.mark.parametrize("dialect", list(Dialect))


def result(verdict: Verdict = TRUSTED) -> Result:
    return Result(verdict, NONCE, 1_760_000_000, GOOD.evidence())


def jwt_parts(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, read with nothing but base64 and json."""
    head, body, _ = text.split(".")
    read = (json.loads(base64.urlsafe_b64decode(part + "===")) for part in (head, body))
    return next(read), next(read)


@BOTH
@pytest.mark.parametrize(
    ("verdict", "tier"),
    [
        (TRUSTED, Tier.AFFIRMING),
        (UNTRUSTED, Tier.CONTRAINDICATED),
        (UNKNOWN, Tier.NONE),
    ],
)
def test_what_is_issued_is_read_back(verdict: Verdict, tier: Tier, dialect: Dialect) -> None:
    from_jwt = ear.read_jwt(ear.to_jwt(result(verdict), VERIFIER, dialect), PUBLIC)
    from_cwt = ear.read_cwt(ear.to_cwt(result(verdict), VERIFIER, dialect), PUBLIC)
    assert from_jwt == from_cwt
    assert from_jwt.status is tier
    assert from_jwt.policies == (verdict.policy,)
    assert (from_jwt.nonce, from_jwt.issued) == (NONCE, 1_760_000_000)


def test_draft_03_in_json_has_the_names_of_the_draft() -> None:
    header, claims = jwt_parts(ear.to_jwt(result(), VERIFIER))
    assert header["alg"] == "ES256"
    assert claims["eat_profile"] == "tag:ietf.org,2026:rats/ear#03"
    assert claims["ear_verifier_id"] == {"developer": "coffret", "build": "coffret verifier"}
    assert base64.urlsafe_b64decode(claims["eat_nonce"] + "=") == NONCE
    appraisal = claims["submods"]["coffret"]
    assert appraisal["ear_status"] == "affirming"
    assert appraisal["ear_trustworthiness_vector"] == {
        "instance-identity": 2,
        "configuration": 2,
        "executables": 2,
        "hardware": 2,
    }
    assert appraisal["ear_appraisal_policy_ids"] == [TRUSTED.policy]


def test_draft_03_in_cbor_has_the_numbers_of_the_draft() -> None:
    """The shape of the draft's Figure 5, read with cbor2 alone."""
    message = cbor2.loads(ear.to_cwt(result(UNTRUSTED), VERIFIER))
    assert message.tag == 18
    claims = cbor2.loads(message.value[2])
    assert claims[265] == "tag:ietf.org,2026:rats/ear#03"
    assert claims[6] == 1_760_000_000
    assert claims[10] == NONCE
    assert claims[1004] == {0: "coffret", 1: "coffret verifier"}
    appraisal = claims[266]["coffret"]
    assert appraisal[1000] == 96
    assert appraisal[1001] == {0: 2, 1: 96, 2: 2, 4: 2}
    assert appraisal[1003] == [UNTRUSTED.policy]


def test_veraisons_dialect_has_its_names_and_the_evidence_beside_the_result() -> None:
    _, claims = jwt_parts(ear.to_jwt(result(UNTRUSTED), VERIFIER, Dialect.VERAISON))
    assert claims["eat_profile"] == "tag:github.com,2023:veraison/ear"
    assert set(claims["ear.verifier-id"]) == {"developer", "build"}
    appraisal = claims["submods"]["PSA_IOT"]
    assert appraisal["ear.status"] == "contraindicated"
    assert appraisal["ear.trustworthiness-vector"]["configuration"] == 96
    assert appraisal["ear.appraisal-policy-id"] == UNTRUSTED.policy
    told = appraisal["ear.veraison.annotated-evidence"]
    assert base64.b64decode(told["psa-nonce"]) == NONCE
    assert told["psa-security-lifecycle"] == 0x3000
    assert [part["measurement-type"] for part in told["psa-software-components"]] == [
        part.type for part in GOOD.evidence().components
    ]
    explanation = appraisal["ear.veraison.policy-claims"][ear.EXPLANATION]
    assert explanation["reasons"][0]["claim"] == "policy"


def test_an_ordinary_jwt_library_verifies_the_result() -> None:
    text = ear.to_jwt(result(), VERIFIER)
    assert jwt.decode(text, PUBLIC, ["ES256"])["iat"] == 1_760_000_000
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(text, private_key(2).public_key(), ["ES256"])


def test_evidence_that_cannot_be_parsed_has_a_result_too() -> None:
    verdict = appraise(Response(b"", b""), expectations())
    made = Result(verdict, NONCE, 1, None)
    for dialect in Dialect:
        received = ear.read_jwt(ear.to_jwt(made, VERIFIER, dialect), PUBLIC)
        assert received.status is Tier.CONTRAINDICATED
        assert received.vector == {"instance-identity": 99}


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (TRUSTED, {0: 2, 1: 2, 2: 2, 4: 2}),
        (UNTRUSTED, {0: 2, 1: 96, 2: 2, 4: 2}),
        (UNKNOWN, {0: 0, 1: 2, 2: 2, 4: 2}),
        (appraise(GOOD.answer(), expectations(references=None)), {0: 2, 1: 2, 2: 0}),
        (
            appraise(GOOD.answer(), expectations(state=NonceState.USED)),
            {0: 99, 1: 2, 2: 2, 4: 2},
        ),
        (
            appraise(replace(GOOD, lifecycle=0x2000).answer(), expectations()),
            {0: 2, 1: 96, 2: 2, 4: 2},
        ),
        (
            appraise(replace(GOOD, counter=3).answer(), expectations()),
            {0: 2, 1: 2, 2: 96, 4: 2},
        ),
        (
            appraise(replace(GOOD, secret=b"\1" * 32).answer(), expectations()),
            {0: 97, 1: 2, 2: 2, 4: 2},
        ),
    ],
)
def test_the_vector_says_which_facet_is_wrong(verdict: Verdict, expected: dict[int, int]) -> None:
    assert {int(each): value for each, value in vector(verdict).items()} == expected


CLAIMS = st.sampled_from(
    ["nonce", "signature", "endorsement", "caller", "lifecycle", "policy", "board", "boot", "flows"]
)


@given(st.dictionaries(CLAIMS, st.sampled_from(list(Outcome)), min_size=1))
def test_the_worst_of_the_vector_is_the_tier_of_the_verdict(claims: dict[str, Outcome]) -> None:
    verdict = Verdict("d", tuple(Claim(name, "", "", how, "") for name, how in claims.items()))
    values = vector(verdict).values()
    assert {facet(name) for name in claims} == set(vector(verdict))
    worst = max(values)
    if status(verdict) is Tier.CONTRAINDICATED:
        assert worst >= 96
    elif status(verdict) is Tier.NONE:
        assert 0 in values and worst < 96
    else:
        assert set(values) == {2}


def forged_jwts() -> list[tuple[str, str]]:
    """Results that the verifier did not sign, each in its way."""
    good = ear.to_jwt(result(), VERIFIER)
    claims = ear.claims_json(result(), VERIFIER, Dialect.EAR03)
    head, body, signature = good.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    hs256 = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=").decode()
    other = ear.to_jwt(result(UNTRUSTED), VERIFIER).split(".")[1]
    signed = [
        {**claims, "eat_profile": "tag:github.com,2023:veraison/ear"},
        {**claims, "eat_profile": "else"},
        {**claims, "eat_nonce": "*"},
        {**claims, "iat": "now"},
        {**claims, "submods": {}},
        {**claims, "submods": {"coffret": {"ear_status": "splendid"}}},
        {**claims, "submods": {"coffret": {"ear_status": "affirming"}}},
        {key: value for key, value in claims.items() if key != "iat"},
    ]
    return [
        ("empty", ""),
        ("no JWT", "a.b.c"),
        ("unsigned", f"{head}.{body}."),
        ("alg none", f"{none}.{body}."),
        ("alg none, signed", f"{none}.{body}.{signature}"),
        ("alg HS256", f"{hs256}.{body}.{signature}"),
        ("another result's signature", f"{head}.{other}.{signature}"),
        ("another key", ear.to_jwt(result(), Issuer(private_key(3)))),
        ("truncated", good[:-1]),
        ("too long", good + "A" * ear.MAX_BYTES),
        *(
            (f"signed {n}", jwt.encode(each, VERIFIER.key, "ES256"))
            for n, each in enumerate(signed)
        ),
    ]


@pytest.mark.parametrize(("name", "text"), forged_jwts(), ids=lambda value: value[:24])
def test_a_forged_jwt_is_refused(name: str, text: str) -> None:
    with pytest.raises(ResultError):
        print(name, ear.read_jwt(text, PUBLIC))


def test_hmac_keyed_with_the_public_key_is_refused() -> None:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
    body = ear.to_jwt(result(), VERIFIER).split(".")[1].encode()
    mac = hmac.digest(public_pem(PUBLIC).encode(), head + b"." + body, hashlib.sha256)
    text = b".".join((head, body, base64.urlsafe_b64encode(mac).rstrip(b"="))).decode()
    with pytest.raises(ResultError):
        ear.read_jwt(text, PUBLIC)


def forged_cwts() -> list[tuple[str, bytes]]:
    good = ear.to_cwt(result(), VERIFIER)
    claims = ear.claims_cbor(result(), VERIFIER, Dialect.EAR03)
    changes: list[dict[int, Any]] = [
        {ear.PROFILE: "else"},
        {ear.PROFILE: 1},
        {ear.NONCE: "text"},
        {ear.IAT: -1},
        {ear.SUBMODS: {}},
        {ear.SUBMODS: {"coffret": {1000: 1, 1001: {}}}},
        {ear.SUBMODS: {"coffret": {1000: 2}}},
        {ear.SUBMODS: {"coffret": {1000: 2, 1001: {0: 1000}}}},
        {ear.SUBMODS: {"coffret": {1000: 2, 1001: {}, 1003: [1]}}},
    ]
    return [
        ("empty", b""),
        ("truncated", good[:-1]),
        ("trailing", good + b"\0"),
        ("another key", ear.to_cwt(result(), Issuer(private_key(3)))),
        ("no claims", cose.sign1(cbor.encode([1]), VERIFIER.key)),
        ("evidence", psa_token.write(GOOD.evidence(), VERIFIER.key)),
        *(
            (f"changed {n}", cose.sign1(cbor.encode(claims | each), VERIFIER.key))
            for n, each in enumerate(changes)
        ),
    ]


@pytest.mark.parametrize(
    ("name", "data"), forged_cwts(), ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_forged_cwt_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(ResultError):
        print(name, ear.read_cwt(data, PUBLIC))


@given(st.text(max_size=300), st.binary(max_size=300))
def test_junk_is_refused_and_raises_nothing_else(text: str, data: bytes) -> None:
    key: PublicKey = PUBLIC
    with pytest.raises(ResultError):
        ear.read_jwt(text, key)
    with pytest.raises(ResultError):
        ear.read_cwt(data, key)
