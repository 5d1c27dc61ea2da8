# SPDX-License-Identifier: Apache-2.0
"""How RAM is shared out: one MPU region a task, as the board's unit can express it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from boards.memory import Region
from boards.model import Board
from boards.mpu import Access, MpuError, round_region
from boards.regions import region

WINDOW_GRAIN = 64  # bytes: the monitor moves the window so many at a time


@dataclass(frozen=True, slots=True)
class RuntimeSizes:
    """What the parts of the image that are not the appliance's need, in bytes.

    The linker refuses an image whose variables do not fit (`firmware.compiler.link`).
    """

    monitor: int = 16 * 1024  # with its stack
    window: int = 1024  # the VM's variables
    manager_stack: int = 4 * 1024
    manager_statics: int = 12 * 1024
    attester: int = 8 * 1024  # with the handoff at its end
    attester_stack: int = 2816


@dataclass(frozen=True, slots=True)
class Need:
    """What one enclave asks for; bytes."""

    name: str
    stack: int
    heap: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Where everything lies. `tasks` by name: enclaves, `manager`, `attester`."""

    monitor: Region
    queues: Region | None
    window: Region
    tasks: Mapping[str, Region]
    free: int  # bytes of RAM that nobody has


class DoesNotFitError(Exception):
    """RAM is too small. `needed` and `available` in bytes, alignment included."""

    def __init__(self, needed: int, available: int) -> None:
        super().__init__(f"{needed} bytes of RAM, {available} available")
        self.needed = needed
        self.available = available


def share_out(board: Board, sizes: RuntimeSizes, needs: Iterable[Need], queue_bytes: int) -> Memory:
    """Place monitor, queues, window and tasks from the base of RAM, the attester at its end.

    The largest come first, which keeps the gaps that alignment makes small. Raises DoesNotFitError.
    """
    ram = board.memory.ram
    attester = Region(base=ram.end - sizes.attester, size=sizes.attester)
    monitor = Region(base=ram.base, size=round_up(sizes.monitor, 8))
    queues = Region(base=monitor.end, size=queue_bytes) if queue_bytes else None
    window = _place(board, queues.end if queues else monitor.end, sizes.window)
    flavour = board.mpu.flavour
    wanted = {need.name: need.stack + sizes.window + need.heap for need in needs}
    wanted["manager"] = sizes.manager_stack + sizes.manager_statics
    placed: dict[str, Region] = {}
    at = window.end
    for name, size in sorted(wanted.items(), key=lambda item: -round_region(item[1], flavour)[0]):
        placed[name] = _place(board, at, size)
        at = placed[name].end
    if at > attester.base:
        raise DoesNotFitError(at - ram.base + sizes.attester, ram.size)
    tasks = {name: placed[name] for name in wanted} | {"attester": attester}
    return Memory(monitor, queues, window, tasks, attester.base - at)


def round_up(size: int, grain: int) -> int:
    """`size` rounded up to a multiple of `grain`."""
    return -(-size // grain) * grain


def _place(board: Board, at: int, size: int) -> Region:
    """The first range from `at` on of at least `size` bytes that one region can express."""
    rounded, whole = round_region(size, board.mpu.flavour)
    grain = max(whole // 8, 32)
    base = round_up(at, grain)
    while True:
        try:
            region(board.mpu, 0, base, rounded, Access.RAM)
        except MpuError:
            base += grain
        else:
            return Region(base=base, size=rounded)
