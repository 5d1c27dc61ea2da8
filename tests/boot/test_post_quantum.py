# SPDX-License-Identifier: Apache-2.0
"""Boot that asks for an LMS signature starts nothing without a good one of a key of its own."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attest.lms_keys import LmsKey
from firmware.compiler.boot_build import RUNTIME, build_boot, keys_source
from firmware.compiler.sources import MBEDTLS, find_tree
from firmware.compiler.toolchain import zig_toolchain
from firmware.image.format import Version
from firmware.image.reader import read_image
from firmware.image.signer import LocalSigner
from firmware.image.trust import Trust, TrustedKey, TrustedLmsKey
from firmware.image.writer import ImageContent, add_lms_signature, add_signature, unsigned_image
from firmware.planning.memory import RuntimeSizes
from flasher.reasons import Reason
from tests.boot.device import Kit, handoff_of
from tests.boot.host_boot import load_boot
from tests.boot.test_choice import start
from tests.boot.test_refusals import reason_without_start
from tests.lms import FixedLmsSigner, make_lms_key
from tests.qemu import needs_qemu

STORE = Path(__file__).parents[1] / "store"
OLD, KEY = (ec.derive_private_key(number, ec.SECP256R1()) for number in (41, 42))
SECURED, PROVISIONING = 0x3000, 0x2000


@dataclass(frozen=True, slots=True)
class LmsKeys:
    """`bench` is a development key, `foreign` is nobody's."""

    old: LmsKey
    new: LmsKey
    bench: LmsKey
    foreign: LmsKey


@pytest.fixture(scope="module")
def lms(tmp_path_factory: pytest.TempPathFactory) -> LmsKeys:
    folder = tmp_path_factory.mktemp("lms_keys")
    names = ("old", "new", "bench", "foreign")
    return LmsKeys(*(make_lms_key(folder / f"{name}.key", name.encode()) for name in names))


@pytest.fixture(scope="module")
def trust(lms: LmsKeys) -> Trust:
    return Trust(
        (TrustedKey(OLD.public_key()), TrustedKey(KEY.public_key(), generation=1)),
        lms_keys=(
            TrustedLmsKey(lms.old.public_key),
            TrustedLmsKey(lms.new.public_key, generation=1),
            TrustedLmsKey(lms.bench.public_key, generation=1, development=True),
        ),
    )


@pytest.fixture(scope="module")
def strict(kit: Kit, trust: Trust, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """A board whose boot asks for LMS."""
    out = tmp_path_factory.mktemp("post_quantum")
    boot = build_boot(kit.board, trust, zig_toolchain(), find_tree(MBEDTLS), out)
    return replace(kit, key=KEY, boot=boot)


def half_signed(kit: Kit, version: str = "1.0.0", **more: int) -> bytes:
    """In slot A, by ECDSA alone."""
    content = ImageContent(Version.parse(version), 1, b"\x11" * 32, b"\x22" * 32, **more)
    image = unsigned_image(kit.bodies[0], 0, kit.board, content, KEY.public_key())
    return add_signature(image, LocalSigner(KEY))


def without_lms_key_hash(image: bytes) -> bytes:
    """The LMS signature is there, but the hash of its key is not."""
    facts = read_image(image)
    assert facts.lms is not None
    pair = struct.pack("<HH", 0x01, 32) + facts.lms.key_hash
    area = image[facts.hashed_size :].replace(pair, b"")
    assert len(area) == len(image) - facts.hashed_size - len(pair)
    area = area[:2] + struct.pack("<H", len(area)) + area[4:]
    return image[: facts.hashed_size] + area


def shortened(image: bytes) -> bytes:
    """The LMS signature without its last byte, and all lengths true."""
    facts = read_image(image)
    assert facts.lms is not None
    whole = struct.pack("<HH", 0xA4, len(facts.lms.value)) + facts.lms.value
    less = struct.pack("<HH", 0xA4, len(facts.lms.value) - 1) + facts.lms.value[:-1]
    area = image[facts.hashed_size :].replace(whole, less)
    area = area[:2] + struct.pack("<H", len(area)) + area[4:]
    return image[: facts.hashed_size] + area


# What is wrong, to an image and the reason.
WRONG: dict[str, tuple[Callable[[Kit, LmsKeys], bytes], Reason]] = {
    "none": (lambda kit, _: half_signed(kit), Reason.POST_QUANTUM),
    "of zeros": (
        lambda kit, lms: add_lms_signature(
            half_signed(kit), FixedLmsSigner(lms.new.public_key, bytes(1452))
        ),
        Reason.POST_QUANTUM,
    ),
    "of another image": (
        lambda kit, lms: add_lms_signature(
            half_signed(kit),
            FixedLmsSigner(lms.new.public_key, replayed(kit, lms)),
        ),
        Reason.POST_QUANTUM,
    ),
    "by a foreign key": (
        lambda kit, lms: add_lms_signature(half_signed(kit), lms.foreign),
        Reason.POST_QUANTUM,
    ),
    "by a foreign key, under a known name": (
        lambda kit, lms: add_lms_signature(
            half_signed(kit),
            FixedLmsSigner(lms.new.public_key, lms.foreign.sign_digest(digest_of(kit))),
        ),
        Reason.POST_QUANTUM,
    ),
    "under the name of an ECDSA key": (
        lambda kit, lms: renamed(add_lms_signature(half_signed(kit), lms.new)),
        Reason.POST_QUANTUM,
    ),
    "without its key": (
        lambda kit, lms: without_lms_key_hash(add_lms_signature(half_signed(kit), lms.new)),
        Reason.KEY,
    ),
    "cut": (
        lambda kit, lms: shortened(add_lms_signature(half_signed(kit), lms.new)),
        Reason.TLV,
    ),
    "by a key that the image revokes": (
        lambda kit, lms: add_lms_signature(half_signed(kit, revokes_below=1), lms.old),
        Reason.REVOKES_ITSELF,
    ),
    "alone": (
        lambda kit, lms: add_lms_signature(unsigned(kit), lms.new),
        Reason.NO_SIGNATURE,
    ),
}


def unsigned(kit: Kit) -> bytes:
    content = ImageContent(Version.parse("1.0.0"), 1, b"\x11" * 32, b"\x22" * 32)
    return unsigned_image(kit.bodies[0], 0, kit.board, content, KEY.public_key())


def digest_of(kit: Kit) -> bytes:
    return read_image(half_signed(kit)).digest


def replayed(kit: Kit, lms: LmsKeys) -> bytes:
    return lms.new.sign_digest(read_image(half_signed(kit, "1.0.1")).digest)


def renamed(image: bytes) -> bytes:
    facts = read_image(image)
    assert facts.lms is not None
    return image.replace(facts.lms.key_hash, facts.signatures[0].key_hash)


# ---- boot's own C on the host: all of it ----

Judge = Callable[..., int]


class Limits(ctypes.Structure):
    """`struct image_limits`."""

    _fields_ = (
        ("minimum_counter", ctypes.c_uint32),
        ("key_floor", ctypes.c_uint16),
        ("lifecycle", ctypes.c_uint16),
    )


@pytest.fixture(scope="module")
def judge(kit: Kit, trust: Trust, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """`boot_check_image`, which the running image and recovery ask too."""
    out = tmp_path_factory.mktemp("judge")
    (out / "keys.c").write_text(keys_source(trust))
    sources = [RUNTIME / "boot/image.c", *sorted((RUNTIME / "store").glob("*.c"))]
    sources += [RUNTIME / "smp/slot_image.c", out / "keys.c", STORE / "simulated_flash.c"]
    library = load_boot(sources, out, out / "check.so", kit.board, ["BOOT_POST_QUANTUM"])
    library.simulated_bytes.restype = ctypes.c_void_p
    at = library.simulated_bytes() + kit.board.flash.slot_a.offset
    info = ctypes.create_string_buffer(256)

    def check(image: bytes, key_floor: int = 0, lifecycle: int = PROVISIONING) -> int:
        ctypes.memmove(at, image.ljust(0x8000, b"\xff"), 0x8000)
        limits = Limits(1, key_floor, lifecycle)
        return int(library.boot_check_image(0, ctypes.byref(limits), info))

    ctypes.memset(at, 0xFF, kit.board.slot(0).size)
    return check


def test_image_with_both_signatures_is_good(kit: Kit, lms: LmsKeys, judge: Judge) -> None:
    for key in (lms.old, lms.new, lms.bench):
        assert judge(add_lms_signature(half_signed(kit), key)) == Reason.OK


def test_the_order_of_signatures_does_not_matter(kit: Kit, lms: LmsKeys, judge: Judge) -> None:
    image = add_signature(add_lms_signature(unsigned(kit), lms.new), LocalSigner(KEY))
    assert judge(image) == Reason.OK
    assert judge(add_signature(image, LocalSigner(OLD), first=True)) == Reason.OK


@pytest.mark.parametrize("what", WRONG)
def test_wrong_lms_signature_is_refused(kit: Kit, lms: LmsKeys, judge: Judge, what: str) -> None:
    make, reason = WRONG[what]
    found = Reason(judge(make(kit, lms)))
    assert found is reason
    assert found.words


def test_two_lms_signatures_are_refused(kit: Kit, lms: LmsKeys, judge: Judge) -> None:
    one = add_lms_signature(half_signed(kit), lms.new)
    other = read_image(add_lms_signature(half_signed(kit), lms.old)).lms
    assert other is not None
    facts = read_image(one)
    more = struct.pack("<HH", 1, 32) + other.key_hash + struct.pack("<HH", 0xA4, 1452) + other.value
    area = one[facts.hashed_size + 4 :] + more
    whole = one[: facts.hashed_size] + struct.pack("<HH", 0x6907, len(area) + 4) + area
    assert judge(whole) == Reason.TLV


def test_revoked_lms_key_and_development_key_do_not_count(
    kit: Kit, lms: LmsKeys, judge: Judge
) -> None:
    by_old = add_lms_signature(half_signed(kit), lms.old)
    assert judge(by_old, key_floor=1) == Reason.REVOKED
    by_bench = add_lms_signature(half_signed(kit), lms.bench)
    assert judge(by_bench, lifecycle=SECURED) == Reason.REVOKED
    assert judge(add_lms_signature(half_signed(kit), lms.new), 1, SECURED) == Reason.OK


def test_every_byte_of_the_lms_signature_counts(kit: Kit, lms: LmsKeys, judge: Judge) -> None:
    image = add_lms_signature(half_signed(kit), lms.new)
    facts = read_image(image)
    start = len(image) - 1452 - 4 - 32 - 4  # its key's hash, and both heads
    for place in range(start, len(image), 31):
        changed = bytearray(image)
        changed[place] ^= 1 << place % 8
        assert judge(bytes(changed)) != Reason.OK, place - start
    assert facts.lms is not None


# ---- the whole of boot, under QEMU ----


@needs_qemu
def test_boot_starts_it_and_remembers(strict: Kit, lms: LmsKeys, tmp_path: Path) -> None:
    flash = strict.flash(tmp_path / "nv", add_lms_signature(half_signed(strict), lms.new))
    assert start(strict, flash).slot == 0
    assert start(strict, flash).slot == 0  # by its MAC


@needs_qemu
@pytest.mark.parametrize("what", ["none", "of another image", "by a foreign key"])
def test_boot_refuses_what_lacks_it(strict: Kit, lms: LmsKeys, tmp_path: Path, what: str) -> None:
    make, reason = WRONG[what]
    flash = strict.flash(tmp_path / "nv", make(strict, lms))
    assert reason_without_start(strict, flash) == reason


@needs_qemu
def test_boot_that_knows_no_lms_refuses_the_signature(
    kit: Kit, lms: LmsKeys, tmp_path: Path
) -> None:
    """Nobody signed the area that it stands in, so what boot does not know there is no image."""
    flash = kit.flash(tmp_path / "nv", add_lms_signature(kit.image(0), lms.new))
    assert reason_without_start(kit, flash) == Reason.TLV


@needs_qemu
def test_unprivileged_caller_checks_on_its_own_stack(
    strict: Kit, lms: LmsKeys, tmp_path: Path
) -> None:
    """As the manager does. What it has below the call is 324 bytes (docs/internals.md)."""
    flash = strict.flash(tmp_path / "nv", add_lms_signature(half_signed(strict), lms.new))
    with strict.on(flash) as machine:
        handoff = handoff_of(machine)
        result, digest, used = machine.ask("v0").split()
        print(f"stack of check_image with LMS: {used} bytes")
        assert (result, digest) == ("0", handoff.image_digest.hex())
        assert 1_000 < int(used) < RuntimeSizes().manager_stack - 324 - 512
