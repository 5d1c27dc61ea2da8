# SPDX-License-Identifier: Apache-2.0
"""The registers of an RP2350, as its data sheet (RP-008373) has them.

Independent of the drivers it serves: the numbers here were read from the data sheet once more.
No emulator has this part, so what holds here holds of our reading of that text.
"""

from __future__ import annotations

import ctypes
from collections import deque
from dataclasses import dataclass, field

RESETS, CLOCKS, XOSC, PLL_SYS = 0x4002_0000, 0x4001_0000, 0x4004_8000, 0x4005_0000
ACCESSCTRL, TIMER0, UART0 = 0x4006_0000, 0x400B_0000, 0x4007_0000
WATCHDOG, PSM, TRNG, TICKS = 0x400D_8000, 0x4001_8000, 0x400F_0000, 0x4010_8000
SAU_CTRL, SAU_RNR, SAU_RBAR, SAU_RLAR = 0xE000_EDD0, 0xE000_EDD8, 0xE000_EDDC, 0xE000_EDE0
MPU_RNR, MPU_RBAR, MPU_RLAR = 0xE000_ED98, 0xE000_ED9C, 0xE000_EDA0
PASSWORD = 0xACCE
_READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)
_WRITE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)


@dataclass(frozen=True, slots=True)
class Range:
    """A region of SAU or MPU: [base, end), and the bits below its granule."""

    base: int
    end: int
    rights: int  # RBAR's
    kind: int  # RLAR's

    def meets(self, base: int, size: int) -> bool:
        return self.base < base + size and base < self.end


@dataclass
class SimulatedRp2350:
    """One part behind the drivers' C. `us` is the time, which reading it lets pass.

    Access control begins fully open: what a driver leaves open stays so. `refused`: writes to it
    without the password, which the part answers with a bus error, or after it was locked.
    """

    library: ctypes.CDLL
    registers: dict[int, int] = field(default_factory=dict)
    sau: dict[int, Range] = field(default_factory=dict)
    mpu: dict[int, Range] = field(default_factory=dict)
    random: deque[int] = field(default_factory=deque)  # what RNG_ISR says, one a start
    refused: list[int] = field(default_factory=list)
    locked: bool = False
    us: int = 0

    def __post_init__(self) -> None:
        self.registers[RESETS] = 0x1FFF_FFFF
        for offset in range(0x14, 0xEC, 4):
            self.registers[ACCESSCTRL + offset] = 0xFF
        self._callbacks = _READ(self._read), _WRITE(self._write)  # kept: C calls them
        for name, callback in zip(("read", "write"), self._callbacks, strict=True):
            place = ctypes.c_void_p.in_dll(self.library, f"simulated_{name}")
            place.value = ctypes.cast(callback, ctypes.c_void_p).value

    def access(self, offset: int) -> int:
        """Who reaches a block (section 10.6.2)."""
        return self.registers[ACCESSCTRL + offset]

    def _read(self, address: int) -> int:
        ready = {XOSC + 4: 1 << 31, PLL_SYS: 1 << 31, RESETS + 8: ~self.registers[RESETS]}
        if address in ready:
            return ready[address] & 0xFFFF_FFFF
        if address in (CLOCKS + 0x38, CLOCKS + 0x44):  # SELECTED: as CTRL asks
            return 1 << (self.registers.get(address - 8, 0) & 3)
        if address == TIMER0 + 0x28:
            self.us += 100
            return self.us & 0xFFFF_FFFF
        if address == TIMER0 + 0x24:
            return self.us >> 32
        return self.registers.get(address, 0)

    def _write(self, address: int, value: int) -> None:
        if ACCESSCTRL <= address < ACCESSCTRL + 0x1000:
            self._control_access(address, value)
            return
        if 0x4000_0000 <= address < 0x6000_0000 and address & 0x3000:  # section 2.1.3
            base = address & ~0x3000
            old = self.registers.get(base, 0)
            value = {0x2000: old | value, 0x3000: old & ~value}[address & 0x3000]
            address = base
        self.registers[address] = value
        if address == TRNG + 0x12C and value & 1:
            self.registers[TRNG + 0x104] = self.random.popleft() if self.random else 0
        elif address == TRNG + 0x140:
            self.registers[TRNG + 0x104] = 0
        elif address in (SAU_RLAR, MPU_RLAR):
            self._set_region(address, value)

    def _control_access(self, address: int, value: int) -> None:
        if value >> 16 != PASSWORD or self.locked:
            self.refused.append(address)
            return
        self.registers[address] = value & 0xFFFF
        self.locked |= address == ACCESSCTRL and bool(value & 1)

    def _set_region(self, address: int, limit: int) -> None:
        regions, number, base = (
            (self.sau, SAU_RNR, SAU_RBAR) if address == SAU_RLAR else (self.mpu, MPU_RNR, MPU_RBAR)
        )
        first, which = self.registers[base], self.registers[number]
        regions.pop(which, None)
        if limit & 1:
            found = Range(first & ~31, (limit & ~31) + 32, first & 31, limit & 31)
            regions[which] = found
