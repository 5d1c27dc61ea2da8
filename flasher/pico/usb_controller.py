# SPDX-License-Identifier: Apache-2.0
"""rp2040py's USB controller with double-buffered endpoints as the RP2040 has them.

Data sheet, sections 4.1.2.5 (buffer control) and 4.1.2.5.1: the controller uses the two buffers in
turn, each half of the word with a flag of its own. rp2040py looks at the second only together with
the first; the boot ROM fills them one at a time.
"""

from __future__ import annotations

from typing import Any

from rp2040py.peripherals.usb import RPUSBController

_FIRST_BUFFER, _LAST_BUFFER = 0x80, 0x100  # buffer control words in the controller's RAM
_BUFF_STATUS, _SHOULD_HANDLE = 0x58, 0x5C
_DOUBLE = 1 << 30
_AVAILABLE, _RESET_SELECT, _FULL, _LENGTH = 1 << 10, 1 << 12, 1 << 15, 0x3FF
_SECOND = 64  # the second buffer lies so far behind the first


class UsbController(RPUSBController):
    """Device mode. Endpoints with one buffer are rp2040py's."""

    def __init__(self, chip: Any, name: str) -> None:
        super().__init__(chip, name)
        self._select: dict[int, int] = {}  # by buffer control offset: the buffer whose turn it is
        self._waiting: dict[int, list[int]] = {}  # buffers that were announced to the host
        self._finished: dict[int, list[int]] = {}  # by bit of BUFF_STATUS: buffers to be handled

    def reset(self) -> None:
        super().reset()
        self._select.clear()
        self._waiting.clear()
        self._finished.clear()

    def read_uint32(self, offset: int) -> int:
        if offset == _SHOULD_HANDLE:
            return sum(bit for bit, buffers in self._finished.items() if buffers[0])
        return int(super().read_uint32(offset))

    def write_uint32(self, offset: int, value: int) -> None:
        super().write_uint32(offset, value)
        if offset == _BUFF_STATUS:
            for bit in [bit for bit in self._finished if not self._buff_status & bit]:
                del self._finished[bit][0]
                if self._finished[bit]:  # the other buffer was done meanwhile: say so again
                    self._buff_status |= bit
                else:
                    del self._finished[bit]
            self._buff_status_updated()

    def dpram_updated(self, offset: int, value: int) -> None:
        if not self._is_double(offset):
            super().dpram_updated(offset, value)
            return
        if value & _RESET_SELECT:  # it clears itself
            self._set_word(offset, self._word(offset) & ~_RESET_SELECT)
            self._select[offset] = 0
            self._waiting.pop(offset, None)
        self._start(offset)

    def _is_double(self, offset: int) -> bool:
        if not _FIRST_BUFFER + 8 <= offset < _LAST_BUFFER:
            return False
        endpoint, out = (offset - _FIRST_BUFFER) >> 3, bool(offset & 4)
        return bool(self._read_endpoint_control_reg(endpoint, out) & _DOUBLE)

    def _word(self, offset: int) -> int:
        return int.from_bytes(self.rp2040.usb_dpram[offset : offset + 4], "little")

    def _set_word(self, offset: int, value: int) -> None:
        self.rp2040.usb_dpram[offset : offset + 4] = value.to_bytes(4, "little")

    def _start(self, offset: int) -> None:
        """Begins every transfer whose buffer is there and has its turn."""
        endpoint, out = (offset - _FIRST_BUFFER) >> 3, bool(offset & 4)
        while True:
            which = self._select.get(offset, 0)
            word = self._word(offset)
            half = word >> 16 * which
            if not half & _AVAILABLE:
                return
            self._set_word(offset, word & ~(_AVAILABLE << 16 * which))
            self._select[offset] = 1 - which
            length = half & _LENGTH
            if out:
                self._waiting.setdefault(offset, []).append(which)
                if self.on_endpoint_read:
                    self.on_endpoint_read(endpoint, length)
            else:
                at = self._get_endpoint_buffer_offset(endpoint, False) + _SECOND * which
                data = bytes(self.rp2040.usb_dpram[at : at + length])
                self._set_word(offset, self._word(offset) & ~(_FULL << 16 * which))
                self._done(endpoint, out, which)
                delay = self.write_delay_microseconds * 1000
                self.endpoint_write_alarms[endpoint].schedule(data, delay)

    def _finish_read(self, endpoint: int, buffer: bytes | bytearray) -> None:
        offset = _FIRST_BUFFER + 8 * endpoint + 4
        if not self._waiting.get(offset):
            super()._finish_read(endpoint, buffer)
            return
        which = self._waiting[offset].pop(0)
        word = self._word(offset)
        length = min(len(buffer), word >> 16 * which & _LENGTH)
        word &= ~(_LENGTH << 16 * which)
        self._set_word(offset, word | (_FULL | length) << 16 * which)
        at = self._get_endpoint_buffer_offset(endpoint, True) + _SECOND * which
        self.rp2040.usb_dpram[at : at + length] = buffer[:length]
        self._done(endpoint, True, which)

    def _done(self, endpoint: int, out: bool, which: int) -> None:
        self._finished.setdefault(1 << (2 * endpoint + out), []).append(which)
        self._indicate_buffer_ready(endpoint, out)
