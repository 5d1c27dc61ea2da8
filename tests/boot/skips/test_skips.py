# SPDX-License-Identifier: Apache-2.0
"""Does a single skipped instruction make boot start what nobody signed? No.

Each claim takes a flash that an attacker prepared, runs boot's start over it, and once more for
each executed instruction with that one skipped. Where a skip leaves other records behind, the
device is started again: a lie must not be written down and believed later.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils

import boards
from boards.model import Board
from firmware.compiler.boot_build import build_boot
from firmware.compiler.sources import MBEDTLS, find_tree
from firmware.compiler.toolchain import zig_toolchain
from firmware.image.format import Version
from firmware.image.reader import read_image
from firmware.image.signer import LocalSigner
from firmware.image.trust import Trust
from firmware.image.writer import ImageContent, add_signature
from firmware.image.writer import unsigned_image as unsigned
from tests.boot.skips.skips import Outcome, Rig, Skip, make_rig

BOARD = boards.load("rpi-pico")
KEY = ec.derive_private_key(0xC0FF8E7, ec.SECP256R1())
FOREIGN = ec.derive_private_key(0xBAD, ec.SECP256R1())
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
UDS = bytes(range(32))


@dataclass(frozen=True, slots=True)
class FixedSigner:
    """A signature that somebody made up."""

    value: bytes

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        return KEY.public_key()

    def sign_digest(self, digest: bytes) -> bytes:  # noqa: ARG002 - whatever it is
        return self.value


def image(slot: int, text: bytes = b"good", version: str = "1.0.0", counter: int = 1) -> bytes:
    body = struct.pack("<II", 0x2004_0000, BOARD.slot(slot).base + 0x209) + text * 100
    content = ImageContent(Version.parse(version), counter, b"\x11" * 32, b"\x22" * 32)
    return unsigned(body, slot, BOARD, content, KEY.public_key())


def signed(slot: int, **more: object) -> bytes:
    return add_signature(image(slot, **more), LocalSigner(KEY))  # type: ignore[arg-type]


def forged(slot: int) -> bytes:
    """Right in everything but its signature, which is of another image."""
    other = read_image(signed(slot)).signatures[0].value
    return add_signature(image(slot, b"evil", "9.0.0", 9), FixedSigner(other))


def flash_with(rig: Rig, a: bytes = b"", b: bytes = b"") -> bytes:
    """A board's whole flash, boot included."""
    flash = bytearray(b"\xff" * BOARD.flash.size)
    code = rig.boot.binary.read_bytes()
    flash[: len(code)] = code
    secrets = BOARD.flash.secrets.offset
    flash[secrets : secrets + 40] = b"CFUDS1\0\0" + UDS
    for extent, content in ((BOARD.flash.slot_a, a), (BOARD.flash.slot_b, b)):
        flash[extent.offset : extent.offset + len(content)] = content
    return bytes(flash)


def with_slot(flash: bytes, board: Board, slot: int, content: bytes) -> bytes:
    extent = (board.flash.slot_a, board.flash.slot_b)[slot]
    return (
        flash[: extent.offset]
        + content.ljust(extent.size, b"\xff")
        + flash[extent.offset + extent.size :]
    )


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    out = tmp_path_factory.mktemp("skips")
    trust = Trust.of([KEY.public_key()])
    boot = build_boot(BOARD, trust, zig_toolchain(), find_tree(MBEDTLS), out)
    return make_rig(BOARD, boot, out)


@pytest.fixture(scope="module")
def running(rig: Rig) -> bytes:
    """Slot A runs, signed, confirmed and remembered; slot B is empty."""
    outcome, flash = rig.start(flash_with(rig, signed(0)))
    assert outcome is Outcome.STARTED_A
    return flash


def unsigned_flash(rig: Rig, running: bytes, name: str) -> tuple[bytes, Outcome]:
    """A flash, and the slot whose start would be the attacker's success."""
    boundary = utils.encode_dss_signature(N, N)
    # A copy of the image that runs, moved to slot B: everything but the address is genuine.
    moved = bytearray(signed(0))
    moved[4:8] = struct.pack("<I", BOARD.slot(1).base)
    return {
        "forged": (flash_with(rig, forged(0)), Outcome.STARTED_A),
        "unsigned": (flash_with(rig, image(0)), Outcome.STARTED_A),
        "boundary": (
            flash_with(rig, add_signature(image(0), FixedSigner(boundary))),
            Outcome.STARTED_A,
        ),
        "foreign": (
            flash_with(rig, add_signature(image(0), LocalSigner(FOREIGN))),
            Outcome.STARTED_A,
        ),
        "replaced": (with_slot(running, BOARD, 0, forged(0)), Outcome.STARTED_A),
        "other slot": (with_slot(running, BOARD, 1, forged(1)), Outcome.STARTED_B),
        "moved": (with_slot(running, BOARD, 1, bytes(moved)), Outcome.STARTED_B),
    }[name]


# Each part of a sweep takes every eighth instruction, so that several hosts can share the work.
PARTS = 8
ARITHMETIC = "forged, arithmetic too"
NAMES = ("forged", "unsigned", "boundary", "foreign", "replaced", "other slot", "moved")


def report(name: str, skips: Sequence[Skip], success: Outcome) -> list[Skip]:
    """Prints the count, returns those that led to the attacker's success."""
    won = [skip for skip in skips if success in (skip.outcome, skip.later)]
    places = len({skip.place for skip in skips})
    print(
        f"{name}: {len(skips)} skips at {places} instructions; "
        f"{len(won)} start what nobody signed; "
        f"{sum(skip.outcome is Outcome.RESET for skip in skips)} fault, "
        f"{sum(skip.outcome is Outcome.OUT_OF_TIME for skip in skips)} hang"
    )
    return won


def test_undisturbed_boot_starts_what_is_signed_and_nothing_else(rig: Rig, running: bytes) -> None:
    assert rig.start(running)[0] is Outcome.STARTED_A
    for name in NAMES:
        flash, success = unsigned_flash(rig, running, name)
        assert rig.start(flash)[0] is not success, name


@pytest.mark.parametrize("name", NAMES)
def test_sampled_skip_starts_nothing_unsigned(rig: Rig, running: bytes, name: str) -> None:
    flash, success = unsigned_flash(rig, running, name)
    skips = rig.sweep(flash, arithmetic=False, stride=211, phase=17)
    assert len(skips) > 30
    assert report(name, skips, success) == []


# What happens inside the arithmetic is the same for every false signature: it is skipped at on one
# flash, which takes hours.
@pytest.mark.all
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", [*NAMES, ARITHMETIC])
def test_no_skip_starts_anything_unsigned(rig: Rig, running: bytes, name: str, part: int) -> None:
    whole = name == ARITHMETIC
    flash, success = unsigned_flash(rig, running, NAMES[0] if whole else name)
    skips = rig.sweep(flash, arithmetic=whole, stride=PARTS, phase=part)
    assert len(skips) > 4_000 // PARTS
    assert report(f"{name}, part {part}", skips, success) == []
