# SPDX-License-Identifier: Apache-2.0
"""The blocks by which an RP2350's boot ROM knows and verifies an image (data sheet, section 5.9).

`seal` writes them, `read` is strict and takes hostile bytes. Two blocks in a loop: a small one
within the first 4 KiB, and behind the image the one that counts, with hash or signature.
Where the data sheet and the SDK's boot/picobin.h differ (the item types of SIGNATURE and
HASH_VALUE, section 5.9.2) the header is right: boot ROM and picotool are built with it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

HEADER, FOOTER = 0xFFFFDED3, 0xAB123579
IMAGE_TYPE, VECTOR_TABLE, LOAD_MAP, HASH_DEF, VERSION = 0x42, 0x03, 0x06, 0x47, 0x48
SIGNATURE, HASH_VALUE, LAST = 0x09, 0x4B, 0xFF
SEARCHED = 0x1000  # the first block lies within (section 5.9.5)
FIRST_BLOCK = 20  # bytes of the smallest one
BLOCK_MAX = 384  # bytes (section 5.9.1)
VERSIONS_A_ROW = 24  # thermometer bits of three OTP rows (section 5.9.2.1)
_ARM_SECURE_EXE = 0x1021  # section 5.9.5.1: executable, Secure, Arm, RP2350
_SHA256 = _SECP256K1 = 1
_ROWS_MAX, _OTP_ROWS = 7, 4096


class PicobinError(ValueError):
    """Bytes that the boot ROM would not take, or not as what they should be."""


@dataclass(frozen=True, slots=True)
class Release:
    """What orders images: `rollback` against the OTP rows, where there are rows."""

    major: int
    minor: int
    rollback: int | None = None
    rows: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not (0 <= self.major <= 0xFFFF and 0 <= self.minor <= 0xFFFF):
            raise PicobinError("a version's parts have 16 bits")
        if (self.rollback is None) != (not self.rows):
            raise PicobinError("a rollback version and its OTP rows go together")
        if self.rollback is not None and not 0 <= self.rollback < VERSIONS_A_ROW * len(self.rows):
            raise PicobinError(f"rollback version {self.rollback}: its OTP rows cannot hold more")
        if len(self.rows) > _ROWS_MAX or not all(0 < row < _OTP_ROWS - 2 for row in self.rows):
            raise PicobinError("OTP rows: at most seven, each the first of three")


@dataclass(frozen=True, slots=True)
class Sealed:
    """An image that was read. `key`: SHA-256 of its public key, as the OTP's BOOTKEY has it; None:
    it is hashed only. Whether that key is trusted is the caller's question.
    """

    release: Release
    vector_table: int
    digest: bytes
    key: bytes | None


def key_hash(key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 over x and y, big-endian: what OTP rows BOOTKEYn hold (section 5.10.1)."""
    return hashlib.sha256(_point(key)).digest()


def seal(
    image: bytes, base: int, at: int, release: Release, key: ec.EllipticCurvePrivateKey | None
) -> bytes:
    """The image, which runs at `base` with its vector table first, with both blocks.

    The first block goes to the offset `at`, where the image keeps `FIRST_BLOCK` zeros. Raises
    PicobinError: no place there, or the key is not on secp256k1.
    """
    if at % 4 or at + FIRST_BLOCK > min(SEARCHED, len(image)) or any(image[at : at + FIRST_BLOCK]):
        raise PicobinError(f"{at:#x}: no place for the first block within the first 4 KiB")
    body = bytearray(image.ljust(len(image) + -len(image) % 4, b"\xff"))
    last = len(body)
    type_item = [IMAGE_TYPE | 1 << 8 | _ARM_SECURE_EXE << 16]
    body[at : at + FIRST_BLOCK] = _block(type_item, last - at)
    items = type_item + _version(release) + [VECTOR_TABLE | 2 << 8, base]
    place = base + last + 4 * (1 + len(items))  # of the load map: addresses are relative to it
    items += [LOAD_MAP | 4 << 8 | 1 << 24, base - place & 0xFFFFFFFF, base, last]
    items += [HASH_DEF | 2 << 8 | _SHA256 << 24, 1 + len(items) + 2]
    digest = _digest(bytes(body), items)
    if key is None:
        items += [HASH_VALUE | 9 << 8, *struct.unpack("<8I", digest)]
    else:
        if not isinstance(key.curve, ec.SECP256K1):
            raise PicobinError("the boot ROM verifies signatures on secp256k1 only")
        r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
        proof = _point(key.public_key()) + r.to_bytes(32, "big") + s.to_bytes(32, "big")
        items += [SIGNATURE | 33 << 8 | _SECP256K1 << 24, *struct.unpack("<32I", proof)]
    return bytes(body) + _block(items, at - last)


def read(image: bytes, base: int) -> Sealed:
    """What the boot ROM would start. Raises PicobinError; nothing in it is believed before."""
    at = image[:SEARCHED].find(struct.pack("<I", HEADER))
    if at < 0 or at % 4:
        raise PicobinError("no block within the first 4 KiB")
    first, link = _parse(image, at)
    last = at + link
    if [code for code, _, _ in first] != [IMAGE_TYPE] or last <= at:
        raise PicobinError("the first block is not an image's, or links back")
    items, link = _parse(image, last)
    if last + link != at:
        raise PicobinError("the blocks are no loop: the image is incomplete")
    codes = [code for code, _, _ in items]
    if codes[:5] != [IMAGE_TYPE, VERSION, VECTOR_TABLE, LOAD_MAP, HASH_DEF] or len(codes) != 6:
        raise PicobinError("the last block is not one that seals an image")
    if items[0][2] != first[0][2] or items[0][2][0] >> 16 != _ARM_SECURE_EXE:
        raise PicobinError("not an Arm Secure executable for RP2350")
    load, hashed = items[3], items[4]
    relative = base - (base + last + 4 * load[1]) & 0xFFFFFFFF
    if load[2] != (LOAD_MAP | 4 << 8 | 1 << 24, relative, base, last):
        raise PicobinError("the load map is not the whole image in its place")
    if hashed[2] != (HASH_DEF | 2 << 8 | _SHA256 << 24, hashed[1] + 2):
        raise PicobinError("the hash does not cover the block up to itself")
    digest = _digest(image[:last], [word for _, _, words in items[:5] for word in words])
    key = _proven(items[5][0], items[5][2], digest)
    return Sealed(_release(items[1][2]), items[2][2][1], digest, key)


def _proven(code: int, words: Sequence[int], digest: bytes) -> bytes | None:
    proof = struct.pack(f"<{len(words)}I", *words)[4:]
    if code == HASH_VALUE and words[0] == HASH_VALUE | 9 << 8 and proof == digest:
        return None
    if code != SIGNATURE or words[0] != SIGNATURE | 33 << 8 | _SECP256K1 << 24:
        raise PicobinError("its hash is wrong, or it has neither hash nor signature")
    r, s = int.from_bytes(proof[64:96], "big"), int.from_bytes(proof[96:], "big")
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), b"\x04" + proof[:64])
        key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    except (InvalidSignature, ValueError) as error:
        raise PicobinError("its signature is wrong") from error
    return key_hash(key)


def _release(words: Sequence[int]) -> Release:
    minor, major = words[1] & 0xFFFF, words[1] >> 16
    halves = [half for word in words[2:] for half in (word & 0xFFFF, word >> 16)]
    count = words[0] >> 24
    known = tuple(halves[1 : 1 + count])
    release = Release(major, minor, halves[0] if count else None, known)
    if tuple(_version(release)) != tuple(words):
        raise PicobinError("its version is not written as it should be")
    return release


def _version(release: Release) -> list[int]:
    halves = [] if release.rollback is None else [release.rollback, *release.rows]
    halves += [0] * (len(halves) % 2)
    words = [low | high << 16 for low, high in zip(halves[::2], halves[1::2], strict=True)]
    head = VERSION | (2 + len(words)) << 8 | len(release.rows) << 24
    return [head, release.minor | release.major << 16, *words]


def _block(items: Sequence[int], link: int) -> bytes:
    words = [HEADER, *items, LAST | len(items) << 8, link & 0xFFFFFFFF, FOOTER]
    return struct.pack(f"<{len(words)}I", *words)


def _digest(body: bytes, items: Sequence[int]) -> bytes:
    """Of what the load map names, then of the block's words from its header to its HASH_DEF."""
    words = struct.pack(f"<{1 + len(items)}I", HEADER, *items)
    return hashlib.sha256(body + words).digest()


def _parse(image: bytes, at: int) -> tuple[list[tuple[int, int, tuple[int, ...]]], int]:
    """The items of the block at an offset (type, its word's number, words), and its link."""
    data = image[at : at + BLOCK_MAX] if at >= 0 and at % 4 == 0 else b""
    words = struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])
    if not words or words[0] != HEADER:
        raise PicobinError(f"{at:#x}: no block")
    items = list(_items(words))
    end = 1 + sum(len(item[2]) for item in items)
    if words[end : end + 1] != (LAST | end - 1 << 8,) or words[end + 2 : end + 3] != (FOOTER,):
        raise PicobinError(f"{at:#x}: the block does not end as it should")
    (link,) = struct.unpack("<i", struct.pack("<I", words[end + 1]))
    return items, link


def _items(words: Sequence[int]) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    at = 1
    while at < len(words) and words[at] & 0xFF != LAST:
        size = words[at] >> 8 & 0xFF
        if not size or at + size > len(words):
            raise PicobinError("an item reaches beyond its block")
        yield words[at] & 0xFF, at, tuple(words[at : at + size])
        at += size


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    numbers = key.public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
