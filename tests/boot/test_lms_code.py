# SPDX-License-Identifier: Apache-2.0
"""Boot's LMS verification (mbedTLS' code, our end of it) on the host, and others' signatures."""

from __future__ import annotations

import ctypes
import hashlib
import random

import pyhsslms
import pytest

import boards
from attest.lms_keys import LmsKey
from firmware.image.lms import LMS_TYPE, OTS_TYPE, SIGNATURE_SIZE
from tests.boot import rfc8554
from tests.boot.host_boot import load_boot
from tests.boot.test_crypto import EQUAL
from tests.lms import make_lms_key


class OneTimeParameters(ctypes.Structure):
    """mbedTLS' `mbedtls_lmots_parameters_t`."""

    _fields_ = (
        ("identifier", ctypes.c_uint8 * 16),
        ("leaf", ctypes.c_uint8 * 4),
        ("type", ctypes.c_int),
    )


@pytest.fixture(scope="module")
def crypto(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    out = tmp_path_factory.mktemp("lms")
    board = boards.load("mps2-an385")
    library = load_boot([], out, out / "crypto.so", board, ["BOOT_POST_QUANTUM"])
    library.lms_verify.restype = ctypes.c_uint32
    return library


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> LmsKey:
    return make_lms_key(tmp_path_factory.mktemp("keys") / "lms.key")


def verify(crypto: ctypes.CDLL, key: bytes, digest: bytes, signature: bytes) -> int:
    assert (len(key), len(digest), len(signature)) == (56, 32, SIGNATURE_SIZE)
    return int(crypto.lms_verify(key, digest, signature))


def test_one_time_signature_of_rfc_8554_leads_to_its_root(crypto: ctypes.CDLL) -> None:
    """Appendix F, test case 1. Its tree has five levels, ours ten, so the rest is done here."""
    case = rfc8554
    identifier = (ctypes.c_uint8 * 16)(*case.IDENTIFIER)
    parameters = OneTimeParameters(identifier, (ctypes.c_uint8 * 4)(0, 0, 0, case.LEAF), 4)
    out = ctypes.create_string_buffer(32)
    size = ctypes.c_size_t
    assert not crypto.mbedtls_lmots_calculate_public_key_candidate(
        ctypes.byref(parameters),
        *(case.MESSAGE, size(len(case.MESSAGE))),
        *(case.ONE_TIME_SIGNATURE, size(len(case.ONE_TIME_SIGNATURE))),
        *(out, size(32), None),
    )
    number = (1 << case.HEIGHT) + case.LEAF

    def node(at: int, kind: str, data: bytes) -> bytes:
        prefix = case.IDENTIFIER + at.to_bytes(4, "big") + bytes.fromhex(kind)
        return hashlib.sha256(prefix + data).digest()

    found = node(number, "8282", out.raw)
    for level in range(case.HEIGHT):
        other = case.PATH[32 * level : 32 * level + 32]
        found = node(number // 2, "8383", other + found if number & 1 else found + other)
        number //= 2
    assert found == case.ROOT


def test_signatures_made_elsewhere_are_good(crypto: ctypes.CDLL, key: LmsKey) -> None:
    for number in range(6):
        digest = hashlib.sha256(bytes([number])).digest()
        signature = key.sign_digest(digest)
        assert verify(crypto, key.public_key.raw, digest, signature) == EQUAL


def test_every_leaf_of_the_tree_is_found(crypto: ctypes.CDLL) -> None:
    """A tree whose root follows from one leaf and its path, for leaves at the edges."""
    seed, identifier, digest = b"s" * 32, b"i" * 16, b"d" * 32
    draw = random.Random(8554)
    for leaf in (0, 1, 511, 512, 1022, 1023):
        one_time = pyhsslms.LmotsPrivateKey(
            I=identifier, q=leaf.to_bytes(4, "big"), SEED=seed, lmots_type=OTS_TYPE
        )
        path = [draw.randbytes(32) for _ in range(10)]
        found = pyhsslms.LmsSignature(leaf, one_time.sign(digest), path, LMS_TYPE)
        number = 1024 + leaf
        prefix = identifier + number.to_bytes(4, "big") + bytes.fromhex("8282")
        root = hashlib.sha256(prefix + one_time.publicKey().K).digest()
        for other in path:
            both = other + root if number & 1 else root + other
            number //= 2
            prefix = identifier + number.to_bytes(4, "big") + bytes.fromhex("8383")
            root = hashlib.sha256(prefix + both).digest()
        raw = LMS_TYPE + OTS_TYPE + identifier + root
        assert verify(crypto, raw, digest, found.serialize()) == EQUAL


def test_a_bit_anywhere_makes_it_false(crypto: ctypes.CDLL, key: LmsKey) -> None:
    digest = hashlib.sha256(b"image").digest()
    signature = key.sign_digest(digest)
    draw = random.Random(1452)
    # All of the numbers and types, and of each 32 bytes behind them at least one.
    places = {*range(8), *range(1128, 1132), *range(8, SIGNATURE_SIZE, 29)}
    for place in places:
        changed = bytearray(signature)
        changed[place] ^= 1 << draw.randrange(8)
        assert verify(crypto, key.public_key.raw, digest, bytes(changed)) != EQUAL, place
        assert not key.public_key.is_signature(digest, bytes(changed)), place


def test_another_digest_or_key_makes_it_false(crypto: ctypes.CDLL, key: LmsKey) -> None:
    digest = hashlib.sha256(b"image").digest()
    signature = key.sign_digest(digest)
    for place in range(32):
        changed = bytearray(digest)
        changed[place] ^= 1
        assert verify(crypto, key.public_key.raw, bytes(changed), signature) != EQUAL
    for place in range(56):
        raw = bytearray(key.public_key.raw)
        raw[place] ^= 1
        assert verify(crypto, bytes(raw), digest, signature) != EQUAL
    for nothing in (bytes(SIGNATURE_SIZE), b"\xff" * SIGNATURE_SIZE):
        assert verify(crypto, key.public_key.raw, digest, nothing) != EQUAL
        assert verify(crypto, bytes(56), bytes(32), nothing) != EQUAL


def test_leaf_behind_the_last_is_false(crypto: ctypes.CDLL, key: LmsKey) -> None:
    signature = key.sign_digest(b"d" * 32)
    for leaf in (1024, 1 << 16, 0xFFFF_FFFF):
        changed = leaf.to_bytes(4, "big") + signature[4:]
        assert verify(crypto, key.public_key.raw, b"d" * 32, changed) != EQUAL
        assert not key.public_key.is_signature(b"d" * 32, changed)
