# SPDX-License-Identifier: Apache-2.0
"""The real boot, with the power cut at every flash operation of every kind of start.

A step is one word programmed or one sector erased; it is cut before, in the middle (each bit that
was to change has or has not) and just after. Then the board starts again, twice: always a valid
image, counters never lower, no record lost that was there before.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from firmware.image.format import Version
from firmware.image.signer import LocalSigner
from firmware.image.writer import ImageContent, wrap_image
from tests.boot.skips.skips import Cut, Outcome, Rig
from tests.boot.skips.test_skips import BOARD, KEY, flash_with, forged, signed, with_slot
from tests.power_cuts import PowerCuts

A, B = Outcome.STARTED_A, Outcome.STARTED_B
NONE = 0xFF
STATE, COUNTER, LIFECYCLE, ENDORSEMENT, FLOOR, SETTING, FILLER = 1, 2, 3, 4, 9, 17, 18
KEPT = {LIFECYCLE: b"\x00\x30", ENDORSEMENT: b"endorsed" * 60, SETTING: b"a setting"}


@dataclass(frozen=True, slots=True)
class Story:
    """A flash before a start, and what the first and the second start after a cut may run."""

    flash: bytes
    allowed: frozenset[tuple[Outcome, Outcome]]


def put(flash: bytes, key: int, payload: bytes) -> bytes | None:
    """The record, appended as the store does it. None: the bank has no room."""
    store, unit = BOARD.flash.store, max(4, BOARD.flash.program_size)
    banks = [store.offset, store.offset + store.bank_size]
    valid = [at for at in banks if flash[at : at + 4] == b"CFRS"]
    start = max(valid, key=lambda at: struct.unpack_from("<I", flash, at + 4))
    at = start + unit
    while at < start + store.bank_size and flash[at] != 0xFF:
        (length,) = struct.unpack_from("<H", flash, at + 2)
        at += -(-(8 + -(-length // 4) * 4) // unit) * unit
    record = struct.pack("<BBH", key, 0xFF, len(payload)) + payload
    record = record.ljust(-(-len(record) // 4) * 4, b"\xff")
    record += struct.pack("<I", zlib.crc32(record))
    if at + len(record) > start + store.bank_size:
        return None
    return flash[:at] + record + flash[at + len(record) :]


def with_record(flash: bytes, key: int, payload: bytes) -> bytes:
    found = put(flash, key, payload)
    assert found is not None, "the bank is full"
    return found


def with_state(flash: bytes, active: int, pending: int = NONE, flags: int = 0) -> bytes:
    return with_record(flash, STATE, bytes([active, pending, flags, 0]))


def image_b(revokes_below: int = 0) -> bytes:
    body = struct.pack("<II", 0x2004_0000, BOARD.slot(1).base + 0x209) + b"next" * 100
    digests = b"\x11" * 32, b"\x22" * 32
    content = ImageContent(Version.parse("2.0.0"), 2, *digests, revokes_below)
    return wrap_image(body, 1, BOARD, content, LocalSigner(KEY))


def base(rig: Rig, running: bytes, b: bytes) -> bytes:
    """Slot A runs, provisioned; `b` in slot B."""
    flash = with_slot(running, BOARD, 1, b)
    for key, payload in KEPT.items():
        flash = with_record(flash, key, payload)
    return rig.start(flash)[1]


def first_flash(rig: Rig, running: bytes) -> Story:  # noqa: ARG001 - as the others
    return Story(flash_with(rig, signed(0), image_b()), frozenset({(B, B)}))


def always(rig: Rig, running: bytes) -> Story:
    return Story(base(rig, running, b""), frozenset({(A, A)}))


def compaction(rig: Rig, running: bytes) -> Story:
    """A bank so full that the next start has to compact."""
    flash, filled = base(rig, running, b""), 0
    for size in (128, 4):  # as small as the boot count, so that not even that fits
        while (fuller := put(flash, FILLER, bytes([filled % 256]) * size)) is not None:
            flash, filled = fuller, filled + 1
    assert rig.steps(flash) > 100, "it does not compact"
    return Story(flash, frozenset({(A, A)}))


def trial(rig: Rig, running: bytes) -> Story:
    flash = with_state(base(rig, running, image_b()), 0, 1)
    # It may have lost its turn, but it never has a second.
    return Story(flash, frozenset({(A, A), (B, A)}))


def revert(rig: Rig, running: bytes) -> Story:
    return Story(with_state(base(rig, running, image_b()), 0, 1, 1), frozenset({(A, A)}))


def refused_trial(rig: Rig, running: bytes) -> Story:
    return Story(with_state(base(rig, running, forged(1)), 0, 1), frozenset({(A, A)}))


def confirmed(rig: Rig, running: bytes) -> Story:
    """Confirmed, with the rise of the counter still to come."""
    return Story(with_state(base(rig, running, image_b()), 1), frozenset({(B, B)}))


def revocation(rig: Rig, running: bytes) -> Story:
    """The same for an image that revokes older keys too."""
    flash = base(rig, running, image_b(revokes_below=1))
    return Story(with_state(flash, 1), frozenset({(B, B)}))


def lost_slot(rig: Rig, running: bytes) -> Story:
    """The active image is damaged; the other one carries the board."""
    flash = with_slot(base(rig, running, image_b()), BOARD, 0, forged(0))
    return Story(flash, frozenset({(B, B)}))


# Of the boot that runs on the board, under emulation; the scenario that each belongs to.
STORIES: dict[Callable[[Rig, bytes], Story], str] = {
    first_flash: "first flash",
    always: "a start as always",
    compaction: "record-store compaction",
    trial: "test",
    revert: "revert",
    refused_trial: "test of a forged image",
    confirmed: "rollback-counter rise",
    revocation: "key revocation",
    lost_slot: "a start with a damaged slot",
}


# Of each step: before, after, and torn in six patterns of bits.
CUTS = (
    (Cut.BEFORE, 1),
    *((Cut.TORN, seed) for seed in (1, 0x9E3779B9, 0x12345, 0xBADC0DE, 0x7FFF0001, 0xC0FF4E7)),
    (Cut.AFTER, 1),
)


def number(records: dict[int, bytes], key: int) -> int:
    return int.from_bytes(records.get(key, b""), "little")


def cut_everywhere(rig: Rig, story: Story, share: float) -> int:
    """Cuts at a share of all steps; returns how many cuts were made."""
    before = rig.records(story.flash)
    draw = random.Random(1)
    made = 0
    for step in range(rig.steps(story.flash)):
        for cut, seed in CUTS:
            if draw.random() >= share:
                continue
            made += 1
            where = f"step {step}, {cut.name}, seed {seed}"
            left = rig.cut(story.flash, step, cut, seed)
            first, after = rig.start(left)
            second, later = rig.start(after)
            assert (first, second) in story.allowed, where
            for flash in (left, after, later):
                records = rig.records(flash)
                for key in (COUNTER, FLOOR):
                    assert number(records, key) >= number(before, key), where
                for key in KEPT:
                    assert records.get(key) == before.get(key), where
    return made


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_sampled_power_cut_leaves_a_board_that_starts(
    rig: Rig, running: bytes, story: Callable[[Rig, bytes], Story], power_cuts: PowerCuts
) -> None:
    told = story(rig, running)
    steps = rig.steps(told.flash)
    made = cut_everywhere(rig, told, min(1.0, 25 / (len(CUTS) * steps)))
    power_cuts(STORIES[story], made)
    assert made > 5


@pytest.mark.all
def test_power_cut_at_every_step_leaves_a_board_that_starts(
    rig: Rig, running: bytes, power_cuts: PowerCuts
) -> None:
    total = 0
    for story, scenario in STORIES.items():
        made = cut_everywhere(rig, story(rig, running), 1.0)
        power_cuts(scenario, made)
        total += made
    assert total > 2_000
