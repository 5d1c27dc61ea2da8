# SPDX-License-Identifier: Apache-2.0
"""A signed image is read back and verified.

The reader is bounded, and refuses whatever boot refuses (`runtime/boot/image.c`); it also asks for
the SBOM's digest and the boot record, which boot has no use for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from boards.errors import NO
from boards.model import Board
from firmware.image.format import (
    AREA_OPEN,
    AREA_PROTECTED,
    HEADER,
    HEADER_SIZE,
    MAGIC,
    ROM_FIXED,
    TLV_BOARD,
    TLV_COUNTER,
    TLV_ECDSA,
    TLV_HEAD,
    TLV_KEYHASH,
    TLV_LMS,
    TLV_POLICY,
    TLV_RECORD,
    TLV_REVOKE,
    TLV_SBOM,
    TLV_SHA256,
    ImageError,
    Version,
)
from firmware.image.lms import SIGNATURE_SIZE as LMS_SIZE
from firmware.image.lms import LmsPublicKey
from firmware.image.trust import SIGNATURES_MAX, key_hash

# Type to allowed payload sizes; the protected area may hold more, the other may not.
_PROTECTED = {
    TLV_COUNTER: (4, 4),
    TLV_RECORD: (1, 0xFFFF),
    TLV_POLICY: (32, 32),
    TLV_SBOM: (32, 32),
    TLV_BOARD: (1, 32),
    TLV_REVOKE: (2, 2),
}
_OPTIONAL = {TLV_REVOKE}


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature of an image: the signer's KEYHASH (32 bytes), and ECDSA in DER or LMS."""

    key_hash: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image says of itself; nothing of it is verified. Sizes in bytes."""

    address: int
    version: Version
    body: bytes
    size: int
    security_counter: int
    boot_record: bytes
    policy_digest: bytes
    sbom_digest: bytes
    board: str
    digest: bytes
    signatures: tuple[Signature, ...]
    hashed_size: int
    revokes_below: int = 0
    lms: Signature | None = None

    @property
    def key_hash(self) -> bytes:
        """Of the first signer, whose image the device says it is; 32 bytes."""
        return self.signatures[0].key_hash


def read_image(data: bytes) -> ImageFacts:
    """What an image says, from hostile bytes. ImageError unless they are exactly one image."""
    if len(data) < HEADER_SIZE:
        raise _refused(f"{len(data)} bytes are no image")
    head = HEADER.unpack_from(data)
    magic, address, header_size, protected_size, body_size, flags = head[:6]
    if magic != MAGIC:
        raise _refused("the header's magic is missing")
    if header_size != HEADER_SIZE or flags != ROM_FIXED or protected_size < 4:
        raise _refused("the header is not that of a coffret image")
    hashed_size = HEADER_SIZE + body_size + protected_size
    if hashed_size > len(data):
        raise _refused(f"the header promises {hashed_size} bytes, there are {len(data)}")
    protected: dict[int, bytes] = {}
    for kind, value in _walk(data[HEADER_SIZE + body_size : hashed_size], AREA_PROTECTED):
        if kind in _PROTECTED:  # a later builder may have added others
            _take(protected, kind, value, _PROTECTED[kind])
    missing = [f"{kind:#04x}" for kind in _PROTECTED if kind not in {*protected, *_OPTIONAL}]
    if missing:
        raise _refused(f"TLV {', '.join(missing)} is missing")
    digest, signatures, lms = _read_open(data[hashed_size:])
    try:
        board = protected[TLV_BOARD].decode("ascii")
    except UnicodeDecodeError:
        raise _refused("the board's name is not ASCII") from None
    return ImageFacts(
        address=address,
        version=Version(*head[6:10]),
        body=data[HEADER_SIZE : HEADER_SIZE + body_size],
        size=len(data),
        security_counter=int.from_bytes(protected[TLV_COUNTER], "little"),
        boot_record=protected[TLV_RECORD],
        policy_digest=protected[TLV_POLICY],
        sbom_digest=protected[TLV_SBOM],
        board=board,
        digest=digest,
        signatures=signatures,
        hashed_size=hashed_size,
        revokes_below=int.from_bytes(protected.get(TLV_REVOKE, b""), "little"),
        lms=lms,
    )


def _walk(area: bytes, magic: int) -> Iterator[tuple[int, bytes]]:
    """The TLVs of one area, which is all of `area`."""
    if len(area) < 4 or TLV_HEAD.unpack_from(area) != (magic, len(area)):
        raise _refused(f"a TLV area does not begin with {magic:#06x} and its length")
    at = 4
    while at < len(area):
        if len(area) - at < 4:
            raise _refused("a TLV is cut short")
        kind, length = TLV_HEAD.unpack_from(area, at)
        value = area[at + 4 : at + 4 + length]
        if len(value) != length:
            raise _refused(f"TLV {kind:#04x} is cut short")
        at += 4 + length
        yield kind, value


def _take(found: dict[int, bytes], kind: int, value: bytes, sizes: tuple[int, int]) -> None:
    least, most = sizes
    if kind in found or not least <= len(value) <= most:
        raise _refused(f"TLV {kind:#04x} is there twice or has {len(value)} bytes")
    found[kind] = value


def _read_open(area: bytes) -> tuple[bytes, tuple[Signature, ...], Signature | None]:
    """Digest and signatures, LMS apart. Nobody signed this area, so it holds nothing else."""
    digest: dict[int, bytes] = {}
    key: dict[int, bytes] = {}
    signatures: list[Signature] = []
    lms: Signature | None = None
    for kind, value in _walk(area, AREA_OPEN):
        if kind == TLV_SHA256:
            _take(digest, kind, value, (32, 32))
        elif kind == TLV_KEYHASH:
            _take(key, kind, value, (32, 32))
        elif kind == TLV_LMS:
            if not key or len(value) != LMS_SIZE or lms is not None:
                raise _refused("an LMS signature has no key, another length, or is there twice")
            lms = Signature(key.pop(TLV_KEYHASH), value)
        elif kind != TLV_ECDSA:
            raise _refused(f"TLV {kind:#04x} does not belong into the unprotected area")
        elif not key or not 8 <= len(value) <= 72 or len(signatures) == SIGNATURES_MAX:
            raise _refused("a signature has no key, has no signature's length, or is one too many")
        else:
            signatures.append(Signature(key.pop(TLV_KEYHASH), value))
    if not digest:
        raise _refused(f"TLV {TLV_SHA256:#04x} is missing")
    if key:
        raise _refused("a key is named and its signature is missing")
    return digest[TLV_SHA256], tuple(signatures), lms


def check_digest(data: bytes) -> ImageFacts:
    """What an image says, if its digest is right, signed or not. Raises ImageError."""
    facts = read_image(data)
    if hashlib.sha256(data[: facts.hashed_size]).digest() != facts.digest:
        raise _refused("its digest is wrong: it was changed or cut")
    return facts


def verify_image(
    data: bytes, key: ec.EllipticCurvePublicKey, board: Board | None = None, slot: int | None = None
) -> ImageFacts:
    """The facts of an image that this key signed, for this board and slot where they are given.

    Raises ImageError with what is wrong.
    """
    facts = check_digest(data)
    if not facts.signatures:
        raise _refused("it is not signed")
    if facts.key_hash != key_hash(key):
        raise _refused("another key signed it")
    if not is_signature(key, facts.digest, facts.signatures[0]):
        raise _refused("its signature is wrong")
    if board is not None and facts.board != board.name:
        raise _refused(f"it is for the board {facts.board}, not {board.name}")
    if board is not None and slot is not None and facts.address != board.slot(slot).base:
        raise _refused(f"it is linked for {facts.address:#010x}, not for slot {'AB'[slot]}")
    return facts


def check_lms(facts: ImageFacts, keys: Collection[LmsPublicKey]) -> None:
    """That one of these LMS keys signed the image; its digest was checked. Raises ImageError."""
    if facts.lms is None:
        raise _refused("it has no LMS signature, and its boot asks for one")
    for key in keys:
        if key.key_hash == facts.lms.key_hash:
            if not key.is_signature(facts.digest, facts.lms.value):
                raise _refused("its LMS signature is wrong")
            return
    raise _refused("its LMS signature is by another key")


def is_signature(key: ec.EllipticCurvePublicKey, digest: bytes, signature: Signature) -> bool:
    """Whether this key made the signature over the digest."""
    try:
        key.verify(signature.value, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except InvalidSignature:
        return False
    return signature.key_hash == key_hash(key)


def _refused(what: str) -> ImageError:
    return ImageError(f"image: {what}", "build it again, and sign it with the device's key", NO)
