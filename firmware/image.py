# SPDX-License-Identifier: Apache-2.0
"""Signed images in MCUboot's format: a binary is wrapped, an image is read back and verified.

The container is written by `imgtool`'s own modules (MCUboot, `scripts/imgtool`); the signature is
made outside it, so that it is deterministic (RFC 6979) and can come from a token. The reader is
ours, bounded, and refuses whatever boot refuses (`runtime/boot/image.c`); it also asks for the
SBOM's digest and the boot record, which boot has no use for.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from boards.errors import NO, USAGE, CoffretError
from boards.model import Board
from firmware.lms import SIGNATURE_SIZE as LMS_SIZE
from firmware.lms import LmsPublicKey
from firmware.trust import SIGNATURES_MAX, key_hash

HEADER_SIZE = 0x200
TLV_POLICY = 0xA0
TLV_SBOM = 0xA1
TLV_BOARD = 0xA2
TLV_REVOKE = 0xA3
TLV_LMS = 0xA4
# imgtool takes 12 characters at most; the appliance's own name is in the image's tables.
BOOT_RECORD_TYPE = "appliance"

_MAGIC = 0x96F3B83D
_ROM_FIXED = 0x100
_TLV_OPEN, _TLV_PROTECTED = 0x6907, 0x6908
_KEYHASH, _SHA256, _ECDSA, _COUNTER, _RECORD = 0x01, 0x10, 0x22, 0x50, 0x60
# Type to allowed payload sizes; the protected area may hold more, the other may not.
_PROTECTED = {
    _COUNTER: (4, 4),
    _RECORD: (1, 0xFFFF),
    TLV_POLICY: (32, 32),
    TLV_SBOM: (32, 32),
    TLV_BOARD: (1, 32),
    TLV_REVOKE: (2, 2),
}
_OPTIONAL = {TLV_REVOKE}
_DIGEST_TLV = 4 + 32  # the first of the unprotected area
# Key hash and signature in DER, each with its TLV's head.
_SIGNATURE_ROOM = 4 + 32 + 4 + 72
_LMS_ROOM = 4 + 32 + 4 + LMS_SIZE
_HEADER = struct.Struct("<IIHHIIBBHII")
# Behind it: what a device may refuse at the first packet (runtime/smp/slot_image.h).
_HINT = struct.Struct("<II32s")
_HINT_MAGIC = 0x49484643


class ImageError(CoffretError):
    """An image cannot be made from what was given (exit 2), or is not what it should be (1)."""


class ImageSigner(Protocol):
    """Holds a P-256 key, perhaps in a token."""

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The key that boot trusts."""

    def sign_digest(self, digest: bytes) -> bytes:
        """ECDSA over a SHA-256 digest (32 bytes), DER; deterministic, so that images reproduce."""


class LmsSigner(Protocol):
    """Holds an LMS key and guards its state: no two calls use one leaf, whatever happens."""

    @property
    def public_key(self) -> LmsPublicKey:
        """The key that boot trusts."""

    def sign_digest(self, digest: bytes) -> bytes:
        """An LMS signature over a digest (32 bytes), 1,452 bytes; another one each time."""


@dataclass(frozen=True, slots=True)
class AbsentSigner:
    """Whose signature is to come first is known, but the key is elsewhere."""

    public_key: ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class LocalSigner:
    """A private key in memory; signs after RFC 6979."""

    key: ec.EllipticCurvePrivateKey

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self.key.public_key()

    def sign_digest(self, digest: bytes) -> bytes:
        algorithm = ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)
        return self.key.sign(digest, algorithm)


@dataclass(frozen=True, slots=True)
class Version:
    """MCUboot's version: major and minor 8 bits, revision 16, build 32."""

    major: int
    minor: int
    revision: int
    build: int = 0

    @classmethod
    def parse(cls, text: str) -> Version:
        """From `1.2.3` or `1.2.3+4`. Raises ImageError."""
        try:
            version = cls(*_imgtool("version").decode_version(text))
        except ValueError:
            version = cls(-1, 0, 0)
        if not all(
            0 <= part < 1 << bits
            for part, bits in zip(version._parts(), (8, 8, 16, 32), strict=True)
        ):
            mend = "write MAJOR.MINOR.REVISION or MAJOR.MINOR.REVISION+BUILD; at most 255.255.65535"
            raise ImageError(f"version: {text!r} does not fit an image header", mend, USAGE)
        return version

    def _parts(self) -> tuple[int, int, int, int]:
        return self.major, self.minor, self.revision, self.build

    def __str__(self) -> str:
        build = f"+{self.build}" if self.build else ""
        return f"{self.major}.{self.minor}.{self.revision}{build}"


@dataclass(frozen=True, slots=True)
class ImageContent:
    """What goes into an image beside its code. Digests are SHA-256, 32 bytes.

    `revokes_below`: once the image is confirmed, the device trusts no key of an older generation.
    """

    version: Version
    security_counter: int
    policy_digest: bytes
    sbom_digest: bytes
    revokes_below: int = 0


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


def wrap_image(
    body: bytes,
    slot: int,
    board: Board,
    content: ImageContent,
    signer: ImageSigner,
    lms: LmsSigner | None = None,
) -> bytes:
    """The signed image of a flat binary that is linked for slot 0 (A) or 1 (B): header, body, TLVs.

    `body` starts with the vector table, linked at the slot's base + 0x200. The same arguments give
    the same bytes, but for an LMS signature. Raises ImageError if it does not fit the slot.
    """
    plain = unsigned_image(
        body, slot, board, content, signer.public_key, post_quantum=lms is not None
    )
    image = add_signature(plain, signer)
    if lms is not None:
        image = add_lms_signature(image, lms)
    # Never hand out what boot would refuse.
    facts = verify_image(image, signer.public_key, board, slot)
    if lms is not None:
        check_lms(facts, [lms.public_key])
    return image


def unsigned_image(
    body: bytes,
    slot: int,
    board: Board,
    content: ImageContent,
    signer: ec.EllipticCurvePublicKey,
    *,
    post_quantum: bool = False,
) -> bytes:
    """The image without a signature: what `add_signature` takes. Raises ImageError.

    Its boot record names `signer`, whose signature is to be the first. `post_quantum`: there must
    be room for an LMS signature, too.
    """
    region = board.slot(slot)
    image = _create(body, region.base, board, content, signer)
    room = SIGNATURES_MAX * _SIGNATURE_ROOM + (_LMS_ROOM if post_quantum else 0)
    if len(image) > region.size - room:
        raise ImageError(
            f"image: {len(image)} bytes, the slot has {region.size} less {room} for signatures",
            "use less: `coffret build --explain` says what each feature costs",
            USAGE,
        )
    return image


def add_signature(image: bytes, signer: ImageSigner, *, first: bool = False) -> bytes:
    """The image with one more signature, behind those it has or before them.

    Raises ImageError if it is no image, if this key signed it already, or if it is full.
    """
    facts = check_digest(image)
    whose = key_hash(signer.public_key)
    if whose in {signature.key_hash for signature in facts.signatures}:
        raise ImageError("image: this key has signed it already", "let another key sign", USAGE)
    if len(facts.signatures) == SIGNATURES_MAX:
        raise ImageError(
            f"image: it has {SIGNATURES_MAX} signatures", "boot looks at no more than that", USAGE
        )
    return _with_tlvs(image, facts, signature_tlvs(signer, facts.digest), first=first)


def add_lms_signature(image: bytes, signer: LmsSigner) -> bytes:
    """The image with its LMS signature, behind what it has. Uses up a leaf of the key.

    Raises ImageError if it is no image, or has an LMS signature.
    """
    facts = check_digest(image)
    if facts.lms is not None:
        raise ImageError("image: it has an LMS signature", "boot looks at no more than one", USAGE)
    value = signer.sign_digest(facts.digest)
    more = _tlv(_KEYHASH, signer.public_key.key_hash) + _tlv(TLV_LMS, value)
    return _with_tlvs(image, facts, more, first=False)


def _with_tlvs(image: bytes, facts: ImageFacts, more: bytes, *, first: bool) -> bytes:
    """The image with more in its unprotected area; the digest stays in front."""
    area = image[facts.hashed_size :]
    digest, others = area[4 : 4 + _DIGEST_TLV], area[4 + _DIGEST_TLV :]
    rest = more + others if first else others + more
    return image[: facts.hashed_size] + tlv_area(digest + rest)


def signature_tlvs(signer: ImageSigner, digest: bytes) -> bytes:
    """Key hash and signature over the digest, as boot reads a pair of them."""
    return _tlv(_KEYHASH, key_hash(signer.public_key)) + _tlv(_ECDSA, signer.sign_digest(digest))


def _tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("<HH", kind, len(value)) + value


def tlv_area(entries: bytes) -> bytes:
    """The unprotected area that holds these entries."""
    return struct.pack("<HH", _TLV_OPEN, 4 + len(entries)) + entries


def _imgtool(module: str) -> Any:
    """A module of imgtool: untyped, and slow to import, so only when it is needed."""
    return importlib.import_module(f"imgtool.{module}")


def _create(
    body: bytes,
    address: int,
    board: Board,
    content: ImageContent,
    key: ec.EllipticCurvePublicKey,
) -> bytes:
    """imgtool's image, without what it signs with."""
    version = content.version
    image = _imgtool("image").Image(
        version=_imgtool("version").SemiSemVersion(
            version.major, version.minor, version.revision, version.build
        ),
        header_size=HEADER_SIZE,
        rom_fixed=address,
        security_counter=content.security_counter,
    )
    image.payload = (
        _hint(board, content).rjust(_HEADER.size + _HINT.size, b"\0").ljust(HEADER_SIZE, b"\0")
    )
    image.payload += body
    image.image_size = len(body)
    custom = {
        TLV_POLICY: content.policy_digest,
        TLV_SBOM: content.sbom_digest,
        TLV_BOARD: board.name.encode("ascii"),
    }
    if content.revokes_below:
        custom[TLV_REVOKE] = struct.pack("<H", content.revokes_below)
    # imgtool narrates on standard output, which is for our JSON.
    with contextlib.redirect_stdout(io.StringIO()):
        image.create(
            key=None,
            pub_key=_imgtool("keys").ECDSA256P1Public(key),
            public_key_format="hash",
            enckey=None,
            sw_type=BOOT_RECORD_TYPE,
            custom_tlvs=custom,
            fixed_sig={"value": bytes(70)},
        )
    data = bytes(image.payload)
    hashed_size = HEADER_SIZE + len(body) + struct.unpack_from("<H", data, 10)[0]
    digest = data[hashed_size + 4 :][:_DIGEST_TLV]
    return data[:hashed_size] + struct.pack("<HH", _TLV_OPEN, 4 + len(digest)) + digest


def _hint(board: Board, content: ImageContent) -> bytes:
    return _HINT.pack(_HINT_MAGIC, content.security_counter, board.name.encode("ascii"))


def read_image(data: bytes) -> ImageFacts:
    """What an image says, from hostile bytes. ImageError unless they are exactly one image."""
    if len(data) < HEADER_SIZE:
        raise _refused(f"{len(data)} bytes are no image")
    head = _HEADER.unpack_from(data)
    magic, address, header_size, protected_size, body_size, flags = head[:6]
    if magic != _MAGIC:
        raise _refused("the header's magic is missing")
    if header_size != HEADER_SIZE or flags != _ROM_FIXED or protected_size < 4:
        raise _refused("the header is not that of a coffret image")
    hashed_size = HEADER_SIZE + body_size + protected_size
    if hashed_size > len(data):
        raise _refused(f"the header promises {hashed_size} bytes, there are {len(data)}")
    protected: dict[int, bytes] = {}
    for kind, value in _walk(data[HEADER_SIZE + body_size : hashed_size], _TLV_PROTECTED):
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
        security_counter=int.from_bytes(protected[_COUNTER], "little"),
        boot_record=protected[_RECORD],
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
    if len(area) < 4 or struct.unpack_from("<HH", area) != (magic, len(area)):
        raise _refused(f"a TLV area does not begin with {magic:#06x} and its length")
    at = 4
    while at < len(area):
        if len(area) - at < 4:
            raise _refused("a TLV is cut short")
        kind, length = struct.unpack_from("<HH", area, at)
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
    for kind, value in _walk(area, _TLV_OPEN):
        if kind == _SHA256:
            _take(digest, kind, value, (32, 32))
        elif kind == _KEYHASH:
            _take(key, kind, value, (32, 32))
        elif kind == TLV_LMS:
            if not key or len(value) != LMS_SIZE or lms is not None:
                raise _refused("an LMS signature has no key, another length, or is there twice")
            lms = Signature(key.pop(_KEYHASH), value)
        elif kind != _ECDSA:
            raise _refused(f"TLV {kind:#04x} does not belong into the unprotected area")
        elif not key or not 8 <= len(value) <= 72 or len(signatures) == SIGNATURES_MAX:
            raise _refused("a signature has no key, has no signature's length, or is one too many")
        else:
            signatures.append(Signature(key.pop(_KEYHASH), value))
    if not digest:
        raise _refused(f"TLV {_SHA256:#04x} is missing")
    if key:
        raise _refused("a key is named and its signature is missing")
    return digest[_SHA256], tuple(signatures), lms


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
