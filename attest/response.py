# SPDX-License-Identifier: Apache-2.0
"""What a device answers to a challenge, and the file in which it is kept for auditors.

The file is one deterministic CBOR map: `{"cert": bstr, "token": bstr}` as SMP group 64 carries
them, and `"endorsement": bstr` when the operator wants the file to stand alone.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from attest import endorsement as endorsements
from attest import psa_token
from attest.certificate import MAX_BYTES as CERTIFICATE_MAX
from attest.errors import AttestError, EvidenceError
from attest.maps import Fields
from enclaves import cbor

MAX_BYTES = psa_token.MAX_BYTES + CERTIFICATE_MAX + endorsements.MAX_BYTES + 256


@dataclass(frozen=True, slots=True)
class Response:
    """A token and the certificate of the key that signed it; both are unverified bytes."""

    token: bytes
    certificate: bytes
    endorsement: bytes | None = None

    def device(self) -> bytes | None:
        """The instance id that the token claims, or None when the token is malformed."""
        try:
            return psa_token.read(self.token).instance_id
        except AttestError:
            return None


def pack(response: Response) -> bytes:
    """The bytes of an evidence file."""
    endorsement = {} if response.endorsement is None else {"endorsement": response.endorsement}
    return cbor.encode({"cert": response.certificate, "token": response.token, **endorsement})


def unpack(data: bytes) -> Response:
    """Read an evidence file. Raises EvidenceError."""
    try:
        value = cbor.decode(data, limit=MAX_BYTES)
    except cbor.CborError as error:
        raise EvidenceError(f"evidence file: {error}") from error
    fields = Fields(value, "evidence file", EvidenceError)
    token = fields.data("token", "token")
    certificate = fields.data("cert", "certificate")
    endorsement = None
    if fields.has("endorsement"):
        endorsement = fields.data("endorsement", "endorsement")
    fields.end()
    return Response(token, certificate, endorsement)


def save(path: Path, response: Response) -> None:
    """Write an evidence file atomically. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        temporary.write_bytes(pack(response))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
