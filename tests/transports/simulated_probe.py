# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ARG002 - the signatures are the bus's
"""A CMSIS-DAP probe on the USB bus, packet for packet (Arm's CMSIS-DAP documentation, version 2).

No emulator has one. It is a bulk device (version 2 of the protocol's transport), and drives the
wire of a debug port that is simulated as well (`simulated_swd.py`).
"""

from __future__ import annotations

import queue
import struct

from tests.transports.simulated_swd import NO_ANSWER, OK, SerialWirePort
from tests.transports.usb_bus import SilenceError

OUT, IN = 0x01, 0x82
_PATIENCE_S = 60.0  # of a reader whose command is still being worked on
_ERROR = 0xFF
_CAPABILITIES = 0x01  # serial wire
_READ, _MATCH, _MASK = 1 << 1, 1 << 4, 1 << 5  # of a transfer request
_TARGETSEL_REQUEST = "10011001"  # start, DP, write, A[2:3] = 11, parity, stop, park


class SimulatedProbe:
    """A probe and the port at the end of its cable; None: nothing that has power."""

    def __init__(
        self, port: SerialWirePort | None, serial: str = "E6614103E7174A28", packet: int = 64
    ) -> None:
        self.port = port
        self._strings = ["Coffret", "Simulated Probe (CMSIS-DAP)", serial, "CMSIS-DAP v2"]
        self._packet = packet
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._mask = 0xFFFF_FFFF
        self._retries = 0
        self._connected = False
        self.device = struct.pack(
            "<BBHBBBBHHHBBBB", 18, 1, 0x0210, 0, 0, 0, 64, 0x2E8A, 0x000C, 0x0221, 1, 2, 3, 1
        )
        interface = struct.pack("<BBBBBBBBB", 9, 4, 0, 0, 2, 0xFF, 0, 0, 4)
        ends = b"".join(struct.pack("<BBBBHB", 7, 5, end, 2, 64, 0) for end in (OUT, IN))
        whole = 9 + len(interface) + len(ends)
        self.configuration = struct.pack("<BBHBBBBB", 9, 2, whole, 1, 1, 0, 0x80, 50)
        self.configuration += interface + ends

    # USB

    def string(self, index: int) -> str:
        return self._strings[index - 1]

    def control(self, kind: int, request: int, value: int, index: int, data: bytes | int) -> bytes:
        return b""

    def bulk_out(self, endpoint: int, data: bytes) -> None:
        assert endpoint == OUT
        if data:  # an empty packet ends a transfer
            assert len(data) <= self._packet, "more than DAP_Info says it takes"
            self._answers.put(self._command(data))

    def bulk_in(self, endpoint: int, size: int, timeout_ms: int) -> bytes:
        assert endpoint == IN
        try:
            # A debugger's reader asks before the command is sent; its patience is its own affair.
            return self._answers.get(timeout=0.001 if timeout_ms < 100 else _PATIENCE_S)[:size]
        except queue.Empty:
            raise SilenceError from None

    def clear_halt(self, endpoint: int) -> None: ...

    def unplugged(self) -> None:
        """The probe has no power any more, and whoever waits for it is told."""
        self._connected = False
        self._answers.put(b"")

    def plugged(self, port: SerialWirePort) -> None:
        """Power again, and that at the end of the cable."""
        self.port, self._answers = port, queue.SimpleQueue()

    # Commands

    def _command(self, data: bytes) -> bytes:
        number, rest = data[0], data[1:]
        work = {
            0x00: self._info,
            0x01: lambda _: b"\0",  # the host's status, for a lamp
            0x02: self._connect,
            0x03: self._disconnect,
            0x04: self._configure,
            0x05: self._transfer,
            0x06: self._transfer_block,
            0x08: self._write_abort,
            0x09: lambda _: b"\0",  # a delay
            0x0A: lambda _: b"\0\0",  # no reset sequence of the device's own
            0x10: lambda rest: bytes([rest[0] & rest[1] | 0x82 & ~rest[1]]),
            0x11: lambda _: b"\0",  # the clock
            0x12: self._swj_sequence,
            0x13: lambda _: b"\0",  # turnaround
            0x1D: self._swd_sequence,
        }.get(number)
        if work is None:
            return b"\xff"  # section DAP_Command: an invalid one
        answer = bytes([number]) + work(rest)
        assert len(answer) <= self._packet
        return answer

    def _info(self, rest: bytes) -> bytes:
        texts = {1: self._strings[0], 2: self._strings[1], 3: self._strings[2], 4: "2.0.0"}
        if rest[0] in texts:
            text = texts[rest[0]].encode() + b"\0"
            return bytes([len(text)]) + text
        values = {0xF0: bytes([_CAPABILITIES]), 0xFE: bytes([2])}
        values[0xFF] = struct.pack("<H", self._packet)
        value = values.get(rest[0], b"")
        return bytes([len(value)]) + value

    def _connect(self, rest: bytes) -> bytes:
        self._connected = rest[0] in (0, 1)
        return bytes([int(self._connected)])

    def _disconnect(self, _rest: bytes) -> bytes:
        self._connected = False
        return b"\0"

    def _configure(self, rest: bytes) -> bytes:
        _idle, _waits, self._retries = struct.unpack("<BHH", rest[:5])
        return b"\0"

    def _swj_sequence(self, rest: bytes) -> bytes:
        count = rest[0] or 256
        self._clock(_wire(rest[1:], count))
        return b"\0"

    def _clock(self, bits: str) -> None:
        if self.port is not None:
            self.port.clock(bits)

    def _swd_sequence(self, rest: bytes) -> bytes:
        """Only what chooses one of several ports is understood; else it is bits on the wire."""
        found, at, choosing = b"", 1, False
        for _ in range(rest[0]):
            info, at = rest[at], at + 1
            count = info & 0x3F or 64
            size = -(-count // 8)
            if info & 0x80:  # the line is read: nobody drives it, so it is high
                found += ((1 << count) - 1).to_bytes(size, "little")
                continue
            bits, at = _wire(rest[at : at + size], count), at + size
            if bits == _TARGETSEL_REQUEST:
                choosing = True
            elif choosing and count == 33:
                choosing = False
                if self.port is not None and bits.count("1") % 2 == 0:  # with its parity
                    self.port.choose(int(bits[31::-1], 2))
            else:
                self._clock(bits)
        return b"\0" + found

    def _write_abort(self, rest: bytes) -> bytes:
        ack, _ = self._one(0, int.from_bytes(rest[1:5], "little"))
        return bytes([0 if ack == OK else _ERROR])

    def _one(self, request: int, value: int) -> tuple[int, int]:
        if not self._connected or self.port is None:
            return NO_ANSWER, 0
        return self.port.transfer(
            bool(request & 1), bool(request & _READ), request & 0xC, value & 0xFFFF_FFFF
        )

    def _transfer(self, rest: bytes) -> bytes:
        done, found, at, ack = 0, b"", 2, OK
        for _ in range(rest[1]):
            request, at = rest[at], at + 1
            value = 0
            if not request & _READ or request & _MATCH:
                value, at = int.from_bytes(rest[at : at + 4], "little"), at + 4
            if request & _MASK:
                self._mask, ack = value, OK
            elif request & _MATCH:
                ack = self._until(request, value)
            else:
                ack, word = self._one(request, value)
                found += word.to_bytes(4, "little") if request & _READ and ack == OK else b""
            if ack != OK:
                break
            done += 1
        return bytes([done, ack]) + found

    def _until(self, request: int, value: int) -> int:
        for _ in range(self._retries + 1):
            ack, word = self._one(request, 0)
            if ack != OK or word & self._mask == value:
                return ack
        return OK | 1 << 4  # a mismatch

    def _transfer_block(self, rest: bytes) -> bytes:
        _, count, request = struct.unpack_from("<BHB", rest)
        done, found, ack = 0, bytearray(), OK
        for at in range(4, 4 + 4 * count, 4):
            ack, word = self._one(request, int.from_bytes(rest[at : at + 4], "little"))
            if ack != OK:
                break
            done += 1
            if request & _READ:
                found += word.to_bytes(4, "little")
        return struct.pack("<HB", done, ack) + found


def _wire(data: bytes, count: int) -> str:
    """Bits in the order of the wire: of each byte the lowest first."""
    return "".join(f"{byte:08b}"[::-1] for byte in data)[:count]
