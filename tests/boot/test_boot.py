# SPDX-License-Identifier: Apache-2.0
"""Boot under QEMU: what starts, what it is told, and what is out of its reach."""

from __future__ import annotations

import hashlib
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from firmware.compiler.boot_build import STACK_SIZE
from tests.boot.device import NOT_CONFIRMED, Kit, answers_in_recovery, handoff_of
from tests.qemu import FlashFile, Machine, needs_qemu

pytestmark = needs_qemu

UDS = bytes(range(32))


def test_good_image_starts_and_is_told_what_it_is(kit: Kit, tmp_path: Path) -> None:
    image = kit.image(0, counter=3)
    flash = kit.flash(tmp_path / "nv", image)
    with kit.on(flash) as machine:
        told = handoff_of(machine)  # fails if boot left a word in its RAM
    assert (told.slot, told.trial, told.last_reason) == (0, 0, 0)
    assert (told.security_counter, told.boot_count) == (3, 1)
    assert told.policy_digest == b"\x11" * 32
    assert told.image_digest in image
    assert told.implementation_id == b"coffret/mps2-an385/flash".ljust(32, b"\0")


def test_boot_measures_itself(kit: Kit, tmp_path: Path) -> None:
    flash = kit.flash(tmp_path / "nv", kit.image(0))
    with kit.on(flash) as machine:
        told = handoff_of(machine)
    assert told.boot_digest == hashlib.sha256(kit.boot.binary.read_bytes()).digest()
    assert told.boot_digest == kit.boot.digest


def test_boot_fits_its_budget(kit: Kit) -> None:
    assert kit.boot.size <= 16 * 1024 + 512


def test_boots_stack_has_room_to_spare(kit: Kit, tmp_path: Path) -> None:
    """With a boot that forgets to wipe its RAM, the image sees how deep the stack went."""
    code = bytearray(kit.boot.elf.read_bytes())
    wipe, skip = bytes.fromhex("08c1"), bytes.fromhex("0431")  # stmia r1!, {r3}; adds r1, #4
    loop = wipe + bytes.fromhex("9142")  # and then: cmp r1, r2
    assert code.count(loop) == 1
    code[code.index(loop) : code.index(loop) + 2] = skip
    elf = tmp_path / "forgetful.elf"
    elf.write_bytes(code)
    flash = kit.flash(tmp_path / "nv", kit.image(0))
    with Machine(kit.board, elf, flash) as machine:
        word, left, lowest, *_ = machine.line().split()
    assert word == "READY"
    assert int(left) > 0, "the test does not see the stack"
    used = STACK_SIZE - int(lowest)
    print(f"boot's stack: {used} of {STACK_SIZE} bytes")
    assert 0 < used <= STACK_SIZE * 3 // 4


def test_secret_is_out_of_the_images_reach(kit: Kit, tmp_path: Path) -> None:
    flash = kit.flash(tmp_path / "nv", kit.image(0))
    with kit.on(flash) as machine:
        handoff_of(machine)
        assert machine.ask("m") == "FAULT"


def test_second_slot_alone_starts(kit: Kit, tmp_path: Path) -> None:
    flash = kit.flash(tmp_path / "nv")
    flash.write_slot(1, kit.image(1))
    with kit.on(flash) as machine:
        assert handoff_of(machine).slot == 1


def test_boot_seed_is_new_at_every_start(kit: Kit, tmp_path: Path) -> None:
    flash = kit.flash(tmp_path / "nv", kit.image(0), uds=UDS)
    told = []
    with kit.on(flash) as machine:
        told.append(handoff_of(machine))
        machine.send(b"r\n")
        told.append(handoff_of(machine))
    with kit.on(flash) as machine:
        told.append(handoff_of(machine))
    assert [one.boot_count for one in told] == [1, 2, 3]
    assert len({one.boot_seed for one in told}) == 3
    # Everything else is a function of the device and of what it runs.
    assert len({one.alias_private for one in told}) == 1
    assert len({one.certificate for one in told}) == 1


def test_start_writes_no_more_than_it_must(kit: Kit, tmp_path: Path) -> None:
    """After the first, a start adds one record: the boot count."""
    flash = kit.flash(tmp_path / "nv", kit.image(0))
    contents = []
    for _ in range(3):
        with kit.on(flash) as machine:
            handoff_of(machine)
        contents.append(kit.records(flash))
    first, second, third = contents
    assert first.keys() == second.keys() == third.keys()
    assert {key for key in second if second[key] != third[key]} == {5}


def test_watchdog_that_nobody_feeds_resets_the_board(kit: Kit, tmp_path: Path) -> None:
    flash = kit.flash(tmp_path / "nv", kit.image(0))
    with kit.on(flash) as machine:
        assert handoff_of(machine).boot_count == 1
        assert machine.ask("w") == "OK"  # and listens no more
        assert machine.line() == "FAULT"  # first it is an NMI, which the payload calls a fault
        assert handoff_of(machine).boot_count == 2


def hang_on_trial(kit: Kit, flash: FlashFile) -> Machine:
    """Emulated time runs as fast as instructions do, so that half a minute takes a second."""
    return Machine(kit.board, kit.boot.elf, flash, extra=("-icount", "shift=7,sleep=off"))


def test_image_that_hangs_on_trial_is_reverted_without_anybodys_help(
    kit: Kit, tmp_path: Path
) -> None:
    flash = kit.flash(tmp_path / "nv", kit.image(0), kit.image(1, "2.0.0"))
    with hang_on_trial(kit, flash) as machine:
        assert handoff_of(machine).slot == 1, "the newer one"
        assert machine.ask("t") == "OK"
        machine.send(b"r\n")
        on_trial = handoff_of(machine)
        assert (on_trial.slot, on_trial.trial) == (0, 1)
        machine.send(b"h\n")
        assert machine.line(120) == "FAULT"  # the watchdog's first word, an NMI
        reverted = handoff_of(machine)
        assert (reverted.slot, reverted.trial) == (1, 0)
        assert reverted.last_reason == NOT_CONFIRMED


def test_fault_of_boots_own_ends_in_recovery(kit: Kit, tmp_path: Path) -> None:
    """An undefined instruction where a slot is chosen: once more would only fault once more."""
    with kit.boot.elf.open("rb") as file:
        elf = ELFFile(file)
        table = elf.get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        symbol = (table.get_symbol_by_name("choose_slot") or [])[0]
        (code,) = [section for section in elf.iter_sections() if section.name == ".boot"]
        at = code["sh_offset"] + (symbol["st_value"] & ~1) - code["sh_addr"]
    broken = bytearray(kit.boot.elf.read_bytes())
    broken[at : at + 2] = bytes.fromhex("00de")  # udf #0
    elf_path = tmp_path / "broken.elf"
    elf_path.write_bytes(broken)
    flash = kit.flash(tmp_path / "nv", kit.image(0))
    with Machine(kit.board, elf_path, flash) as machine:
        assert answers_in_recovery(machine)


def test_asked_for_recovery_stays_once(kit: Kit, tmp_path: Path) -> None:
    flash = kit.flash(tmp_path / "nv", kit.image(0))
    with kit.on(flash) as machine:
        handoff_of(machine)
        assert machine.ask("y") == "OK"
        machine.send(b"r\n")
        assert answers_in_recovery(machine)
    with kit.on(flash) as machine:
        assert handoff_of(machine).slot == 0
