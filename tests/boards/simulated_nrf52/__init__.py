# SPDX-License-Identifier: Apache-2.0
"""The registers of an nRF52833, as Nordic's Product Specification v1.6 has them.

Independent of the drivers it serves: the numbers here were read from the specification once more.
No emulator has this part, so what holds here holds of our reading of that text.
"""

from __future__ import annotations

import ctypes
import struct
from collections import deque
from dataclasses import dataclass, field

PAGE, FLASH_SIZE = 0x1000, 0x8_0000
APPROTECT = 0x1000_1208
NVMC, CLOCK, UART0, UARTE1 = 0x4001_E000, 0x4000_0000, 0x4000_2000, 0x4002_8000
TIMER0, RNG, WDT, GPIOTE, P0 = 0x4000_8000, 0x4000_D000, 0x4001_0000, 0x4000_6000, 0x5000_0000
_READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)
_WRITE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)


class LineState(ctypes.Structure):
    """`struct line_state` of families/nrf52/line.h, where the DMA reads and writes."""

    _fields_ = (("sending", ctypes.c_bool), ("into", ctypes.c_uint8), ("out", ctypes.c_uint8))


@dataclass
class SimulatedNrf52:
    """One part behind the driver's C; `sent` and `coming` by UART, `us` is the time."""

    library: ctypes.CDLL
    flash: bytearray = field(default_factory=lambda: bytearray(b"\xff" * FLASH_SIZE))
    registers: dict[int, int] = field(default_factory=dict)
    writes: dict[int, int] = field(default_factory=dict)  # of a word since its page was erased
    sent: dict[int, bytearray] = field(default_factory=dict)
    coming: dict[int, deque[int]] = field(default_factory=dict)
    random: deque[int] = field(default_factory=deque)
    us: int = 0

    def __post_init__(self) -> None:
        self.registers[NVMC + 0x400] = 1  # always ready: it takes no time here
        self.registers[APPROTECT] = 0xFFFF_FFFF
        for base in (UART0, UARTE1):
            self.sent[base], self.coming[base] = bytearray(), deque()
        self._callbacks = _READ(self._read), _WRITE(self._write)  # kept: C calls them
        for name, callback in zip(("read", "write"), self._callbacks, strict=True):
            place = ctypes.c_void_p.in_dll(self.library, f"simulated_{name}")
            place.value = ctypes.cast(callback, ctypes.c_void_p).value

    def dma(self, base: int) -> LineState:
        """The memory of the stream's DMA; its pointers must name it."""
        place = (LineState * 2).in_dll(self.library, "line_states")[1]
        address = ctypes.addressof(place) & 0xFFFF_FFFF
        assert self.registers[base + 0x534] == address + 1, "RXD.PTR"
        assert self.registers[base + 0x544] == address + 2, "TXD.PTR"
        assert self.registers[base + 0x538] == self.registers[base + 0x548] == 1, "MAXCNT"
        return place

    def closed(self, address: int, what: int) -> bool:
        """Whether an access control list forbids it: 2 writing, 4 reading (section 4.4)."""
        for region in range(8):
            start, size, rights = (
                self.registers.get(NVMC + 0x800 + 16 * region + 4 * i, 0) for i in range(3)
            )
            if rights & what and start <= address < start + size:
                return True
        return False

    def interrupts(self, base: int) -> bool:
        """Whether a UART holds its interrupt up."""
        on = self.registers.get(base + 0x304, 0)
        return any(on >> i & 1 and self.registers.get(base + 0x100 + 4 * i) for i in range(32))

    def receive(self, base: int, data: bytes) -> None:
        """Bytes come in; the part holds six."""
        self.coming[base].extend(data)
        assert len(self.coming[base]) <= 6
        self._next_byte(base)

    def set_pin(self, pin: int, high: bool) -> None:
        """A level from outside, on port 0."""
        old = self.registers.get(P0 + 0x510, 0)
        self.registers[P0 + 0x510] = old | 1 << pin if high else old & ~(1 << pin)
        sense = self.registers.get(P0 + 0x700 + 4 * pin, 0) >> 16 & 3
        if sense == (2 if high else 3):
            self.registers[P0 + 0x520] = self.registers.get(P0 + 0x520, 0) | 1 << pin

    def _next_byte(self, base: int) -> None:
        event = base + (0x108 if base == UART0 else 0x110)
        if self.coming[base] and not self.registers.get(event):
            if base == UARTE1:
                self.dma(base).into = self.coming[base].popleft()
            self.registers[event] = 1

    def _read(self, address: int) -> int:
        if address < FLASH_SIZE:
            word = int(struct.unpack_from("<I", self.flash, address)[0])
            return 0 if self.closed(address, 4) else word
        if address == UART0 + 0x518:
            byte = self.coming[UART0].popleft()
            self._next_byte(UART0)
            return byte
        if address == RNG + 0x100:
            return int(bool(self.random))
        if address == RNG + 0x508:
            return self.random.popleft()
        return self.registers.get(address, 0)

    def _write(self, address: int, value: int) -> None:
        if address < FLASH_SIZE:
            self._program(address, value)
        elif address == APPROTECT:  # written as flash is
            if self.registers.get(NVMC + 0x504) == 1:
                self.registers[address] = self.registers[address] & value
        elif NVMC + 0x800 <= address < NVMC + 0x880:
            if not self.registers.get(address):  # once until the next reset
                self.registers[address] = value
        elif address == NVMC + 0x508:
            self._erase(value)
        elif address in (UART0 + 0x304, UARTE1 + 0x304):
            self.registers[address] = self.registers.get(address, 0) | value
        elif address in (UART0 + 0x308, UARTE1 + 0x308):
            on = address - 4
            self.registers[on] = self.registers.get(on, 0) & ~value
        elif address in (P0 + 0x520, CLOCK + 0x400):  # ones clear
            self.registers[address] = self.registers.get(address, 0) & ~value
        else:
            self.registers[address] = value
            self._start(address, value)

    def _start(self, address: int, value: int) -> None:
        if address == CLOCK:
            self.registers[CLOCK + 0x100] = 1
        elif address == UART0 + 0x51C:
            assert self.registers[UART0 + 0x500] == 4
            self.sent[UART0].append(value)
            self.registers[UART0 + 0x11C] = 1
        elif address == UARTE1 + 0x008 and value:
            assert self.registers[UARTE1 + 0x500] == 8
            self.sent[UARTE1].append(self.dma(UARTE1).out)
            self.registers[UARTE1 + 0x120] = 1
        elif address == UARTE1 and value:
            self._next_byte(UARTE1)
        elif address == TIMER0 + 0x040:
            self.us += 1
            self.registers[TIMER0 + 0x540] = self.us & 0xFFFF_FFFF

    def _program(self, address: int, value: int) -> None:
        if self.registers.get(NVMC + 0x504) != 1 or self.closed(address, 2):
            return
        self.writes[address] = self.writes.get(address, 0) + 1
        assert self.writes[address] <= 2, f"{address:#x}: written a third time (section 4.3.1)"
        old = struct.unpack_from("<I", self.flash, address)[0]
        struct.pack_into("<I", self.flash, address, old & value)

    def _erase(self, address: int) -> None:
        if self.registers.get(NVMC + 0x504) != 2 or self.closed(address, 2):
            return
        assert address % PAGE == 0
        self.flash[address : address + PAGE] = b"\xff" * PAGE
        for word in range(address, address + PAGE, 4):
            self.writes.pop(word, None)
