# SPDX-License-Identifier: Apache-2.0
"""Does a single skipped instruction make boot start what lacks the LMS signature it asks for? No.

The attacker can forge every ECDSA signature: those are good. What is false is the other one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from attest.lms_keys import LmsKey
from firmware.compiler.boot_build import build_boot
from firmware.compiler.sources import MBEDTLS, find_tree
from firmware.compiler.toolchain import zig_toolchain
from firmware.image.reader import read_image
from firmware.image.trust import Trust, TrustedKey, TrustedLmsKey
from firmware.image.writer import add_lms_signature
from tests.boot.skips.skips import Outcome, Rig, make_rig
from tests.boot.skips.test_skips import BOARD, KEY, flash_with, report, signed, with_slot
from tests.lms import FixedLmsSigner, make_lms_key


@dataclass(frozen=True, slots=True)
class LmsRig:
    """A board whose boot asks for `lms`; `genuine` runs in slot A and is remembered.

    `foreign` is an image that another LMS key signed.
    """

    rig: Rig
    lms: LmsKey
    foreign: bytes
    genuine: bytes
    running: bytes


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> LmsRig:
    out = tmp_path_factory.mktemp("lms_skips")
    lms = make_lms_key(out / "lms.key", b"lms", 1)
    foreign = add_lms_signature(evil(), make_lms_key(out / "foreign.key", b"foreign", 1))
    trust = Trust((TrustedKey(KEY.public_key()),), lms_keys=(TrustedLmsKey(lms.public_key),))
    rig = make_rig(BOARD, build_boot(BOARD, trust, zig_toolchain(), find_tree(MBEDTLS), out), out)
    genuine = add_lms_signature(signed(0), lms)
    outcome, running = rig.start(flash_with(rig, genuine))
    assert outcome is Outcome.STARTED_A
    return LmsRig(rig, lms, foreign, genuine, running)


def evil(slot: int = 0) -> bytes:
    """By ECDSA it is signed."""
    return signed(slot, text=b"evil", version="9.0.0", counter=9)


def attacked(board: LmsRig, name: str) -> tuple[bytes, Outcome]:
    """A flash, and the slot whose start would be the attacker's success."""
    known = read_image(board.genuine).lms
    assert known is not None
    replay = FixedLmsSigner(board.lms.public_key, known.value)
    zeros = FixedLmsSigner(board.lms.public_key, known.value[:1132] + bytes(320))
    rig = board.rig
    return {
        "missing": (flash_with(rig, evil()), Outcome.STARTED_A),
        "replayed": (flash_with(rig, add_lms_signature(evil(), replay)), Outcome.STARTED_A),
        "no path": (flash_with(rig, add_lms_signature(evil(), zeros)), Outcome.STARTED_A),
        "foreign": (flash_with(rig, board.foreign), Outcome.STARTED_A),
        "replaced": (
            with_slot(board.running, BOARD, 0, add_lms_signature(evil(), replay)),
            Outcome.STARTED_A,
        ),
        "other slot": (
            with_slot(board.running, BOARD, 1, add_lms_signature(evil(1), replay)),
            Outcome.STARTED_B,
        ),
    }[name]


NAMES = ("missing", "replayed", "no path", "foreign", "replaced", "other slot")


def test_undisturbed_boot_starts_only_what_has_both_signatures(
    strict: LmsRig, tmp_path: Path
) -> None:
    assert strict.rig.start(strict.running)[0] is Outcome.STARTED_A
    for name in ("missing", "replayed"):
        flash, success = attacked(strict, name)
        assert strict.rig.start(flash)[0] is not success, name
    # The harness is not blind: with its signature this very image starts.
    good = add_lms_signature(evil(), make_lms_key(tmp_path / "lms.key", b"lms", 1))
    assert strict.rig.start(flash_with(strict.rig, good))[0] is Outcome.STARTED_A


@pytest.mark.parametrize("name", ["missing", "replayed", "replaced"])
def test_sampled_skip_starts_nothing_without_lms(strict: LmsRig, name: str) -> None:
    flash, success = attacked(strict, name)
    skips = strict.rig.sweep(flash, arithmetic=False, stride=199, phase=13)
    assert len(skips) > 20
    assert report(name, skips, success) == []


@pytest.mark.all
@pytest.mark.parametrize("name", NAMES)
def test_no_skip_starts_anything_without_lms(strict: LmsRig, name: str) -> None:
    flash, success = attacked(strict, name)
    assert strict.rig.start(flash)[0] is not success
    # Inside the check itself for those whose digest is signed by nobody.
    skips = strict.rig.sweep(flash, arithmetic=False, lms=name in ("replayed", "no path"))
    assert len(skips) > 3_000
    assert report(name, skips, success) == []
