# SPDX-License-Identifier: Apache-2.0
"""Ten thousand spoilt images: none is accepted, each refusal has words.

All are judged by boot's own C, built for the host for the same board, and by the real boot on the
emulated processor (in each run a sample), which must give the same reason.
"""

from __future__ import annotations

import ctypes
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import boards
from boards.model import Board
from firmware.compiler.boot_build import RUNTIME, keys_source
from firmware.image.format import Version
from firmware.image.reader import read_image
from firmware.image.signer import LocalSigner
from firmware.image.trust import Trust, TrustedKey, TrustedLmsKey
from firmware.image.writer import ImageContent, add_lms_signature, wrap_image
from flasher.reasons import Reason
from tests.boot.host_boot import load_boot
from tests.boot.skips.skips import Outcome, Rig
from tests.boot.skips.test_skips import BOARD, KEY, flash_with
from tests.lms import make_lms_key

STORE = Path(__file__).parents[2] / "store"
COUNT = 10_000
CHUNKS = 10
# The erased rest of a slot behind an image that was cut short may complete it: never seen, but it
# would be the same image.
ERASED = b"\xff"
Judge = Callable[[bytes], int]


class Limits(ctypes.Structure):
    """`struct image_limits`."""

    _fields_ = (
        ("minimum_counter", ctypes.c_uint32),
        ("key_floor", ctypes.c_uint16),
        ("lifecycle", ctypes.c_uint16),
    )


def made(number: int = 0, kind: Board = BOARD, slot: int = 0) -> bytes:
    """One of several good images."""
    body = struct.pack("<II", 0x2004_0000, kind.slot(slot).base + 0x209) + bytes([number]) * 40
    content = ImageContent(Version(1, number, 0), 1, bytes([number] * 32), b"\x22" * 32)
    return wrap_image(body, slot, kind, content, LocalSigner(KEY))


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Boot's check on the host: an image in slot A to a reason."""
    trust = Trust((TrustedKey(KEY.public_key(), generation=1),))
    return judge_of(trust, tmp_path_factory.mktemp("mutations"))


@dataclass(frozen=True, slots=True)
class Strict:
    """A boot that asks for LMS, and good images for it."""

    judge: Judge
    images: Sequence[bytes]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Strict:
    out = tmp_path_factory.mktemp("mutations_lms")
    lms = make_lms_key(out / "lms.key", real=8)
    trust = Trust((TrustedKey(KEY.public_key()),), lms_keys=(TrustedLmsKey(lms.public_key),))
    images = [add_lms_signature(made(number), lms) for number in range(8)]
    return Strict(judge_of(trust, out, "BOOT_POST_QUANTUM"), images)


def judge_of(trust: Trust, out: Path, *defines: str) -> Judge:
    (out / "keys.c").write_text(keys_source(trust))
    sources = [
        RUNTIME / "boot/image.c",
        RUNTIME / "smp/slot_image.c",
        *sorted((RUNTIME / "store").glob("*.c")),
    ]
    sources += [out / "keys.c", STORE / "simulated_flash.c"]
    library = load_boot(sources, out, out / "check.so", BOARD, defines)
    library.simulated_bytes.restype = ctypes.c_void_p
    at = library.simulated_bytes() + BOARD.flash.slot_a.offset
    info = ctypes.create_string_buffer(256)
    room = 0x1000

    def check(image: bytes) -> int:
        assert len(image) <= room
        ctypes.memmove(at, image.ljust(room, ERASED), room)
        return int(library.boot_check_image(0, ctypes.byref(Limits(1, 0, 0x2000)), info))

    ctypes.memset(at, 0xFF, BOARD.slot(0).size)
    return check


def flipped(image: bytes) -> Iterator[bytes]:
    """Every bit of header, padding, body and both TLV areas."""
    for place in range(len(image)):
        for bit in range(8):
            changed = bytearray(image)
            changed[place] ^= 1 << bit
            yield bytes(changed)


def overflowing(image: bytes) -> Iterator[bytes]:
    """Every length field, with the values that go over an edge."""
    facts = read_image(image)
    fields = [(8, 2), (10, 2), (12, 4)]  # header, protected area, body
    area = facts.hashed_size - struct.unpack_from("<H", image, 10)[0]
    for start in (area, facts.hashed_size):
        fields.append((start + 2, 2))
        end = start + struct.unpack_from("<H", image, start + 2)[0]
        at = start + 4
        while at < end:
            fields.append((at + 2, 2))
            at += 4 + struct.unpack_from("<H", image, at + 2)[0]
    size = BOARD.slot(0).size
    edges = (0, 1, 3, 4, 0x7FFF, 0x8000, 0xFFFF, size - 0x200, size, 0x7FFF_FFFF, 0xFFFF_FFFF)
    for place, width in fields:
        was = int.from_bytes(image[place : place + width], "little")
        for value in {*edges, was - 1, was + 1, was + 4}:
            if value != was and 0 <= value < 1 << 8 * width:
                yield image[:place] + value.to_bytes(width, "little") + image[place + width :]


def swapped(images: Sequence[bytes]) -> Iterator[bytes]:
    """Digest, signatures, and whole areas of one good image in another."""
    for one in images:
        for other in images:
            if one is other:
                continue
            mine, theirs = read_image(one), read_image(other)
            protected = struct.unpack_from("<H", one, 10)[0]
            yield one.replace(mine.digest, theirs.digest)
            yield one[: mine.hashed_size] + other[theirs.hashed_size :]
            yield (
                one[: mine.hashed_size - protected]
                + other[theirs.hashed_size - protected : theirs.hashed_size]
                + one[mine.hashed_size :]
            )
            signature, false = mine.signatures[0].value, theirs.signatures[0].value
            if len(signature) == len(false):
                yield one.replace(signature, false)
            if mine.lms is not None and theirs.lms is not None:
                yield one.replace(mine.lms.value, theirs.lms.value)


def elsewhere() -> Iterator[bytes]:
    """Good images for another board, or another slot, also moved to this one's address."""
    for name in ("mps2-an385", "mps2-an386", "mps2-an505"):
        image = made(1, boards.load(name))
        yield image
        yield image[:4] + struct.pack("<I", BOARD.slot(0).base) + image[8:]
    yield made(1, slot=1)
    # Signed, at the right address, for a board with the same memory.
    yield made(1, BOARD.model_copy(update={"name": "rpi-pica"}))


def noisy(image: bytes, draw: random.Random) -> bytes:
    changed = bytearray(image)
    for _ in range(draw.randrange(2, 9)):
        changed[draw.randrange(len(image))] = draw.randrange(256)
    return bytes(changed)


def spoilt(count: int) -> list[bytes]:
    image, draw = made(), random.Random(4)
    images = [
        *overflowing(image),
        *swapped([made(n) for n in range(1, 8)]),
        *elsewhere(),
        *flipped(image),
    ]
    images += [image[:length] for length in range(len(image))]
    images += [noisy(image, draw) for _ in range(max(0, count - len(images)))]
    return [each for each in images if each.ljust(len(image), ERASED) != image]


def test_good_image_is_accepted(judge: Judge) -> None:
    assert judge(made()) == 0


def test_ten_thousand_spoilt_images_are_refused_with_words(judge: Judge) -> None:
    images = spoilt(COUNT)
    reasons = Counter(Reason(judge(image)) for image in images)
    assert reasons[Reason.OK] == 0
    print(f"{len(images)} images refused:")
    for reason, number in reasons.most_common():
        assert reason.words
        print(f"  {number:>6} {reason.words}")
    assert len(images) >= COUNT
    assert {Reason.HASH, Reason.SIGNATURE, Reason.TLV, Reason.KEY} <= set(reasons)
    assert {Reason.TOO_LARGE, Reason.BOARD, Reason.SLOT_ADDRESS, Reason.HEADER} <= set(reasons)


@pytest.mark.parametrize("sparse", [9, pytest.param(1, marks=pytest.mark.all)])
def test_spoilt_images_with_lms_are_refused_with_words(strict: Strict, sparse: int) -> None:
    """What differs from the others: the LMS signature and what stands around it."""
    image, draw = strict.images[0], random.Random(5)
    assert strict.judge(image) == 0
    open_area = read_image(image).hashed_size
    images = [*overflowing(image), *swapped(strict.images[: max(3, 8 // sparse)])]
    images += [image[:length] for length in range(open_area, len(image), sparse)]
    images += [noisy(image, draw) for _ in range(900 // sparse)]
    for place in range(open_area, len(image), sparse):
        for bit in range(8) if sparse == 1 else [draw.randrange(8)]:
            changed = bytearray(image)
            changed[place] ^= 1 << bit
            images.append(bytes(changed))
    images = [each for each in images if each.ljust(len(image), ERASED) != image]
    reasons = Counter(Reason(strict.judge(each)) for each in images)
    assert reasons[Reason.OK] == 0
    print(f"{len(images)} images with LMS refused:")
    for reason, number in reasons.most_common():
        assert reason.words
        print(f"  {number:>6} {reason.words}")
    assert {Reason.POST_QUANTUM, Reason.SIGNATURE, Reason.HASH, Reason.TLV} <= set(reasons)


def refused_by_boot(rig: Rig, image: bytes) -> int:
    """The reason that the real boot wrote down; it may start nothing."""
    outcome, flash = rig.start(flash_with(rig, image))
    assert outcome is Outcome.RECOVERY
    return rig.records(flash).get(1, bytes(4))[3]


def test_real_boot_refuses_a_sample_for_the_same_reason(rig: Rig, judge: Judge) -> None:
    for image in random.Random(4).sample(spoilt(COUNT), 40):
        assert refused_by_boot(rig, image) == judge(image)


@pytest.mark.all
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_real_boot_refuses_ten_thousand_for_the_same_reason(
    rig: Rig, judge: Judge, chunk: int
) -> None:
    for image in spoilt(COUNT)[chunk::CHUNKS]:
        assert refused_by_boot(rig, image) == judge(image)
