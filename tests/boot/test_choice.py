# SPDX-License-Identifier: Apache-2.0
"""Test boot, confirm, otherwise revert; and no way back below the security counter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.boot import device
from tests.boot.device import Handoff, Kit, handoff_of
from tests.qemu import FlashFile, needs_qemu

pytestmark = needs_qemu

COUNTER_KEY = 2


@pytest.fixture
def updated(kit: Kit, tmp_path: Path) -> FlashFile:
    """Version 1 runs in A; version 2, counter 2, lies in B and is marked for its trial."""
    flash = kit.flash(tmp_path / "nv", kit.image(0, "1.0.0", 1))
    start(kit, flash)
    flash.write_slot(1, kit.image(1, "2.0.0", 2))
    start(kit, flash, "t")
    return flash


def start(kit: Kit, flash: FlashFile, *commands: str) -> Handoff:
    """One start, then power off; each command must succeed."""
    with kit.on(flash) as machine:
        told = handoff_of(machine)
        for command in commands:
            assert machine.ask(command) == "OK"
    return told


def minimum(kit: Kit, flash: FlashFile) -> int:
    return int.from_bytes(kit.records(flash).get(COUNTER_KEY, b""), "little")


def test_first_flash_starts_the_newer_image(kit: Kit, tmp_path: Path) -> None:
    flash = kit.flash(tmp_path / "nv", kit.image(0, "1.10.0"), kit.image(1, "1.9.9"))
    assert start(kit, flash).slot == 0
    flash = kit.flash(tmp_path / "nv", kit.image(0, "1.9.0+4"), kit.image(1, "1.9.0+5"))
    assert start(kit, flash).slot == 1


def test_trial_runs_once_and_is_reverted(kit: Kit, updated: FlashFile) -> None:
    trial = start(kit, updated)
    assert (trial.slot, trial.trial) == (1, 1)
    assert minimum(kit, updated) == 1, "a trial does not raise the minimum"
    back = start(kit, updated)
    assert (back.slot, back.trial, back.last_reason) == (0, 0, device.NOT_CONFIRMED)
    assert start(kit, updated).slot == 0


def test_confirmed_trial_stays(kit: Kit, updated: FlashFile) -> None:
    assert start(kit, updated, "c").slot == 1
    again = start(kit, updated)
    assert (again.slot, again.trial) == (1, 0)
    assert minimum(kit, updated) == 2


def test_power_cut_inside_confirm_is_mended(kit: Kit, updated: FlashFile) -> None:
    """Confirming is two records: with only the first, the next start writes the second."""
    start(kit, updated, "n")
    assert minimum(kit, updated) == 1
    again = start(kit, updated)
    assert (again.slot, again.trial) == (1, 0)
    assert minimum(kit, updated) == 2


def test_older_security_counter_is_refused_after_confirm(kit: Kit, updated: FlashFile) -> None:
    start(kit, updated, "c")
    # The image in A has counter 1 still. Marked for trial, it is refused and B goes on.
    start(kit, updated, "t")
    told = start(kit, updated)
    assert (told.slot, told.trial, told.last_reason) == (1, 0, device.COUNTER)


def test_same_security_counter_is_not_older(kit: Kit, updated: FlashFile) -> None:
    start(kit, updated, "c")
    updated.write_slot(0, kit.image(0, "1.5.0", 2))
    start(kit, updated, "t")
    assert start(kit, updated).slot == 0


def test_trial_that_does_not_verify_is_dropped(kit: Kit, updated: FlashFile) -> None:
    updated.write_slot(1, kit.image(1, "2.0.0", 2)[:-1] + b"\0")
    told = start(kit, updated)
    assert (told.slot, told.trial) == (0, 0)
    assert told.last_reason in (device.SIGNATURE, device.HASH)


def test_broken_active_slot_falls_back_without_confirming(kit: Kit, updated: FlashFile) -> None:
    start(kit, updated)  # the trial of B, not confirmed
    start(kit, updated)  # reverted
    body = bytearray(kit.image(0, "1.0.0", 1))
    body[0x300] ^= 1
    updated.write_slot(0, bytes(body))
    told = start(kit, updated)
    assert (told.slot, told.trial, told.last_reason) == (1, 0, device.HASH)
    assert minimum(kit, updated) == 1
    updated.write_slot(0, kit.image(0, "1.0.0", 1))
    assert start(kit, updated).slot == 0


def test_remembered_signature_does_not_cover_another_image(kit: Kit, tmp_path: Path) -> None:
    """The MAC of a verified image stands for that image alone."""
    flash = kit.flash(tmp_path / "nv", kit.image(0))
    start(kit, flash)
    assert 7 in kit.records(flash)
    changed = bytearray(kit.image(0, "1.0.1"))
    changed[-1] ^= 1  # the signature's last byte; hash and key stay right
    flash.write_slot(0, bytes(changed))
    flash.write_slot(1, kit.image(1))
    told = start(kit, flash)
    assert (told.slot, told.last_reason) == (1, device.SIGNATURE)


def test_remembered_signature_spares_the_check(kit: Kit, tmp_path: Path) -> None:
    """With the MAC there, the signature is not looked at: one that is broken later goes unseen."""
    image = bytearray(kit.image(0))
    flash = kit.flash(tmp_path / "nv", bytes(image))
    start(kit, flash)
    image[-1] ^= 1
    flash.write_slot(0, bytes(image))
    assert start(kit, flash).last_reason == device.OK
