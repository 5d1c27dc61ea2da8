# SPDX-License-Identifier: Apache-2.0
"""A Pico with its debug port: what a debugger halts and programs is the emulated chip, whose boot
ROM and flash commands really run.

Simulated is the debug logic alone: halting (Armv6-M, Arm DDI 0419, section C1), the ROM table, and
the port. It has no breakpoint units and no single step.
"""

from __future__ import annotations

from pathlib import Path

from flasher.pico.machine import Machine, MachineLockupError
from tests.transports.simulated_swd import BusError, MemoryAccess, SerialWirePort

CORE_0 = 0x0100_2927  # RP2040 data sheet, section 2.3.4.1
_DP_IDENTITY, _AP_IDENTITY = 0x0BC1_2477, 0x0477_0031
_DHCSR, _DCRSR, _DCRDR, _DEMCR = 0xE000_EDF0, 0xE000_EDF4, 0xE000_EDF8, 0xE000_EDFC
_KEY = 0xA05F
_DEBUG, _HALT, _STEP = 1, 2, 4
_REGISTER_READY, _IS_HALTED, _IS_LOCKED_UP, _WAS_RESET = 1 << 16, 1 << 17, 1 << 19, 1 << 25
_CATCH_RESET = 1
_SLICE_S = 0.001  # simulated time that passes while a debugger asks once whether it has halted

# Component and peripheral identities by page (Arm DDI 0484, section 3: the Cortex-M0+'s).
_ARM = 0x04_000B_B000
_PAGES = {
    0xE00F_F000: (0xB105_100D, _ARM | 0x4C0),
    0xE000_E000: (0xB105_E00D, _ARM | 0x008),
    0xE000_1000: (0xB105_E00D, _ARM | 0x00A),
    0xE000_2000: (0xB105_E00D, _ARM | 0x00B),
}
_RAM = 2
_ROM_TABLE = (0xFFF0_F003, 0xFFF0_2003, 0xFFF0_3003, 0)


class DebuggedPico:
    """One board; its `port` is what a probe is plugged into. `flash` is its flash's file."""

    def __init__(self, flash: Path) -> None:
        self.flash = flash
        self.power_up()

    def power_up(self) -> None:
        """From the boot ROM, with a debug port that knows nothing."""
        self.machine = Machine(self.flash)
        self.machine.on_reset = self._after_reset
        self._halting, self._catch, self._register = 0, 0, 0
        self._was_reset, self._locked_up = True, False
        access = MemoryAccess(self, _AP_IDENTITY)
        self.port = SerialWirePort(access, identity=_DP_IDENTITY, target=CORE_0)

    def run(self, seconds: float) -> None:
        """Lets simulated time pass."""
        machine = self.machine
        end = machine.cycles + machine.cycles_in(seconds)
        try:
            if not machine.run(end - machine.cycles):
                machine.sleep(end - machine.cycles)
        except MachineLockupError:
            self._locked_up = True

    def _after_reset(self) -> None:
        self._was_reset = True
        if self._halting & _DEBUG and self._catch & _CATCH_RESET:
            self.machine.processor.halt()

    # Memory, for the access port

    def load(self, address: int, size: int) -> int:
        if address == _DHCSR:
            return self._status()
        if address in (_DCRDR, _DEMCR):
            return self._register if address == _DCRDR else self._catch
        page = address & ~0xFFF
        if page in _PAGES and (address - page >= 0xFD0 or page != 0xE000_E000):
            return self._component(page, address - page)
        value = self.machine.processor.debug_load(address, size)
        if value is None:
            raise BusError
        return value

    def store(self, address: int, size: int, value: int) -> None:
        processor = self.machine.processor
        if address == _DHCSR:
            self._control(value)
        elif address == _DCRSR:
            if value >> 16 & 1:
                processor.set_debug_register(value & 31, self._register)
            else:
                self._register = processor.debug_register(value & 31)
        elif address == _DCRDR:
            self._register = value
        elif address == _DEMCR:
            self._catch = value
        elif address & ~0xFFF in _PAGES and address & ~0xFFF != 0xE000_E000:
            pass  # breakpoint and watchpoint units, which it has not
        elif not processor.debug_store(address, size, value):
            raise BusError
        elif address >> 28 != _RAM:
            self.machine.run(1)  # a reset that it asked for comes at once, halted or not

    def _component(self, page: int, offset: int) -> int:
        component, peripheral = _PAGES[page]
        if offset >= 0xFF0:
            return component >> 2 * (offset - 0xFF0) & 0xFF
        if offset >= 0xFD0:  # PIDR4 to 7, then 0 to 3
            return peripheral >> 2 * ((offset - 0xFE0) % 0x20) & 0xFF
        if page == 0xE00F_F000 and offset < 4 * len(_ROM_TABLE):
            return _ROM_TABLE[offset // 4]
        return 0

    def _control(self, value: int) -> None:
        if value >> 16 != _KEY:
            return
        assert not value & _STEP, "there is no single step"
        self._halting = value & 0xF
        processor = self.machine.processor
        processor.attach_debugger(bool(value & _DEBUG))
        processor.halt(value & (_DEBUG | _HALT) == _DEBUG | _HALT)

    def _status(self) -> int:
        processor = self.machine.processor
        if not processor.halted:
            self.run(_SLICE_S)
        found = self._halting | _REGISTER_READY
        found |= _IS_HALTED | _HALT if processor.halted else 0
        found |= _IS_LOCKED_UP if self._locked_up else 0
        found |= _WAS_RESET if self._was_reset else 0
        self._was_reset = False
        return found
