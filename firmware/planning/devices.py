# SPDX-License-Identifier: Apache-2.0
"""What each enclave was granted, device by device and pin by pin: rows of the image's table.

Registers that the MPU can separate are the enclave's own to drive; a pin, whose registers are
shared, is driven by the monitor, which asks this table whose it is (docs/machine.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from boards.devices import BUS_PINS, SHARED_DEVICES, Device
from boards.memory import Region
from boards.model import Board
from firmware.appliance.manifest import Manifest
from firmware.appliance.problems import Problem
from firmware.appliance.sections import did_you_mean

NONE = 0xFF
NO_IRQ = 0xFFFF
MAX_REGISTERS = 2  # MPU regions 5 and 6
MAX_EVENTS = 24  # bits of a SYS_DEVICE argument


class DeviceKind(IntEnum):
    """enum device_kind of include/coffret/tables.h; the names are those of `board.toml`."""

    PIN = 0
    UART = 1
    GPIO = 2
    I2C = 3
    SPI = 4
    ADC = 5
    PWM = 6
    TIMER = 7
    RNG = 8
    WATCHDOG = 9
    IDENTITY = 10
    SETTINGS = 11


# What every enclave that asks has of its own; no end of the world.
SHARED_KINDS = frozenset((DeviceKind.WATCHDOG, DeviceKind.IDENTITY, DeviceKind.SETTINGS))


@dataclass(frozen=True, slots=True)
class GrantedDevice:
    """struct device. `base` 0: the monitor serves it. `implied`: a pin that came with its bus."""

    name: str
    kind: DeviceKind
    id: int
    task: int
    base: int
    size: int
    irq: int  # NO_IRQ: none
    event: int  # bit of the task's events; NONE: none
    function: int  # what a pin is set to before its enclave starts
    functions: int  # bit mask of what its enclave may set it to
    pins: tuple[int, ...]  # of a bus: its pins, in the order of the roles
    implied: bool = False

    @property
    def region(self) -> Region | None:
        """Its registers, if the enclave drives them."""
        return Region(base=self.base, size=self.size) if self.size else None


def has_device(board: Board, name: str) -> bool:
    """Whether an enclave can be granted `name` on this board."""
    return name in board.device or name in board.pins.by_name or name in SHARED_DEVICES


def suggestion(board: Board, name: str, others: Iterable[str] = ()) -> str:
    """What somebody who wrote `name` in `devices` may have meant; `others` are known too."""
    devices = dict.fromkeys((*others, *board.device, *SHARED_DEVICES))
    near = did_you_mean(name, {**devices, **dict.fromkeys(board.pins.by_name)})
    if near.startswith("did") or not board.pins.by_name:
        return near
    return f"{did_you_mean(name, devices)}, and pins (coffret boards show {board.name})"


def granted_devices(manifest: Manifest, board: Board) -> tuple[GrantedDevice, ...]:
    """Every row, by enclave, in the order of the manifest. The board has all that is named."""
    rows: list[GrantedDevice] = []
    for task, enclave in enumerate(manifest.enclaves.values()):
        rows += _Rows(board, task, enclave.devices).all()
    return tuple(rows)


class _Rows:
    """The rows of one enclave."""

    def __init__(self, board: Board, task: int, names: tuple[str, ...]) -> None:
        self._board = board
        self._task = task
        self._names = names
        self._events = 0

    def all(self) -> Iterator[GrantedDevice]:
        board = self._board
        named = {board.pins.by_name[name] for name in self._names if name in board.pins.by_name}
        for name in self._names:
            if name in SHARED_DEVICES:
                yield self._row(name, DeviceKind[SHARED_DEVICES[name].upper()], 0)
            elif name in board.pins.by_name:
                yield self._pin(name, board.pins.by_name[name])
            else:
                yield self._peripheral(name, board.device[name])
        for name in self._names:
            if name not in board.device or board.device[name].kind == "gpio":
                continue
            for number in board.device[name].own_pins:
                if number not in named:
                    named.add(number)
                    yield self._pin(name_of_pin(board, number), number, implied=True)

    def _peripheral(self, name: str, device: Device) -> GrantedDevice:
        irq = device.irqs[0] if device.irqs and device.kind in ("uart", "timer") else NO_IRQ
        bus = device.own_pins if device.kind in ("uart", "i2c", "spi") else ()
        return self._row(
            name,
            DeviceKind[device.kind.upper()],
            device_id(name, device),
            base=device.base,
            size=device.size,
            irq=irq,
            function=NONE if device.function is None else device.function,
            pins=bus,
        )

    def _pin(self, name: str, number: int, *, implied: bool = False) -> GrantedDevice:
        pins = self._board.pins
        functions, first = 1 << pins.function, pins.function
        for owner in self._names:
            device = self._board.device.get(owner)
            if device is None or device.function is None:
                continue
            if any(number in carriers for carriers in device.pins.values()):
                functions |= 1 << device.function
            if number in device.own_pins:
                first = device.function
        return self._row(
            name,
            DeviceKind.PIN,
            number,
            irq=NO_IRQ if pins.irq is None or implied else pins.irq,
            function=first,
            functions=functions,
            implied=implied,
        )

    def _row(
        self,
        name: str,
        kind: DeviceKind,
        number: int,
        *,
        base: int = 0,
        size: int = 0,
        irq: int = NO_IRQ,
        function: int = NONE,
        functions: int = 0,
        pins: tuple[int, ...] = (),
        implied: bool = False,
    ) -> GrantedDevice:
        event = NONE
        if irq != NO_IRQ:
            event = self._events
            self._events += 1
        carriers = (*pins, *(NONE,) * (BUS_PINS - len(pins)))
        return GrantedDevice(
            name,
            kind,
            number,
            self._task,
            base,
            size,
            irq,
            event,
            function,
            functions,
            carriers,
            implied,
        )


def device_id(name: str, device: Device) -> int:
    """Its number in MicroPython: `I2C(1)` is `i2c1`."""
    if device.id is not None:
        return device.id
    digits = name.removeprefix(name.rstrip("0123456789"))
    return int(digits) if digits else 0


def name_of_pin(board: Board, number: int) -> str:
    """The first name of a pin."""
    for name, pin in board.pins.by_name.items():
        if pin == number:
            return name
    return f"{board.pins.prefix}{number}"


def device_problems(manifest: Manifest, board: Board) -> list[Problem]:
    """Pins that two want, and more than an enclave's protection regions can open."""
    problems: list[Problem] = []
    owners: dict[int, tuple[str, str]] = {}  # pin -> (enclave, device)
    for enclave, table in manifest.enclaves.items():
        registers: list[str] = []
        for index, name in enumerate(table.devices):
            key = ("enclave", enclave, "devices", index)
            for pin in _pins_of(board, name):
                owner, through = owners.setdefault(pin, (enclave, name))
                if owner != enclave:
                    problems.append(manifest.problem(key, *_pin_clash(board, pin, owner, through)))
                    break
            if name in board.device:
                registers.append(name)
                if len(registers) == MAX_REGISTERS + 1:
                    what = f"{', '.join(registers)} each need a protection region of their own"
                    mend = f"{enclave} has {MAX_REGISTERS}: give one to another enclave"
                    problems.append(manifest.problem(key, what, mend))
    return problems


def _pins_of(board: Board, name: str) -> tuple[int, ...]:
    if name in board.pins.by_name:
        return (board.pins.by_name[name],)
    return board.device[name].own_pins if name in board.device else ()


def _pin_clash(board: Board, pin: int, owner: str, through: str) -> tuple[str, str]:
    name = name_of_pin(board, pin)
    how = "" if board.pins.by_name.get(through) == pin else f" with {through}"
    return f"pin {name} already belongs to {owner}{how}", "give it to one enclave"


def event_problems(manifest: Manifest, rows: Iterable[GrantedDevice]) -> Iterator[Problem]:
    """More interrupts than an enclave can tell apart."""
    counts = Counter(row.task for row in rows if row.event != NONE)
    for task, enclave in enumerate(manifest.enclaves):
        if counts[task] > MAX_EVENTS:
            what = f"{counts[task]} pins and devices with interrupts"
            mend = f"{MAX_EVENTS} is the most of one enclave"
            yield manifest.problem(("enclave", enclave, "devices"), what, mend)
