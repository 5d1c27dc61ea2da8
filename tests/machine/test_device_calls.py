# SPDX-License-Identifier: Apache-2.0
"""SYS_DEVICE under attack: an enclave in C asks for what is not its own."""

from __future__ import annotations

from pathlib import Path

import pytest

import boards
from boards.memory import Region
from firmware.compiler.link import Layout
from firmware.compiler.toolchain import CompileJob
from firmware.planning.monitor_features import EVERYTHING, HEADER, constants, image_config
from tests.monitor.rig import MAIN_STACK, Alter, Memory, Program, lines, link_program, running, stub
from tests.qemu import needs_qemu

pytestmark = needs_qemu

PROGRAM = Path(__file__).parent / "program"
FPGAIO_LED = 0x4002_8000
NOT_FOUND, DENIED, SIZE, POINTER = "-8", "-4", "-3", "-5"

EXPECTED = {
    "own_pin": "+0",
    "others_pin": DENIED,
    "others_pin_read": DENIED,
    "others_led": DENIED,
    "row_behind_the_table": DENIED,
    "huge_row": DENIED,
    "unknown_operation": NOT_FOUND,
    "pin_call_on_a_timer": NOT_FOUND,
    "watchdog_call_on_a_pin": NOT_FOUND,
    "function_it_may_have": "+0",
    "function_of_a_device_it_lacks": DENIED,
    "function_beyond_the_mask": DENIED,
    "huge_function": DENIED,
    "unknown_mode": NOT_FOUND,
    "identity_not_granted": NOT_FOUND,
    "identity_of_another": DENIED,
    "identity_into_the_image": POINTER,
    "identity_into_the_monitor": POINTER,
    "identity_into_a_device": POINTER,
    "identity_too_short": SIZE,
    "settings_of_another": DENIED,
    "settings_into_the_image": POINTER,
    "settings_into_the_monitor": POINTER,
    "settings_through_an_identity": NOT_FOUND,
    "no_settings": "+0",
    "trigger_of_a_pin_without_one": NOT_FOUND,
    "events_of_nobody": "+0",
    "listen_to_what_is_not_its_own": "+0",
    "storm": "+1",
    "chance": "+0",
}


def build(directory: Path, alter: Alter = lambda _: None) -> Program:
    """The enclave that asks, with a monitor that `alter` may change."""
    board = boards.load("mps2-an385")
    ram = board.memory.ram.base
    layout = Layout(
        monitor=Region(base=ram, size=0x8000),
        main_stack=MAIN_STACK,
        window=Region(base=ram + 0x8000, size=0x400),
    )
    (directory / HEADER).write_text(image_config(constants(EVERYTHING)), encoding="utf-8")
    image = link_program(
        directory,
        (str(PROGRAM / "prober.c"),),
        (CompileJob(PROGRAM / "tables.c"),),
        layout,
        without="attester.c",
        includes=(PROGRAM,),
        alter=alter,
    )
    return Program(board, image, stub(directory))


def test_no_call_reaches_what_another_enclave_has(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    program = build(tmp_path)
    with running(program, tmp_path, *memory.arguments) as machine:
        said = lines(machine, "then", 60)
        # What comes next is a store to a device that it was not granted.
        assert dict(line.split() for line in said[:-1]) == EXPECTED
        # The other one's light, as the part has it, is as it was.
        assert memory.read(FPGAIO_LED, 4) == bytes(4)


@pytest.mark.all
def test_an_interrupt_that_is_left_on_would_stop_the_board(tmp_path: Path) -> None:
    """The control of "storm": without that one line the monitor never gets out of it."""

    def leave_on(path: Path) -> str | None:
        if path.name != "device.c":
            return None
        text = path.read_text(encoding="utf-8")
        off = "            core_interrupt_disable(irq);\n"
        assert text.count(off) == 1
        return text.replace(off, "            (void)irq;\n")

    with running(build(tmp_path, leave_on), tmp_path) as machine:
        lines(machine, "trigger_of_a_pin_without_one", 60)  # the last before it, or nearly
        with pytest.raises(AssertionError):
            lines(machine, "storm", 20)
