# SPDX-License-Identifier: Apache-2.0
"""A challenge-response session that costs the service nothing until it is answered.

A session's id *is* the session: nonce, times and the opener's access key, under a MAC. Opening one
writes nothing, so nobody can fill the store with sessions, and a restart loses none. That a nonce
is used once is the database's business (`attest.record.use_nonces`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from attest import p256
from attest.psa_claims import NONCE_SIZES

_HEAD = struct.Struct(">BBQI8s")  # version, flags, issued, lifetime, who
_VERSION = 1
_CHOSEN = 1
_MAC_BYTES = 16
_MAX_ID = 256  # characters


class SessionError(ValueError):
    """The id is no session of this service."""


@dataclass(frozen=True, slots=True)
class Session:
    """An open challenge. Times are whole seconds since 1970; `owner` is an access key's name.

    `chosen`: the client gave the nonce, so that it and not this service answers for freshness.
    """

    nonce: bytes
    issued: int
    lifetime: int
    owner: str
    chosen: bool = False

    @property
    def expires(self) -> int:
        return self.issued + self.lifetime


class Sealer:
    """Turns sessions into ids and back. The MAC key comes from the verifier's private key."""

    def __init__(self, verifier: p256.PrivateKey) -> None:
        self._key = derive(verifier, b"coffret challenge-response session 1")

    def seal(self, session: Session) -> str:
        """The id: URL-safe, up to 142 characters."""
        head = _HEAD.pack(
            _VERSION,
            _CHOSEN if session.chosen else 0,
            session.issued,
            session.lifetime,
            _who(session.owner),
        )
        body = head + session.nonce
        return base64.urlsafe_b64encode(body + self._mac(body)).rstrip(b"=").decode("ascii")

    def open(self, text: str, owner: str) -> Session:
        """The session that `owner` opened. Raises SessionError, whatever the text is."""
        if len(text) > _MAX_ID or not text.isascii():
            raise SessionError("not a session")
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise SessionError("not a session") from None
        body, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body)):
            raise SessionError("not a session")
        if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != text:
            raise SessionError("not a session")  # one session has one id
        version, flags, issued, lifetime, who = _HEAD.unpack_from(body)
        nonce = body[_HEAD.size :]
        if version != _VERSION or len(nonce) not in NONCE_SIZES:
            raise SessionError("not a session")
        if not hmac.compare_digest(who, _who(owner)):
            raise SessionError("a session of somebody else")
        return Session(nonce, issued, lifetime, owner, bool(flags & _CHOSEN))

    def _mac(self, body: bytes) -> bytes:
        return hashlib.blake2b(body, key=self._key, digest_size=_MAC_BYTES).digest()


def derive(verifier: p256.PrivateKey, purpose: bytes) -> bytes:
    """A secret of 32 bytes for one purpose, the same on every host that has the key."""
    secret = verifier.private_numbers().private_value.to_bytes(p256.COORDINATE, "big")
    return HKDF(hashes.SHA256(), 32, salt=None, info=purpose).derive(secret)


def _who(owner: str) -> bytes:
    return hashlib.sha256(owner.encode()).digest()[:8]
