# SPDX-License-Identifier: Apache-2.0
"""The operator's endorsement: "I provisioned this device, and this is its identity key".

A COSE_Sign1 (tag 18, ES256) by the operator's key, kept in the inventory and on the device. Its
content type keeps it apart from everything else that key may sign.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import lru_cache

from attest import p256
from attest.errors import EndorsementError, PublicKeyError
from attest.maps import Fields
from enclaves import cbor, cose

CONTENT_TYPE = "application/vnd.coffret.endorsement+cbor"
VERSION = 1
MAX_BYTES = 1024  # what a device keeps (docs/internals.md, record store)
SERIAL_BYTES = 16
KEY_HASH_BYTES = 32
BOARD_MAX = 32

(
    KEY_VERSION,
    KEY_INSTANCE_ID,
    KEY_IDENTITY,
    KEY_IMPLEMENTATION_ID,
    KEY_BOARD,
    KEY_BOOT,
    KEY_ISSUED,
    KEY_SERIAL,
) = range(1, 9)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device says of itself when it is provisioned (SMP group 65, command 0)."""

    instance_id: bytes
    identity_key: bytes  # X || Y
    implementation_id: bytes
    boot_digest: bytes

    def __post_init__(self) -> None:
        """Raises EndorsementError unless the id is the key's and the lengths are right."""
        try:
            p256.from_xy(self.identity_key)
        except PublicKeyError as error:
            raise EndorsementError(f"the device's identity: {error}") from error
        if self.instance_id != p256.instance_id_of(self.identity_key):
            raise EndorsementError("the device's instance id is not the hash of its identity key")
        if len(self.implementation_id) != 32 or len(self.boot_digest) != 32:
            raise EndorsementError("the device's implementation id or boot digest is not 32 bytes")
        board_of(self.implementation_id)

    @property
    def board(self) -> str:
        return board_of(self.implementation_id)

    @property
    def public_key(self) -> p256.PublicKey:
        return p256.from_xy(self.identity_key)


@dataclass(frozen=True, slots=True)
class Endorsement:
    """A verified endorsement. `issued` is seconds since 1970, UTC."""

    identity: Identity
    issued: int
    serial: bytes


@lru_cache(maxsize=64)  # of kinds of devices
def board_of(implementation_id: bytes) -> str:
    """The board in `coffret/<board>/<root>`, NUL-padded ASCII. Raises EndorsementError."""
    parts = implementation_id.rstrip(b"\0").split(b"/")
    if len(parts) != 3 or parts[0] != b"coffret" or not all(parts):
        raise EndorsementError("the implementation id is not coffret/<board>/<root>")
    board = parts[1]
    if not (board.isascii() and board.decode("latin-1").isprintable()):
        raise EndorsementError("the implementation id is not printable ASCII")
    return board.decode("ascii")


def implementation_id(board: str, root: str = "flash") -> bytes:
    """`coffret/<board>/<root>` padded to 32 bytes. Raises EndorsementError when it is longer."""
    text = f"coffret/{board}/{root}".encode("ascii")
    if len(text) > 32:
        raise EndorsementError(f"the implementation id {text.decode()} is longer than 32 bytes")
    return text.ljust(32, b"\0")


def issue(identity: Identity, operator: p256.PrivateKey, issued: int) -> bytes:
    """Sign an endorsement at the time `issued` (seconds, UTC) with a random serial number."""
    payload = {
        KEY_VERSION: VERSION,
        KEY_INSTANCE_ID: identity.instance_id,
        KEY_IDENTITY: identity.identity_key,
        KEY_IMPLEMENTATION_ID: identity.implementation_id,
        KEY_BOARD: identity.board,
        KEY_BOOT: identity.boot_digest,
        KEY_ISSUED: issued,
        KEY_SERIAL: secrets.token_bytes(SERIAL_BYTES),
    }
    return signed(payload, operator, CONTENT_TYPE)


def signed(payload: object, operator: p256.PrivateKey, content_type: str) -> bytes:
    """A word of the operator's: `content_type` keeps it apart from others under the same key."""
    headers: dict[int | str, object] = {
        cose.HEADER_CONTENT_TYPE: content_type,
        cose.HEADER_KID: p256.key_hash(operator.public_key()),
    }
    return cose.sign1(cbor.encode(payload), operator, headers)


def opened(data: bytes, operator: p256.PublicKey, content_type: str, what: str) -> cbor.Value:
    """The payload that `signed` was given, verified. Raises EndorsementError, naming `what`."""
    message, payload = _read(data)
    if message.protected.get(cose.HEADER_KID) != p256.key_hash(operator):
        raise EndorsementError("endorsement: signed with another operator's key")
    _require_headers(message, content_type, what)
    try:
        cose.check1(message, operator)
    except cose.CoseError as error:
        raise EndorsementError(f"endorsement: {error}") from error
    return payload


def alleged(data: bytes, content_type: str, what: str) -> cbor.Value:
    """The payload WITHOUT verifying the signature. Raises EndorsementError, naming `what`."""
    message, payload = _read(data)
    _require_headers(message, content_type, what)
    return payload


def _read(data: bytes) -> tuple[cose.Sign1, cbor.Value]:
    if len(data) > MAX_BYTES:
        raise EndorsementError(f"endorsement of {len(data)} bytes, at most {MAX_BYTES} are read")
    try:
        message = cose.read1(data)
        return message, cbor.decode(message.payload)
    except ValueError as error:
        raise EndorsementError(f"endorsement: {error}") from error


def _require_headers(message: cose.Sign1, content_type: str, what: str) -> None:
    """A key id, of a digest's size, and no header but those that `signed` writes."""
    kid = message.protected.get(cose.HEADER_KID)
    wanted = {
        cose.HEADER_ALG: cose.ES256,
        cose.HEADER_CONTENT_TYPE: content_type,
        cose.HEADER_KID: kid,
    }
    sized = isinstance(kid, bytes) and len(kid) == KEY_HASH_BYTES
    if message.protected != wanted or message.unprotected or not sized:
        raise EndorsementError(f"endorsement: the headers are not those of {what}")


def verify(data: bytes, operator: p256.PublicKey) -> Endorsement:
    """Parse and verify under the operator's key. Raises EndorsementError.

    What verified is remembered, so that a device that reports again costs no second check.
    """
    return _verify(data, p256.Held(operator))


@lru_cache(maxsize=p256.REMEMBERED)  # keeps what is returned, never an error
def _verify(data: bytes, held: p256.Held) -> Endorsement:
    payload = opened(data, held.key, CONTENT_TYPE, "an endorsement")
    fields = Fields(payload, "endorsement", EndorsementError)
    fields.expect(KEY_VERSION, "version", VERSION)
    identity = Identity(
        instance_id=fields.data(KEY_INSTANCE_ID, "instance id", 33),
        identity_key=fields.data(KEY_IDENTITY, "identity key", p256.XY_BYTES),
        implementation_id=fields.data(KEY_IMPLEMENTATION_ID, "implementation id", 32),
        boot_digest=fields.data(KEY_BOOT, "boot digest", 32),
    )
    fields.expect(KEY_BOARD, "board", identity.board)
    issued = fields.uint(KEY_ISSUED, "issue time", (1 << 53) - 1)
    serial = fields.data(KEY_SERIAL, "serial", SERIAL_BYTES)
    fields.end()
    return Endorsement(identity, issued, serial)
