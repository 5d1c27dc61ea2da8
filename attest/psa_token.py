# SPDX-License-Identifier: Apache-2.0
"""A PSA attestation token (RFC 9783): claims in a COSE_Sign1 of the device's attestation key."""

from __future__ import annotations

from dataclasses import dataclass

from attest import p256, psa_claims
from attest.errors import EvidenceError
from attest.evidence import Evidence
from enclaves import cbor, cose

MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Token:
    """A parsed token: its claims, which are allegations until `verify` has seen the signature."""

    evidence: Evidence
    message: cose.Sign1

    def verify(self, key: p256.PublicKey) -> Evidence:
        """The claims, signed by this attestation key. Raises EvidenceError."""
        try:
            cose.check1(self.message, key)
        except cose.CoseError as error:
            raise EvidenceError(f"token: {error}") from error
        return self.evidence


def read(token: bytes) -> Evidence:
    """The claims WITHOUT verifying the signature, for instance to find whose it claims to be.

    Raises EvidenceError, which names the claim.
    """
    return parse(token).evidence


def verify(token: bytes, key: p256.PublicKey) -> Evidence:
    """Parse and verify under the attestation key. Raises EvidenceError."""
    return parse(token).verify(key)


def read_message(token: bytes) -> cose.Sign1:
    """The signed message of a token, unverified. Raises EvidenceError."""
    if len(token) > MAX_BYTES:
        raise EvidenceError(f"token of {len(token)} bytes, at most {MAX_BYTES} are read")
    try:
        message = cose.read1(token)
    except cose.CoseError as error:
        raise EvidenceError(f"token: {error}") from error
    if message.protected != {cose.HEADER_ALG: cose.ES256} or message.unprotected:
        raise EvidenceError("token: headers other than the algorithm")
    return message


def parse(token: bytes) -> Token:
    """Parse once, to verify later. Raises EvidenceError, which names the claim."""
    message = read_message(token)
    return Token(psa_claims.read(message.payload), message)


def write(evidence: Evidence, key: p256.PrivateKey) -> bytes:
    """The token a device makes; for simulations and tests of other verifiers."""
    return cose.sign1(cbor.encode(psa_claims.to_map(evidence)), key)
