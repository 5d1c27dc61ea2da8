# SPDX-License-Identifier: Apache-2.0
"""Signed images in MCUboot's format are made; `image_reader` reads them back.

The container is written by `imgtool`'s own modules (MCUboot, `scripts/imgtool`); the signature is
made outside it, so that it is deterministic (RFC 6979) and can come from a token.
"""

from __future__ import annotations

import contextlib
import io
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from boards.errors import USAGE
from boards.model import Board
from firmware.image.format import (
    AREA_OPEN,
    HEADER,
    HEADER_SIZE,
    HINT,
    HINT_MAGIC,
    TLV_BOARD,
    TLV_ECDSA,
    TLV_HEAD,
    TLV_KEYHASH,
    TLV_LMS,
    TLV_POLICY,
    TLV_REVOKE,
    TLV_SBOM,
    ImageError,
    Version,
    imgtool,
)
from firmware.image.lms import SIGNATURE_SIZE as LMS_SIZE
from firmware.image.reader import ImageFacts, check_digest, check_lms, verify_image
from firmware.image.signer import ImageSigner, LmsSigner
from firmware.image.trust import SIGNATURES_MAX, key_hash

# imgtool takes 12 characters at most; the appliance's own name is in the image's tables.
BOOT_RECORD_TYPE = "appliance"

_DIGEST_TLV = TLV_HEAD.size + 32  # the first of the unprotected area
# Key hash and signature in DER, each with its TLV's head.
_SIGNATURE_ROOM = TLV_HEAD.size + 32 + TLV_HEAD.size + 72
_LMS_ROOM = TLV_HEAD.size + 32 + TLV_HEAD.size + LMS_SIZE


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
    more = _tlv(TLV_KEYHASH, signer.public_key.key_hash) + _tlv(TLV_LMS, value)
    return _with_tlvs(image, facts, more, first=False)


def _with_tlvs(image: bytes, facts: ImageFacts, more: bytes, *, first: bool) -> bytes:
    """The image with more in its unprotected area; the digest stays in front."""
    area = image[facts.hashed_size :]
    digest, others = area[4 : 4 + _DIGEST_TLV], area[4 + _DIGEST_TLV :]
    rest = more + others if first else others + more
    return image[: facts.hashed_size] + tlv_area(digest + rest)


def signature_tlvs(signer: ImageSigner, digest: bytes) -> bytes:
    """Key hash and signature over the digest, as boot reads a pair of them."""
    return _tlv(TLV_KEYHASH, key_hash(signer.public_key)) + _tlv(
        TLV_ECDSA, signer.sign_digest(digest)
    )


def _tlv(kind: int, value: bytes) -> bytes:
    return TLV_HEAD.pack(kind, len(value)) + value


def tlv_area(entries: bytes) -> bytes:
    """The unprotected area that holds these entries."""
    return TLV_HEAD.pack(AREA_OPEN, 4 + len(entries)) + entries


def _create(
    body: bytes,
    address: int,
    board: Board,
    content: ImageContent,
    key: ec.EllipticCurvePublicKey,
) -> bytes:
    """imgtool's image, without what it signs with."""
    version = content.version
    image = imgtool("image").Image(
        version=imgtool("version").SemiSemVersion(
            version.major, version.minor, version.revision, version.build
        ),
        header_size=HEADER_SIZE,
        rom_fixed=address,
        security_counter=content.security_counter,
    )
    image.payload = (
        _hint(board, content).rjust(HEADER.size + HINT.size, b"\0").ljust(HEADER_SIZE, b"\0")
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
            pub_key=imgtool("keys").ECDSA256P1Public(key),
            public_key_format="hash",
            enckey=None,
            sw_type=BOOT_RECORD_TYPE,
            custom_tlvs=custom,
            fixed_sig={"value": bytes(70)},
        )
    data = bytes(image.payload)
    hashed_size = HEADER_SIZE + len(body) + struct.unpack_from("<H", data, 10)[0]
    digest = data[hashed_size + 4 :][:_DIGEST_TLV]
    return data[:hashed_size] + TLV_HEAD.pack(AREA_OPEN, 4 + len(digest)) + digest


def _hint(board: Board, content: ImageContent) -> bytes:
    return HINT.pack(HINT_MAGIC, content.security_counter, board.name.encode("ascii"))
