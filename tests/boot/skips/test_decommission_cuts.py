# SPDX-License-Identifier: Apache-2.0
"""A device is decommissioned to the end, wherever the power is cut meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from firmware.compiler.boot_build import build_boot
from firmware.compiler.sources import MBEDTLS, find_tree
from firmware.compiler.toolchain import zig_toolchain
from firmware.image.decommission import order
from firmware.image.signer import LocalSigner
from firmware.image.trust import Trust
from tests.boot.skips.skips import Outcome, Rig, make_rig
from tests.boot.skips.test_cuts import CUTS, KEPT, LIFECYCLE, with_record
from tests.boot.skips.test_skips import BOARD, KEY, UDS, flash_with, signed

ORDER = 10
SECURED, DECOMMISSIONED = b"\x00\x30", b"\x00\x60"
INSTANCE_ID = bytes(33)  # the rig does not work the identity out (skips.py, RETURNING)


def ordered(running: bytes) -> bytes:
    """A provisioned board that has just stored the order."""
    flash = running
    for key, payload in KEPT.items():
        flash = with_record(flash, key, payload)
    return with_record(flash, ORDER, order(INSTANCE_ID, [LocalSigner(KEY)]))


def is_over(rig: Rig, flash: bytes) -> bool:
    """The record says so, and neither secret nor endorsement is anywhere in the flash."""
    store = BOARD.flash.store
    banks = flash[store.offset : store.offset + store.bank_size * store.banks]
    gone = UDS not in flash and all(
        payload not in banks for key, payload in KEPT.items() if key != LIFECYCLE
    )
    return gone and rig.records(flash)[LIFECYCLE] == DECOMMISSIONED


def test_undisturbed_it_is_done_in_one_start(rig: Rig, running: bytes) -> None:
    outcome, flash = rig.start(ordered(running))
    assert outcome is Outcome.RECOVERY
    assert is_over(rig, flash)
    assert rig.start(flash)[0] is Outcome.RECOVERY


def test_boot_that_knows_no_order_goes_on(tmp_path: Path) -> None:
    trust = replace(Trust.of([KEY.public_key()]), decommission=False)
    boot = build_boot(BOARD, trust, zig_toolchain(), find_tree(MBEDTLS), tmp_path)
    rig = make_rig(BOARD, boot, tmp_path)
    outcome, running = rig.start(flash_with(rig, signed(0)))
    assert outcome is Outcome.STARTED_A
    outcome, flash = rig.start(ordered(running))
    assert outcome is Outcome.STARTED_A
    assert rig.records(flash)[LIFECYCLE] == SECURED
    assert UDS in flash


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.all)])
def test_cut_anywhere_it_is_done_at_the_next_start(rig: Rig, running: bytes, stride: int) -> None:
    flash = ordered(running)
    steps, cuts = rig.steps(flash), 0
    assert steps > 20
    for step in range(0, steps, stride):
        for cut, seed in CUTS:
            left = rig.cut(flash, step, cut, seed)
            lifecycle = rig.records(left)[LIFECYCLE]
            assert lifecycle in (SECURED, DECOMMISSIONED)
            outcome, after = rig.start(left)
            assert outcome is Outcome.RECOVERY, (step, cut, seed)
            assert is_over(rig, after), (step, cut, seed)
            cuts += 1
    print(f"decommissioning: {cuts} cuts at {steps} steps")
