# SPDX-License-Identifier: Apache-2.0
"""The monitor on the emulator, with native enclaves that misbehave (tests/monitor/program)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from boards.model import Board
from firmware.compiler.link import RUNTIME
from tests.monitor.rig import (
    MAIN_STACK,
    PROGRAM,
    Memory,
    build,
    lines,
    running,
    writable_sections,
)
from tests.qemu import Machine, needs_qemu

pytestmark = needs_qemu

BOARDS = ("mps2-an385", "mps2-an505")
STACK_FILL = b"\xa5"
READY, WAITING, STOPPED = 0, 1, 2
EXCEPTION, MEMORY, SYSCALL = 16, 1, 6
ERR_FULL, ERR_SIZE, ERR_DENIED, ERR_POINTER, ERR_BUDGET, ERR_NOT_FOUND = -1, -3, -4, -5, -6, -8

_HEADER = (PROGRAM / "attacks.h").read_text(encoding="utf-8")
ATTACKS = re.findall(r"^ +ATTACK\((\w+),", _HEADER, re.MULTILINE)
PROBES = re.findall(r"^ +PROBE\((\w+),", _HEADER, re.MULTILINE)
NUISANCES = re.findall(r"^ +NUISANCE\((\w+)\)", _HEADER, re.MULTILINE)
# Calls with no pointer and no number in them: who may make them is all there is to attack.
NOTHING_TO_FORGE = {
    "SYS_YIELD",
    "SYS_TIME",
    "SYS_FAULT",
    "SYS_EXIT",
    "SYS_MARK_TEST",
    "SYS_CONFIRM",
    "SYS_RESET",
}
FOREIGN_CALLS = range(13, 32)  # all but SYS_YIELD to SYS_ACCOUNT


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the program reported: numbers by "section name", the log's texts, stream 0."""

    board: Board = field(repr=False)
    facts: dict[str, list[int]]
    tasks: dict[str, list[int]]  # state, faults, restarts, last fault, address, cpu in ms
    log: dict[int, str] = field(repr=False)
    echoed: bytes = field(repr=False)
    sent: bytes = field(repr=False)
    stream: bytes
    main_stack: bytes = field(repr=False)

    def fact(self, name: str) -> int:
        return self.facts[name][0]


def _run(machine: Machine, memory: Memory) -> Transcript:
    facts: dict[str, list[int]] = {}
    tasks: dict[str, list[int]] = {}
    log: dict[int, str] = {}
    for line in lines(machine, "ready", seconds=60):
        words = line.split()
        if words[0] == "log":
            log[int(words[1])] = " ".join(words[3:])
        elif words[0] == "task":
            tasks[words[1]] = [int(word) for word in words[2:]]
        elif words[0] != "ready":
            facts[f"{words[0]} {words[1]}"] = [int(word) for word in words[2:]]
    sent = os.urandom(980) + b"end of test data.!!\n"
    machine.send(sent)
    echoed = machine.read_until(sent[-20:])
    lines(machine, "done", seconds=60)
    main_stack = memory.read(machine.board.memory.ram.base, MAIN_STACK)
    return Transcript(
        machine.board, facts, tasks, log, echoed, sent, machine.stream_left(), main_stack
    )


@pytest.fixture(scope="module", params=BOARDS)
def transcript(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Transcript:
    directory = tmp_path_factory.mktemp("program")
    memory = Memory(directory)
    filled = directory / "stack.bin"
    filled.write_bytes(STACK_FILL * MAIN_STACK)
    program = build(directory, request.param)
    base = program.board.memory.ram.base
    filling = f"loader,file={filled},addr={base:#x},force-raw=on"
    with running(program, directory, "-device", filling, *memory.arguments) as machine:
        return _run(machine, memory)


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_stopped_attributed_and_its_enclave_restarted(
    transcript: Transcript, name: str
) -> None:
    found, expected, runs_again = transcript.facts[f"attack {name}"]
    assert (found, runs_again) == (expected, 1)
    assert "survived" not in " ".join(transcript.facts)


def test_no_attack_costs_the_others_a_message(transcript: Transcript) -> None:
    assert transcript.fact("listener received") > 500
    assert transcript.fact("listener missed") == 0


def test_calls_with_any_arguments_harm_nobody(transcript: Transcript) -> None:
    assert transcript.fact("fuzz faults") == 0
    # Some had to get through, or the arguments were too wild to reach what is behind the checks.
    assert 1000 < transcript.fact("fuzz served") < 19_000


def test_no_fault_is_charged_to_another_task(transcript: Transcript) -> None:
    faulty = {name for name, (_, faults, *_) in transcript.tasks.items() if faults}
    assert faulty == {"attacker", "secret", "native", "attester"}  # each did it itself


def test_every_enclave_sees_its_own_variables_in_the_window(transcript: Transcript) -> None:
    assert transcript.fact("listener mixed") == 0


def test_restarted_enclave_finds_nothing_of_its_former_life(transcript: Transcript) -> None:
    assert "dirty" not in {name.split()[0] for name in transcript.facts}
    ends = len(ATTACKS) + len(FOREIGN_CALLS)
    assert transcript.tasks["attacker"][1:3] == [ends, ends]


@pytest.mark.parametrize("name", PROBES)
def test_bad_argument_is_refused_and_harms_nobody(transcript: Transcript, name: str) -> None:
    found, expected = transcript.facts[f"probe {name}"]
    assert found == expected


@pytest.mark.parametrize("number", FOREIGN_CALLS)
def test_a_call_that_is_not_its_own_ends_the_enclave(transcript: Transcript, number: int) -> None:
    assert transcript.facts[f"foreign_call {number}"] == [SYSCALL, SYSCALL, 1]


@pytest.mark.parametrize("name", NUISANCES)
def test_a_nuisance_leaves_its_neighbours_their_share(transcript: Transcript, name: str) -> None:
    assert transcript.fact(f"nuisance {name}") >= 5


def test_every_call_of_the_monitor_is_attacked() -> None:
    """A new call without an attack on its arguments fails here."""
    header = (RUNTIME / "include/coffret/syscall.h").read_text(encoding="utf-8")
    calls = set(re.findall(r"^    (SYS_\w+) = \d+", header, re.MULTILINE)) - {"SYS_COUNT"}
    service = (PROGRAM / "controller.c").read_text(encoding="utf-8")
    attacked = set(re.findall(r"PROBE\(\w+, (SYS_\w+)", _HEADER))
    attacked |= set(re.findall(r'say\("(?:service|denied) \w+", syscall3\((SYS_\w+)', service))
    assert not attacked & NOTHING_TO_FORGE
    assert calls - attacked == NOTHING_TO_FORGE | {"SYS_DEVICE"}  # tests/machine/test_device_calls


def test_service_calls_refuse_foreign_pointers(transcript: Transcript) -> None:
    answers = {name: fact for name, fact in transcript.facts.items() if name.startswith("service ")}
    assert len(answers) == 15
    assert all(fact == [ERR_POINTER] for fact in answers.values()), answers


def test_services_reach_no_other_flash_and_no_key_of_boot(transcript: Transcript) -> None:
    answers = {name: fact for name, fact in transcript.facts.items() if name.startswith("denied ")}
    assert len(answers) == 9
    assert all(fact == [ERR_DENIED] for fact in answers.values()), answers


def test_services_write_the_other_slot_and_their_records(transcript: Transcript) -> None:
    facts = transcript.facts
    assert facts["storage erase"] == facts["storage program"] == facts["storage put"] == [0]
    assert facts["storage get"] == [len("endorsed")]
    assert (facts["storage put_often"], facts["storage last_put"]) == ([0], [199])
    assert facts["storage mark_test"] == facts["storage confirm"] == [0]


def test_lifecycle_is_secured_once(transcript: Transcript) -> None:
    assert transcript.fact("storage secure") == 0
    assert transcript.fact("storage secure_again") == ERR_DENIED


def test_flow_without_the_tag_is_refused(transcript: Transcript) -> None:
    assert transcript.fact("flow secret_to_lower_enclave") == ERR_DENIED
    assert transcript.fact("flow secret_to_sink") == ERR_DENIED
    assert transcript.fact("flow gate_of_wrong_tag") == ERR_DENIED


def test_gate_serves_its_own_enclave_only(transcript: Transcript) -> None:
    assert transcript.fact("flow others_gate") == ERR_DENIED


def test_gate_keeps_to_its_budget_and_opens_again(transcript: Transcript) -> None:
    assert transcript.fact("flow first_release") == transcript.fact("flow second_release") == 0
    assert transcript.fact("flow third_release") == ERR_BUDGET
    assert transcript.fact("flow release_in_next_window") == 0


def test_only_what_may_leave_reaches_the_stream(transcript: Transcript) -> None:
    said = 1 + 2 * len(NUISANCES)  # each time the listener was asked
    assert transcript.stream == b"mean" * 3 + b"hello" * said


def test_log_tells_releases_and_refusals_once_each(transcript: Transcript) -> None:
    texts = list(transcript.log.values())
    kept = [text.split(" #") for text in texts if " #" in text]
    assert [int(number) for _, number in kept] == list(range(1, len(kept) + 1))
    named = [what for what, _ in kept]
    assert named.count("released secret.report") > 0
    # Other data of secret stays labelled behind this one (tests/oracle/test_told_gates.py).
    assert not any("secret.mean" in what for what in named)
    assert texts.count("restart secret") == 1
    assert texts.count("flow refused secret_to_sink") == 1


def test_log_holds_no_text_and_no_address_of_a_labelled_enclave(transcript: Transcript) -> None:
    assert "listener speaks" in transcript.log.values()
    assert "fault secret memory" in transcript.log.values()
    assert not any("pulse" in text or "61616160" in text for text in transcript.log.values())
    assert transcript.tasks["secret"][4] == 0


def test_grant_opens_its_device_and_no_other(transcript: Transcript) -> None:
    assert (
        transcript.fact("native argument") == 8
    )  # it passed its own device; the argument is its table
    assert transcript.tasks["native"] == [
        STOPPED,
        1,
        0,
        MEMORY,
        transcript.board.device["gpio0"].base + 0x1000,
        transcript.tasks["native"][5],
    ]


def test_restart_policies(transcript: Transcript) -> None:
    assert transcript.tasks["once"][:3] == [STOPPED, 0, 0]
    assert transcript.tasks["native"][2] == 0
    faults, restarts = transcript.tasks["always"][1:3]
    # 4 ms doubling to 256: some dozen restarts in these seconds, not thousands.
    assert faults == 0
    assert 5 <= restarts <= 60


def test_spinning_equals_share_the_processor(transcript: Transcript) -> None:
    one, two = transcript.tasks["spinner_a"][5], transcript.tasks["spinner_b"][5]
    assert abs(one - two) <= 0.1 * max(one, two)
    assert one > 100


def test_waits_end_on_time(transcript: Transcript) -> None:
    assert 49_900 <= transcript.fact("time slept_us") < 60_000
    assert transcript.fact("time timeout") == transcript.fact("time poll") == 0
    assert 19_900 <= transcript.fact("time timeout_us") < 30_000
    assert transcript.fact("time port_timeout") == 0
    assert 19_900 <= transcript.fact("time port_timeout_us") < 30_000


def test_port_loses_nothing(transcript: Transcript) -> None:
    assert transcript.echoed == transcript.sent


def test_evidence_passes_between_services_that_share_no_memory(transcript: Transcript) -> None:
    assert transcript.facts["evidence length"] == [32]
    assert transcript.facts["evidence first"] == [ord("0") + 1]
    assert transcript.facts["evidence too_long"] == [ERR_SIZE]
    assert transcript.facts["evidence wrong_nonce"] == [ERR_SIZE]


def test_manager_is_not_left_waiting_when_the_attester_dies(transcript: Transcript) -> None:
    assert transcript.fact("evidence attester_dies") == ERR_NOT_FOUND
    assert transcript.fact("evidence after_restart") == 32
    assert transcript.tasks["attester"][1:4] == [1, 1, EXCEPTION]


def test_identity_is_what_boot_handed_over(transcript: Transcript) -> None:
    assert transcript.fact("identity call") == 0
    assert transcript.fact("identity first") == 1
    # What the stub, and what boot itself says; a restart of the attester has not wiped it.
    expected = 0x2000 if transcript.board.secure_world else 0x1000
    assert transcript.fact("identity lifecycle") == expected


# From outside QEMU shows no Non-secure RAM; there the stack has a limit in hardware.
@pytest.mark.parametrize("transcript", ["mps2-an385"], indirect=True)
def test_monitor_leaves_the_end_of_its_stack_alone(transcript: Transcript) -> None:
    """Every call was made, fuzzed, interrupted and faulted: nothing goes deeper."""
    untouched = len(transcript.main_stack) - len(transcript.main_stack.lstrip(STACK_FILL))
    assert untouched >= MAIN_STACK // 8


@pytest.mark.parametrize("board", BOARDS)
def test_all_variables_of_the_monitor_lie_outside_the_window(tmp_path: Path, board: str) -> None:
    assert writable_sections(tmp_path, board) == {".monitor.bss"}
