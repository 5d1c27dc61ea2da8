# SPDX-License-Identifier: Apache-2.0
"""What the monitor's calls cost, in instructions of a Cortex-M3 beside a call of a function."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Measure
from benchmarks.queues import queues
from benchmarks.workshop import Workshop
from enclaves.monitor_system import Channel, Gate, System, Task, Way
from tests.oracle.machine import SINK, Operation, OracleBoard, build

# The emulator takes 64 ns an instruction here, the counter 40 ns a tick.
INSTRUCTION_NS, TICK_NS = 64, 40
_NOTHING = Operation(11)
_ROUNDS = 7
SYSTEM = System(
    tasks=(Task("e0"), Task("e1"), Task(SINK, sink=True)),
    channels=(
        Channel("c0", "e0", "e1", 0, 16, 1, kind=Way.CALL, reply_max=16),
        Channel("c1", "e0", "e0", 0, 16, 4),
        Channel("c2", "e0", "e1", 0, 16, _ROUNDS, gate="g0"),
    ),
    gates=(Gate("g0", "e0", frozenset(), frozenset(), 16, _ROUNDS, 60),),
)
_NAMES = (
    "nothing",
    "function",
    "call and reply",
    "send",
    "receive",
    "smallest call",
    "gate",
    "secrecy check",
    "integrity check",
)


def instructions(folder: Path) -> dict[str, int]:
    """By name, the fewest instructions of seven rounds, without those of the measurement."""
    source = Path(__file__).with_name("calls.c")
    image = build(folder, sources=(str(source),), lto=True)
    assert image.window_bytes >= 320, "the window must be as large as MicroPython's"
    with OracleBoard(image, folder, slow=True) as board:
        seen = board.run(SYSTEM, (_NOTHING,) * (_ROUNDS * len(_NAMES)))
    counts = {}
    for number, name in enumerate(_NAMES):
        rows = seen.results[number * _ROUNDS : (number + 1) * _ROUNDS]
        ticks = min(row.ticks[0] - row.ticks[1] for row in rows)
        counts[name] = round(ticks * TICK_NS / INSTRUCTION_NS)
    return {name: count - counts["nothing"] for name, count in counts.items()}


def calls(workshop: Workshop) -> Iterator[Measure]:
    """Calls of the monitor beside a call of a function with the same arguments; then the same work
    from Python beside MicroPython's own queue.
    """
    folder = workshop.folder / "calls"
    folder.mkdir()
    counts = instructions(folder)
    function = counts["function"]
    names = {
        "call and reply": "call + reply, 16 bytes",
        "send": "send, 16 bytes",
        "gate": "send through a gate, 16 bytes",
        "receive": "receive, 16 bytes",
        "smallest call": "the smallest call",
        "secrecy check": "label check, secrecy",
        "integrity check": "label check, integrity",
    }
    for key, name in names.items():
        yield Measure.beside(name, counts[key], "instructions", "a function", function)
    yield from queues(workshop)
