# SPDX-License-Identifier: Apache-2.0
"""QEMU's netduinoplus2 (the same STM32F405) with what it lacks: clocks, flash and its
option bytes, I2C, ADC.

QEMU stops the processor before each access to a register of theirs, and before each store into the
flash (watchpoints of its debugger stub). The access is made here instead, and the processor goes on
behind it. What it writes to a timer's prescaler is scaled to the rate at which QEMU's timers count.
What runs is the very image that a board gets.
"""

from __future__ import annotations

import mmap
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from flasher.stm32.access import Access, access_of, status_after
from flasher.stm32.adc import SimulatedAdc
from flasher.stm32.debugger import STATUS, Debugger, ProtocolError, Watch
from flasher.stm32.devices import (
    FLASH_BASE,
    FLASH_SIZE,
    PRESCALERS,
    Device,
    SimulatedClockControl,
    SimulatedFlashController,
    prescaler_for_emulator,
)
from flasher.stm32.i2c import SimulatedI2c, SimulatedTmp105
from flasher.stm32.options import SimulatedOptionBytes

QEMU = "qemu-system-arm"
_I2C1, _ADC1 = 0x4000_5400, 0x4001_2000
_AIRCR, _SYSRESETREQ = 0xE000_ED0C, 1 << 2  # Arm DDI 0403, section B3.2.6
# QEMU numbers serial ports as its machine lists USARTs: 1, 2, 3, 4, 5, 6.
_SERIAL = ("port", "stream0", "uart3")
_CHIP = (
    "w25q80bl"  # a flash chip for enclaves; QEMU puts it on the first SPI, and always selects it
)


def options_of(flash: Path) -> Path:
    """The file of a board's option bytes, beside its flash; there is none while they are new."""
    return flash.with_name(f"{flash.name}.options")


class Machine:
    """A board that is on. Its flash is the file, byte for byte, at every moment.

    `lines`: file descriptors of connected sockets by name, `port` (USART1), `stream0`
    (USART2) and `uart3`.
    """

    def __init__(self, flash: Path, lines: Mapping[str, int]) -> None:
        with flash.open("r+b") as file:
            if os.fstat(file.fileno()).st_size != FLASH_SIZE:
                raise ValueError(f"{flash}: the flash has {FLASH_SIZE} bytes")
            self._file = mmap.mmap(file.fileno(), 0)
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                self._command(flash, lines, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *lines.values()),
            )
        self._debugger = Debugger(ours)
        self.flash = SimulatedFlashController(self._file)
        sensors = SimulatedI2c(_I2C1, {0x48: SimulatedTmp105()})
        voltages = SimulatedAdc(_ADC1, {0: 0x800, 10: 0xFFF, 16: 0x3B6})
        options = SimulatedOptionBytes(options_of(flash), self.flash.erase_all)
        self._devices: tuple[Device, ...] = (
            *(self.flash, options, SimulatedClockControl()),
            *(sensors, voltages),
        )
        self._status_watched = False
        self._code: dict[int, bytes] = {}  # by address; forgotten when the flash changes

    @staticmethod
    def _command(flash: Path, lines: Mapping[str, int], debugger: int) -> list[str]:
        name = str(flash).replace(",", ",,")
        command = [
            *(QEMU, "-machine", "netduinoplus2", "-display", "none", "-monitor", "none", "-S"),
            *("-device", f"loader,file={name},addr={FLASH_BASE:#x},force-raw=on"),
            *("-chardev", f"socket,id=debugger,fd={debugger}", "-gdb", "chardev:debugger"),
        ]
        for line in _SERIAL:
            if line in lines:
                command += ["-chardev", f"socket,id={line},fd={lines[line]}"]
            command += ["-serial", f"chardev:{line}" if line in lines else "null"]
        return command

    def run(self) -> None:
        """Until the emulator ends. Raises GoneError then, ProtocolError if it misbehaves."""
        debugger = self._debugger
        debugger.start()
        debugger.watch(FLASH_BASE, FLASH_SIZE, Watch.WRITES)
        for address in (_AIRCR, *PRESCALERS):
            debugger.watch(address, 4, Watch.WRITES)
        for device in self._devices:
            for address in device.registers:
                # The status is 0 but after an error, and 0 is what QEMU reads.
                what = Watch.WRITES if address == self.flash.SR else Watch.BOTH
                debugger.watch(address, 4, what)
        while True:
            self._serve(debugger.run())

    def _serve(self, watched: int) -> None:
        registers = self._debugger.registers()
        access = self._access(registers[15], registers)
        value = registers[access.register] & (1 << 8 * access.size) - 1
        if watched == _AIRCR:
            self._maybe_reset(value)
            return
        if watched in PRESCALERS:
            self._prescale(watched, access, registers)
            return
        if watched == FLASH_BASE:
            self.flash.program(access.address, value, access.size)
        else:
            self._serve_register(watched, access, value)
        self._show_changes()
        status = registers[16]
        if status_after(status) != status:
            self._debugger.set_register(STATUS, status_after(status))
        self._debugger.set_register(15, registers[15] + access.length)

    def _access(self, at: int, registers: Sequence[int]) -> Access:
        if at not in self._code:
            self._code[at] = self._debugger.read(at, 4)
        access = access_of(self._code[at], registers)
        if access is None:
            raise ProtocolError(
                f"{at:#x}: {self._code[at].hex()}: an access that is not known here"
            )
        return access

    def _maybe_reset(self, value: int) -> None:
        if value & _SYSRESETREQ:
            for device in self._devices:
                device.reset()
        self._let_write(_AIRCR)

    def _prescale(self, address: int, access: Access, registers: Sequence[int]) -> None:
        value = registers[access.register]
        self._debugger.set_register(access.register, prescaler_for_emulator(value & 0xFFFF))
        self._let_write(address)
        self._debugger.set_register(access.register, value)

    def _let_write(self, address: int) -> None:
        """A register that QEMU has: the processor makes the access itself."""
        self._debugger.unwatch(address, 4, Watch.WRITES)
        self._debugger.step()
        self._debugger.watch(address, 4, Watch.WRITES)

    def _serve_register(self, address: int, access: Access, value: int) -> None:
        device = next(d for d in self._devices if address in d.registers)
        if access.store:
            device.write(address, value)
        else:
            self._debugger.set_register(access.register, device.read(address))

    def _show_changes(self) -> None:
        changes, self.flash.changes = self.flash.changes, []
        for address, data in changes:
            self._debugger.write(address, data)
            self._code.clear()
        if bool(self.flash.status) != self._status_watched:
            self._status_watched = not self._status_watched
            act = self._debugger.watch if self._status_watched else self._debugger.unwatch
            act(self.flash.SR, 4, Watch.READS)
