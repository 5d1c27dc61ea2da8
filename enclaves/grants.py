# SPDX-License-Identifier: Apache-2.0
"""Grants: an owner's signed word that one gate of one enclave may release or vouch for a tag.

A grant is a COSE_Sign1 (ES256) by the owner's key over a deterministic CBOR map. It names the
appliance, the gate and the enclave's code digest, so it is worth nothing for other code, and the
budget, so that asking for more needs a new signature. The device has no clock that an owner could
trust: expiry is checked when the image is built and by whoever appraises it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric import ec

from enclaves import cbor, cose
from enclaves.budgets import Budget
from enclaves.keys import key_digest
from enclaves.labels import Label, label
from enclaves.tags import MAX_TAGS

CONTENT_TYPE = "application/vnd.coffret.grant+cbor"
MAX_BYTES = 4096
DIGEST_BYTES = 32


class GrantError(ValueError):
    """The grant does not allow what is asked; the text says why, for a person."""


class Kind(StrEnum):
    """What a gate does to the tags it is granted."""

    RELEASE = "release"
    VOUCH = "vouch"


@dataclass(frozen=True, slots=True)
class Grant:
    """What an owner signs. `code` is the enclave's code digest, `expires` Unix seconds."""

    appliance: str
    kind: Kind
    tags: Label
    gate: str
    code: bytes
    budget: Budget
    expires: int

    def until(self) -> str:
        """The expiry as an ISO date (UTC)."""
        return datetime.fromtimestamp(self.expires, UTC).date().isoformat()


@dataclass(frozen=True, slots=True)
class SignedGrant:
    """A grant as read from its file. Only `verify` makes a fact of it."""

    grant: Grant
    signer: bytes  # claimed key digest
    message: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file, as the flow policy lists it."""
        return hashlib.sha256(self.message).digest()


def sign(grant: Grant, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The grant file: the same bytes each time for the same grant and key."""
    payload = cbor.encode(
        {
            "appliance": grant.appliance,
            "kind": str(grant.kind),
            "tags": sorted(grant.tags),
            "gate": grant.gate,
            "code": grant.code,
            "bytes": grant.budget.size,
            "messages": grant.budget.messages,
            "window_s": grant.budget.window_s,
            "expires": grant.expires,
        }
    )
    header: Mapping[cose.Label, object] = {
        cose.HEADER_CONTENT_TYPE: CONTENT_TYPE,
        cose.HEADER_KID: key_digest(key.public_key()),
    }
    return cose.sign1(payload, key, header)


def read(data: bytes) -> SignedGrant:
    """Parse a grant file WITHOUT verifying it. Raises GrantError when it is not a grant."""
    if len(data) > MAX_BYTES:
        raise GrantError(f"not a grant: {len(data)} bytes, at most {MAX_BYTES}")
    try:
        message = cose.read1(data)
        payload = cbor.decode(message.payload)
    except (cose.CoseError, cbor.CborError) as error:
        raise GrantError(f"not a grant: {error}") from error
    kid = message.protected.get(cose.HEADER_KID)
    if (
        set(message.protected) != {cose.HEADER_ALG, cose.HEADER_CONTENT_TYPE, cose.HEADER_KID}
        or message.protected[cose.HEADER_CONTENT_TYPE] != CONTENT_TYPE
        or not isinstance(kid, bytes)
        or message.unprotected
    ):
        raise GrantError("not a grant: a signed message of another kind")
    return SignedGrant(_parse(payload), kid, data)


def _parse(payload: object) -> Grant:
    match payload:
        case {
            "appliance": str() as appliance,
            "kind": str() as kind,
            "tags": list() as tags,
            "gate": str() as gate,
            "code": bytes() as code,
            "bytes": int() as size,
            "messages": int() as messages,
            "window_s": int() as window_s,
            "expires": int() as expires,
            **rest,
        } if not rest:
            pass
        case _:
            raise GrantError("not a grant: fields are missing, unknown or of the wrong type")
    names = [tag for tag in tags if isinstance(tag, str)]
    if len(names) != len(tags) or names != sorted(set(names)) or not 0 < len(names) <= MAX_TAGS:
        raise GrantError("not a grant: its tags are not a sorted list of names")
    numbers = (size, messages, window_s, expires)
    if any(isinstance(n, bool) or not 0 < n < 1 << 40 for n in numbers):
        raise GrantError("not a grant: a number is out of range")
    if kind not in set(Kind) or len(code) != DIGEST_BYTES:
        raise GrantError("not a grant: unknown kind, or a code digest of the wrong length")
    budget = Budget(messages, window_s, size)
    return Grant(appliance, Kind(kind), label(names), gate, code, budget, expires)


@dataclass(frozen=True, slots=True)
class Request:
    """What the appliance wants a grant for."""

    appliance: str
    kind: Kind
    gate: str
    code: bytes
    budget: Budget


def verify(
    data: bytes, key: ec.EllipticCurvePublicKey, request: Request, now: datetime
) -> SignedGrant:
    """The grant in `data`, if `key` signed it and it covers `request` at `now`. Raises GrantError.

    Which tags it grants is for the caller to read: several owners may sign for one gate.
    """
    signed = read(data)
    try:
        cose.verify1(data, key)
    except cose.CoseError as error:
        raise GrantError("the signature is not this owner's, or the file was changed") from error
    if signed.signer != key_digest(key):
        raise GrantError("it names another key than the one that signed it")
    grant = signed.grant
    if grant.appliance != request.appliance:
        raise GrantError(f"it is for the appliance {grant.appliance}, not {request.appliance}")
    if grant.gate != request.gate:
        raise GrantError(f"it is for the gate {grant.gate}, not {request.gate}")
    if grant.kind is not request.kind:
        raise GrantError(f"it allows to {grant.kind}, not to {request.kind}")
    if grant.code != request.code:
        raise GrantError("it is for other code: the enclave was changed after it was signed")
    if not grant.budget.covers(request.budget):
        raise GrantError(
            f"it allows {grant.budget.words()}, the manifest asks for {request.budget.words()}"
        )
    if now.timestamp() >= grant.expires:
        raise GrantError(f"it expired on {grant.until()}")
    return signed
