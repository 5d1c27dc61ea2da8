# SPDX-License-Identifier: Apache-2.0
"""SYS_DEVICE under attack: an enclave in C asks for what is not its own."""

from __future__ import annotations

from pathlib import Path

import boards
from boards.model import Region
from firmware.link import Layout
from firmware.toolchain import CompileJob
from tests.monitor.rig import MAIN_STACK, Memory, Program, lines, link_program, running, stub
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
    "trigger_of_a_pin_without_one": NOT_FOUND,
    "events_of_nobody": "+0",
    "listen_to_what_is_not_its_own": "+0",
    "storm": "+1",
    "chance": "+0",
}


def test_no_call_reaches_what_another_enclave_has(tmp_path: Path) -> None:
    board = boards.load("mps2-an385")
    ram = board.memory.ram.base
    layout = Layout(
        monitor=Region(base=ram, size=0x8000),
        main_stack=MAIN_STACK,
        window=Region(base=ram + 0x8000, size=0x400),
    )
    image = link_program(
        tmp_path,
        (str(PROGRAM / "prober.c"),),
        (CompileJob(PROGRAM / "tables.c"),),
        layout,
        without="attester.c",
        defines=("MONITOR_DEVICES",),
        includes=(PROGRAM,),
    )
    memory = Memory(tmp_path)
    program = Program(board, image, stub(tmp_path))
    with running(program, tmp_path, *memory.arguments) as machine:
        said = lines(machine, "then", 60)
        # What comes next is a store to a device that it was not granted.
        assert dict(line.split() for line in said[:-1]) == EXPECTED
        # The other one's light, as the part has it, is as it was.
        assert memory.read(FPGAIO_LED, 4) == bytes(4)
