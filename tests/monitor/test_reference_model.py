# SPDX-License-Identifier: Apache-2.0
"""The monitor on the emulator against the executable reference model, on random systems.

Each system has legal and illegal channels and gates; its tables are made by compiler/tables.py.
Every call's answer, every message, every entry of the log and every byte that left must agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from enclaves.monitor_model import Answer, Monitor, System
from firmware.compiler.link import Layout, Statics
from firmware.compiler.tables import Component, tables_c
from firmware.compiler.toolchain import CompileJob
from tests.monitor.random_system import (
    MANAGER_STATICS,
    PAGE,
    Operation,
    operations_c,
    plan_of,
    random_operations,
    random_system,
)
from tests.monitor.rig import PROGRAM, Program, lines, link_program, running, stub
from tests.qemu import needs_qemu

pytestmark = needs_qemu

OPERATIONS = 400
RUNTIME = Component("runtime", "1", bytes(32))


@dataclass(slots=True)
class Observed:
    """What happened: a call's result and time, a message received, the log until the next call."""

    result: int
    time_us: int
    data: bytes
    log: list[str] = field(default_factory=list)


def run(
    system: System, operations: tuple[Operation, ...], directory: Path
) -> tuple[list[Observed], bytes]:
    """The system's image on the emulator: every call, and what left by the sink."""
    plan = plan_of(system)
    made = directory / "made"
    made.mkdir()
    (made / "tables.c").write_text(tables_c(plan, 0, RUNTIME), encoding="utf-8")
    (made / "operations.c").write_text(operations_c(operations), encoding="utf-8")
    layout = Layout(
        plan.monitor, plan.main_stack, plan.window, (Statics("manager", MANAGER_STATICS),)
    )
    jobs = (
        CompileJob(made / "tables.c"),
        CompileJob(made / "operations.c"),
        CompileJob(PROGRAM / "puppet.c", defines=(f"PUPPET_PAGE={PAGE.base:#x}",)),
    )
    image = link_program(directory, (), jobs, layout, without="attester.c")
    program = Program(plan.board, image, stub(directory))
    with running(program, directory) as machine:
        said = lines(machine, "done", seconds=60)
        left = machine.stream_left()
    return _parse(said), left


def _parse(said: list[str]) -> list[Observed]:
    found: list[Observed] = []
    for line in said:
        kind, *words = line.split(" ")
        if kind == "op":
            data = bytes.fromhex(words[3]) if len(words) > 3 else b""
            found.append(Observed(int(words[1]), int(words[2]), data))
        elif kind == "log" and found:
            found[-1].log.append(" ".join(words))
    return found


SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.all) for seed in range(3, 24))]


@pytest.mark.parametrize("seed", SEEDS)
def test_monitor_does_what_the_model_does(seed: int, tmp_path: Path) -> None:
    system = random_system(seed)
    operations = random_operations(seed, system, OPERATIONS)
    observed, left = run(system, operations, tmp_path)
    assert len(observed) == OPERATIONS
    model = Monitor(system)
    answers = set()
    for number, (operation, seen) in enumerate(zip(operations, observed, strict=True)):
        logged = len(model.log)
        expected = predict(model, operation, number, seen.time_us)
        assert (seen.result, seen.data) == expected, f"operation {number}: {operation}"
        assert seen.log == model.log[logged:], f"operation {number}: {operation}"
        answers.add(seen.result)
    assert left == b"".join(model.left.get("usb", []))
    assert {Answer.OK, Answer.DENIED, Answer.SIZE} <= answers, "the sequence tests too little"


def predict(model: Monitor, operation: Operation, number: int, now_us: int) -> tuple[int, bytes]:
    """The model's (result, message received)."""
    task = model.system.tasks[operation.task].name
    if operation.send:
        message = bytes((number + i) & 0xFF for i in range(operation.length))
        return model.send(task, operation.channel, message, now_us), b""
    received = model.receive(task, operation.channel, operation.length)
    return (received, b"") if isinstance(received, Answer) else (len(received), received)
