# SPDX-License-Identifier: Apache-2.0
"""How long the evidence of an appliance can become, so that it fits what carries it.

The token's form is services/token.c's; a test holds this against the verifier's own writer.
"""

from __future__ import annotations

from collections.abc import Sequence

from enclaves import cbor

# What the manager can send: SMP_BUFFER (smp/server.h) without frame length, CRC, SMP header and the
# names and heads around token and certificate.
ROOM = 2048 - 30
CERTIFICATE = 492  # with a counter of 32 bits, and without the board's name (boot/dice.c)
PROFILE = "urn:uuid:8d3f6a52-5c0e-4b7d-9a41-c0ff2e7000a1"
MOST_ENCLAVES = 16  # ATTEST_ENCLAVES (coffret/attest.h)
_MOST = 0xFFFFFFFF
_DIGEST = bytes(32)
_SIGN1 = 1 + 1 + 4 + 1 + 3 + 2 + 64  # tag, array, protected, unprotected, two heads, signature


def token_size(
    enclaves: Sequence[str],
    version: str,
    gates: int,
    *,
    radio: bool = False,
    pairwise: bool = False,
    settings: bool = False,
) -> int:
    """The most bytes of a token; `gates` is the most that one enclave has."""
    components = [_component("boot"), _component("runtime", version)]
    components += [_component("appliance", version), _component("policy")]
    components += [_component(f"enclave:{name}") for name in enclaves]
    components += [_component("radio")] if radio else []
    longest = max((f"enclave:{name}" for name in enclaves), key=len, default="")
    about_enclave: dict[int, object] = {
        -75002: {
            1: longest,
            2: bytes(8),
            3: bytes(8),
            4: [[_MOST, _MOST]] * 2,
            5: [[15, _MOST, _MOST]] * gates,
        }
    }
    enrolment: dict[int, object] = {-75003: {1: _DIGEST, 2: bytes(64)}} if pairwise else {}
    claims: dict[int, object] = {
        10: bytes(64),
        256: bytes(33),
        261: _MOST,
        265: PROFILE,
        267: _MOST,
        268: _DIGEST,
        2394: -1,
        2395: 0x60FF,
        2396: _DIGEST,
        2399: components,
        -75001: {1: _DIGEST, 2: _MOST, 3: _MOST, 4: [[_MOST, _MOST]] * len(enclaves)},
        **max(about_enclave, enrolment, key=lambda asked: len(cbor.encode(asked))),
        **({-75004: _DIGEST} if settings else {}),
    }
    return len(cbor.encode(claims)) + _SIGN1


def reply_size(
    enclaves: Sequence[str],
    version: str,
    gates: int,
    board: str,
    *,
    radio: bool = False,
    pairwise: bool = False,
    settings: bool = False,
) -> int:
    """The most bytes of token and certificate."""
    token = token_size(enclaves, version, gates, radio=radio, pairwise=pairwise, settings=settings)
    return token + CERTIFICATE + len(board)


def _component(kind: str, version: str | None = None) -> dict[int, object]:
    named = {} if version is None else {4: version}
    return {1: kind, 2: _DIGEST, **named, 5: _DIGEST}
