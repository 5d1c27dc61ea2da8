# SPDX-License-Identifier: Apache-2.0
"""A grant is worth something for exactly what its owner signed, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from enclaves import cbor, cose, grants
from enclaves.budgets import Budget, parse_rate
from enclaves.grants import Grant, GrantError, Kind, Request
from enclaves.keys import key_digest
from enclaves.labels import label

OWNER = ec.derive_private_key(0xA11CE, ec.SECP256R1())
MALLORY = ec.derive_private_key(0xBAD, ec.SECP256R1())
NOW = datetime(2026, 6, 1, tzinfo=UTC)
GRANT = Grant(
    appliance="heart_diary",
    kind=Kind.RELEASE,
    tags=label(["alice/health"]),
    gate="coach.weekly",
    code=bytes(range(32)),
    budget=Budget(1, 604800, 16),
    expires=int(datetime(2027, 1, 1, tzinfo=UTC).timestamp()),
)
REQUEST = Request("heart_diary", Kind.RELEASE, "coach.weekly", GRANT.code, GRANT.budget)
FILE = grants.sign(GRANT, OWNER)


def test_a_good_grant_is_read_as_it_was_signed() -> None:
    signed = grants.verify(FILE, OWNER.public_key(), REQUEST, NOW)
    assert signed.grant == GRANT
    assert signed.signer == key_digest(OWNER.public_key())
    assert grants.sign(GRANT, OWNER) == FILE


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (replace(REQUEST, gate="coach.daily"), "for the gate coach.weekly, not coach.daily"),
        (replace(REQUEST, appliance="other"), "for the appliance heart_diary"),
        (replace(REQUEST, kind=Kind.VOUCH), "allows to release, not to vouch"),
        (replace(REQUEST, code=bytes(32)), "for other code"),
        (replace(REQUEST, budget=Budget(2, 604800, 16)), "asks for at most 16 bytes twice a week"),
        (replace(REQUEST, budget=Budget(1, 604800, 17)), "asks for at most 17 bytes once a week"),
        (replace(REQUEST, budget=Budget(1, 86400, 16)), "asks for at most 16 bytes once a day"),
        (replace(REQUEST, budget=Budget(1, 2 * 604800, 16)), "asks for"),
    ],
)
def test_a_grant_for_something_else_is_refused(request_: Request, why: str) -> None:
    with pytest.raises(GrantError, match=why):
        grants.verify(FILE, OWNER.public_key(), request_, NOW)


def test_a_manifest_may_ask_for_less_than_was_granted() -> None:
    smaller = replace(REQUEST, budget=Budget(1, 604800, 8))
    assert grants.verify(FILE, OWNER.public_key(), smaller, NOW).grant == GRANT


def test_a_grant_expires_to_the_second() -> None:
    last = datetime.fromtimestamp(GRANT.expires - 1, UTC)
    grants.verify(FILE, OWNER.public_key(), REQUEST, last)
    with pytest.raises(GrantError, match="expired on 2027-01-01"):
        after = datetime.fromtimestamp(GRANT.expires, UTC)
        grants.verify(FILE, OWNER.public_key(), REQUEST, after)


def test_another_key_is_refused_whatever_the_header_claims() -> None:
    with pytest.raises(GrantError, match="not this owner's"):
        grants.verify(FILE, MALLORY.public_key(), REQUEST, NOW)
    with pytest.raises(GrantError, match="not this owner's"):
        grants.verify(grants.sign(GRANT, MALLORY), OWNER.public_key(), REQUEST, NOW)
    payload = cose.read1(FILE).payload
    claims_owner = cose.sign1(
        payload,
        MALLORY,
        {
            cose.HEADER_CONTENT_TYPE: grants.CONTENT_TYPE,
            cose.HEADER_KID: key_digest(OWNER.public_key()),
        },
    )
    with pytest.raises(GrantError, match="not this owner's"):
        grants.verify(claims_owner, OWNER.public_key(), REQUEST, NOW)
    claims_mallory = cose.sign1(
        payload,
        OWNER,
        {
            cose.HEADER_CONTENT_TYPE: grants.CONTENT_TYPE,
            cose.HEADER_KID: key_digest(MALLORY.public_key()),
        },
    )
    with pytest.raises(GrantError, match="another key"):
        grants.verify(claims_mallory, OWNER.public_key(), REQUEST, NOW)


@pytest.mark.parametrize("at", range(len(FILE)))
def test_any_changed_byte_is_refused(at: int) -> None:
    changed = bytearray(FILE)
    changed[at] ^= 0x04
    with pytest.raises(GrantError):
        grants.verify(bytes(changed), OWNER.public_key(), REQUEST, NOW)


def test_trailing_and_missing_bytes_are_refused() -> None:
    for data in (FILE + b"\x00", FILE + FILE, FILE[:-1], b"", b"\x00" * 5000):
        with pytest.raises(GrantError):
            grants.verify(data, OWNER.public_key(), REQUEST, NOW)


def signed_payload(payload: object, header: dict[cose.Label, object] | None = None) -> bytes:
    usual: dict[cose.Label, object] = {
        cose.HEADER_CONTENT_TYPE: grants.CONTENT_TYPE,
        cose.HEADER_KID: key_digest(OWNER.public_key()),
    }
    return cose.sign1(cbor.encode(payload), OWNER, usual if header is None else header)


def changed(**fields: object) -> object:
    payload = cbor.decode(cose.read1(FILE).payload)
    assert isinstance(payload, dict)
    return {k: v for k, v in {**payload, **fields}.items() if v is not None}


@pytest.mark.parametrize(
    "data",
    [
        signed_payload([1]),
        signed_payload(changed(extra=1)),
        signed_payload(changed(code=None)),
        signed_payload(changed(code=bytes(31))),
        signed_payload(changed(kind="give")),
        signed_payload(changed(tags=[])),
        signed_payload(changed(tags=["b", "a"])),
        signed_payload(changed(tags=["a", "a"])),
        signed_payload(changed(tags=["a", 1])),
        signed_payload(changed(tags="alice/health")),
        signed_payload(changed(messages=0)),
        signed_payload(changed(messages=True)),
        signed_payload(changed(bytes=-1)),
        signed_payload(changed(expires=1 << 50)),
        signed_payload(changed(), {}),
        signed_payload(changed(), {3: "text/plain", 4: key_digest(OWNER.public_key())}),
        signed_payload(changed(), {3: grants.CONTENT_TYPE, 4: "kid"}),
        signed_payload(changed(), {3: grants.CONTENT_TYPE, 4: b"", 5: 1}),
    ],
)
def test_what_the_owner_signed_must_still_be_a_grant(data: bytes) -> None:
    with pytest.raises(GrantError, match="not a grant"):
        grants.verify(data, OWNER.public_key(), REQUEST, NOW)


def test_rates_are_read_and_said() -> None:
    assert parse_rate("1/day") == (1, 86400)
    assert Budget(*parse_rate("3/hour"), 1).words() == "at most 1 byte 3 times an hour"
    assert Budget(*parse_rate("2/week"), 20).rate == "2/week"
    for bad in ("", "1", "1/month", "0/day", "-1/day", "1.5/day", "1/day/day", "10000000/day"):
        with pytest.raises(ValueError, match="is not a rate"):
            parse_rate(bad)
