# SPDX-License-Identifier: Apache-2.0
"""Every attack succeeds where the defence that stops it is missing (tests/monitor/controls.py).

test_isolation.py shows each stopped by the monitor as it is. Here the monitor is built without one
defence, and the same attack is made on a board of its own.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import boards
from firmware.compiler.link import monitor_sources
from tests.monitor import attack_table
from tests.monitor.controls import ALLOWED, CONTROLS, FLASH, MARK, PLANTED, Control, Effect
from tests.monitor.defences import DEFENCES
from tests.monitor.rig import PROGRAM, Memory, Program, build, running
from tests.qemu import Machine, needs_qemu

pytestmark = needs_qemu

SILENT_S = 60
SLOT_B = FLASH + 0x8_0000
FLOOD, QUEUES, QUEUE_SIZE, BEHIND_FLOODED = 0xF100D, 0x2000_8400, 0x100, 19  # program.h
NO_ANSWER = 0x7FFF  # orders.h
STARVED = 1  # messages that a neighbour gets; 5 and more where slices are shared

_HEADER = (PROGRAM / "attacks.h").read_text(encoding="utf-8")
NUMBERS = {
    name: base + n
    for kind, base in (("ATTACK", 0), ("PROBE", 100), ("NUISANCE", 200))
    for n, name in enumerate(re.findall(rf"^ +{kind}\((\w+)", _HEADER, re.MULTILINE))
}
# One of each kind in every run; all of them with `--all`.
SAMPLE = (
    "read_other_task",
    "read_secrets",
    "execute_own_memory",
    "undefined_instruction",
    "send_from_monitor",
    "learn_from_full_queue",
)

Build = Callable[[str], Program]


@dataclass(frozen=True, slots=True)
class Observed:
    """What became of one order. `facts` are the overseer's lines; none if it says no more."""

    killed: bool
    facts: dict[str, list[int]]
    word_at: Callable[[int], int]

    @property
    def went_on(self) -> bool:
        reason, survived, _ = self.facts["outcome"]
        return survived == 1 or reason == -1


@pytest.fixture(scope="module")
def program_without(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds the program on a monitor that lacks a defence, once."""
    built: dict[str, Program] = {}

    def without(defence: str) -> Program:
        if defence not in built:
            alter = DEFENCES[defence].alter if defence else lambda _: None
            directory = tmp_path_factory.mktemp("without")
            built[defence] = build(directory, lto=False, service="overseer.c", alter=alter)
        return built[defence]

    return without


def order(
    program: Program, attack: str, directory: Path, check: Callable[[Observed], None]
) -> None:
    """One attack on a fresh board; `check` may read its memory while it is on."""
    memory = Memory(directory)
    planted = [
        word
        for place in (SLOT_B, SLOT_B + 0x2000)
        for word in ("-device", f"loader,addr={place:#x},data={PLANTED:#x},data-len=4")
    ]

    def word_at(address: int) -> int:
        (word,) = struct.unpack("<I", memory.read(address, 4))
        return int(word)

    with running(program, directory, *planted, *memory.arguments) as machine:
        machine.read_until(b"order 1\n", 60)
        machine.send(b"%d\n" % NUMBERS[attack])
        facts: dict[str, list[int]] = {}
        killed = False
        while "done" not in facts and not killed:
            line = _line(machine)
            killed = line is None or line.startswith("order")
            if line is not None and not killed:
                name, *values = line.split()
                facts[name] = [int(value) for value in values]
        check(Observed(killed, facts, word_at))


def _line(machine: Machine) -> str | None:
    """None: the board says no more."""
    try:
        return machine.line(SILENT_S)
    except (AssertionError, OSError):
        return None


def verify(control: Control, seen: Observed) -> None:
    """The attack had its effect."""
    if control.effect is Effect.KILLS:
        assert seen.killed, seen.facts
        return
    assert not seen.killed, seen.facts
    match control.effect:
        case Effect.READS:
            assert seen.facts["outcome"][1:] == [1, _signed(control.value)]
        case Effect.WRITES:
            assert seen.word_at(control.value) == MARK
        case Effect.GOES_ON:
            assert seen.went_on, seen.facts
        case Effect.FORGES:
            assert seen.facts["outcome"][0] == control.value
        case Effect.ANSWERS:
            assert seen.facts["answer"] == [control.value]
        case Effect.WAITS:
            assert seen.facts["answer"] == [NO_ANSWER]
            assert seen.facts["faults"] == [0]
        case Effect.BREAKS:
            assert seen.facts["listener"] == [0]
        case Effect.STARVES:
            assert seen.facts["messages"][0] <= STARVED
        case Effect.SPOILS:
            place = QUEUES + BEHIND_FLOODED * QUEUE_SIZE
            words = [seen.word_at(place + 4 * n) for n in range(16)]
            assert FLOOD in words, words


def _signed(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word


@pytest.mark.parametrize(
    "control",
    [
        pytest.param(c, id=c.attack, marks=() if c.attack in SAMPLE else pytest.mark.all)
        for c in CONTROLS
    ],
)
def test_attack_succeeds_without_its_defence(
    program_without: Build, control: Control, tmp_path: Path
) -> None:
    program = program_without(control.defence)
    order(program, control.attack, tmp_path, lambda seen: verify(control, seen))


def test_the_same_orders_are_stopped_by_the_monitor_as_it_is(
    program_without: Build, tmp_path: Path
) -> None:
    """What the controls take for success does not happen by itself."""
    program = program_without("")
    for attack in SAMPLE:
        (control,) = (c for c in CONTROLS if c.attack == attack)
        directory = tmp_path / attack
        directory.mkdir()

        def stopped(seen: Observed, control: Control = control) -> None:
            assert not seen.killed
            with pytest.raises(AssertionError):
                verify(control, seen)

        order(program, attack, directory, stopped)


def test_every_attack_has_its_control() -> None:
    assert len({control.attack for control in CONTROLS}) == len(CONTROLS) >= 40
    assert {control.attack for control in CONTROLS} == NUMBERS.keys() - set(ALLOWED)
    assert {control.defence for control in CONTROLS} == DEFENCES.keys()


def test_the_page_of_attacks_is_what_the_tests_show() -> None:
    assert attack_table.PAGE.read_text(encoding="utf-8") == attack_table.render()


@pytest.mark.parametrize("defence", DEFENCES)
def test_each_defence_stands_where_it_is_taken_away(defence: str) -> None:
    changed = {change.file for change in DEFENCES[defence].changes}
    places = [path for path in sources() if path.name in changed]
    assert {path.name for path in places} == changed
    for path in places:
        assert DEFENCES[defence].alter(path) != path.read_text(encoding="utf-8")


def sources() -> list[Path]:
    """The C that a defence may stand in."""
    return [*monitor_sources(), *boards.load("mps2-an385").image_sources, *PROGRAM.glob("tables.c")]
