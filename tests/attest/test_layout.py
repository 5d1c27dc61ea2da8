# SPDX-License-Identifier: Apache-2.0
"""The quick reader of ordinary tokens finds what the strict one finds, or leaves it to that one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import evidence, psa_claims
from attest.errors import EvidenceError
from attest.evidence import Component, Evidence, Health
from enclaves import cbor

UINTS = st.one_of(st.integers(0, 300), st.sampled_from([0xFFFF, 0x10000, 0xFFFF_FFFF]))
DIGESTS = st.binary(min_size=32, max_size=32)
HONEST = Evidence(
    nonce=bytes(32),
    instance_id=b"\x01" + bytes(32),
    implementation_id=b"\x02" * 32,
    boot_seed=b"\x03" * 32,
    client_id=-1,
    lifecycle=0x3000,
    components=tuple(Component(kind, b"\x04" * 32, b"\x05" * 32) for kind in evidence.FIXED_TYPES),
    uptime=1000,
    boot_count=5,
    health=Health(b"\x06" * 32, 0, 9, ()),
)


def payload(told: Evidence) -> bytes:
    return cbor.encode(psa_claims.to_map(told))


def strictly(data: bytes) -> Evidence | None:
    try:
        return psa_claims.read_any(data)
    except EvidenceError:
        return None


def quickly(data: bytes) -> Evidence | None:
    return psa_claims.read_usual(data)


@given(
    DIGESTS,
    UINTS,
    UINTS,
    st.lists(st.tuples(UINTS, UINTS), max_size=4),
    st.integers(-24, -1),
    st.integers(0x100, 0x60FF),
    st.one_of(st.none(), DIGESTS),
)
def test_an_ordinary_token_is_read_quickly_and_the_same(
    digest: bytes,
    uptime: int,
    first: int,
    counts: list[tuple[int, int]],
    client: int,
    lifecycle: int,
    settings: bytes | None,
) -> None:
    health = Health(digest, first, first // 2, tuple(counts))
    told = replace(
        HONEST,
        nonce=digest,
        uptime=uptime,
        health=health,
        client_id=client,
        lifecycle=lifecycle,
        settings=settings,
    )
    assert quickly(payload(told)) == strictly(payload(told)) == told


@given(st.data())
def test_what_is_read_quickly_of_a_damaged_one_is_what_stands_there(data: st.DataObject) -> None:
    settings = data.draw(st.sampled_from([None, bytes(32)]))
    whole = bytearray(payload(replace(HONEST, settings=settings)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole) - 1))
        much = data.draw(st.integers(0, 3))
        whole[at : at + much] = data.draw(st.binary(max_size=3))
    found = quickly(bytes(whole))
    assert found is None or found == strictly(bytes(whole))


@pytest.mark.parametrize(
    ("honest", "forged"),
    [
        (b"\x19\x03\xe8", b"\x1a\x00\x00\x03\xe8"),  # the uptime, longer than it need be
        (b"\x19\x03\xe8", b"\x19\x00\x08"),
        (b"\x05\x19\x01\x0c", b"\x18\x05\x19\x01\x0c"),  # the boot count
        (b"\x19\x30\x00\x19", b"\x19\x61\x00\x19"),  # a life cycle that RFC 9783 does not know
        (b"\x19\x30\x00\x19", b"\x18\x30\x19"),
        (b"\x19\x09\x5a\x20", b"\x19\x09\x5a\x00"),  # client 0
    ],
)
def test_what_the_strict_reader_refuses_is_not_read_quickly(honest: bytes, forged: bytes) -> None:
    token = payload(HONEST)
    assert token.count(honest) == 1
    damaged = token.replace(honest, forged)
    assert quickly(damaged) is None
    assert quickly(token) == HONEST


def test_a_second_health_hidden_in_a_digest_is_only_bytes() -> None:
    """The pattern could match at either place; only one of them leaves whole items."""
    marker = cbor.encode(psa_claims.HEALTH) + b"\xa4\x01\x58\x20"
    for place in range(len(evidence.FIXED_TYPES)):
        listed = list(HONEST.components)
        listed[place] = replace(listed[place], signer_id=marker.ljust(32, b"\x00"))
        told = replace(HONEST, components=tuple(listed))
        assert quickly(payload(told)) == strictly(payload(told)) == told
    told = replace(HONEST, health=replace(HONEST.health, log_digest=marker.ljust(32, b"\x00")))
    assert quickly(payload(told)) in (None, told)
    assert strictly(payload(told)) == told
