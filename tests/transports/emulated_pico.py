# SPDX-License-Identifier: Apache-2.0
"""The RP2040's own boot ROM at the other end of a USB cable: PICOBOOT and mass storage.

Nothing is simulated here but the wire: the ROM (B1) runs on the emulated chip and serves its USB
controller; transfers are cut into packets as a host controller does.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

from flasher.pico.machine import Machine
from flasher.pico.usb_host import Request, UsbHost
from tests.transports.usb_bus import SilenceError, StallError

PACKET = 64
_SLICE_S = 0.0002
_STALL = 1 << 11
_PATIENCE_S = 20.0  # of simulated time, for one transfer


class EmulatedPico:
    """A Pico in BOOTSEL mode: its flash holds nothing that the ROM would start."""

    def __init__(self, flash: Path) -> None:
        self.flash = flash
        self._on()

    def _on(self) -> None:
        self.machine = Machine(self.flash)
        self._host = UsbHost(self.machine, [])
        self._usb = self.machine.chip.usb_ctrl
        self._from_device: dict[int, deque[bytes]] = {}
        self._listening: dict[int, int] = {}  # how many buffers wait for a packet
        control_in, control_out = self._usb.on_endpoint_write, self._usb.on_endpoint_read

        def wrote(endpoint: int, packet: bytes) -> None:
            if endpoint:
                self._from_device.setdefault(endpoint, deque()).append(bytes(packet))
            else:
                control_in(endpoint, packet)

        def listens(endpoint: int, size: int) -> None:
            if endpoint:
                self._listening[endpoint] = self._listening.get(endpoint, 0) + 1
            else:
                control_out(endpoint, size)

        self._usb.on_endpoint_write, self._usb.on_endpoint_read = wrote, listens
        self._wait(lambda: self._host.open)
        self.device = self._host.descriptors["device"]
        self.configuration = self._host.descriptors["configuration"]

    def _wait(self, condition: object, patience: float = _PATIENCE_S) -> None:
        assert callable(condition)
        end = self.machine.seconds + patience
        while not condition():
            if self.machine.seconds > end:
                raise SilenceError
            self.run(_SLICE_S)

    def run(self, seconds: float) -> None:
        """Lets simulated time pass."""
        before, step = self.machine.cycles, self.machine.cycles_in(seconds)
        if not self.machine.run(step):
            self.machine.sleep(before + step - self.machine.cycles)
        self._host.serve()

    def unplugged(self) -> None:
        """No power any more; plugging it in starts the ROM again."""
        self.machine.close()
        self._on()

    def erase(self) -> None:
        """Empties the flash behind everybody's back."""
        self.machine.chip.flash[: self.flash.stat().st_size] = b"\xff" * self.flash.stat().st_size
        self.flash.write_bytes(b"\xff" * self.flash.stat().st_size)

    def string(self, index: int) -> str:
        return self._host.texts[index - 1]

    def control(self, kind: int, request: int, value: int, index: int, data: bytes | int) -> bytes:
        rest, length = (data, 0) if isinstance(data, bytes) else (b"", data)
        if request == 0x41:  # INTERFACE_RESET: what was under way is dropped on both sides
            self._from_device.pop(4, None)
            self._listening.pop(3, None)
        answers = self._host.ask(Request(kind, request, value, index, length, rest))
        self._wait(lambda: answers)
        if answers[0].stalled:
            raise StallError
        return answers[0].data

    def _stalled(self, endpoint: int) -> bool:
        at = 0x80 + 8 * (endpoint & 0xF) + (0 if endpoint & 0x80 else 4)
        word = self.machine.chip.usb_dpram[at : at + 4]
        return bool(int.from_bytes(word, "little") & _STALL)

    def bulk_out(self, endpoint: int, data: bytes) -> None:
        for at in range(0, max(len(data), 1), PACKET):
            self._wait(lambda: self._stalled(endpoint) or self._listening.get(endpoint))
            if self._stalled(endpoint):
                raise StallError
            self._listening[endpoint] -= 1
            self._usb.endpoint_read_done(endpoint, data[at : at + PACKET])
            self.machine.poke()
            under_way = self._usb.endpoint_read_alarms[endpoint].buffers
            self._wait(lambda under_way=under_way: not under_way)

    def bulk_in(self, endpoint: int, size: int, _timeout_ms: int = 0) -> bytes:
        number, found = endpoint & 0xF, b""
        while True:
            queue = self._from_device.setdefault(number, deque())
            self._wait(lambda queue=queue: queue or self._stalled(endpoint))
            if not queue:
                raise StallError
            packet = queue.popleft()
            found += packet
            if len(packet) < PACKET or len(found) >= size:
                return found

    def clear_halt(self, endpoint: int) -> None:
        self._host.ask(Request(0x02, 1, 0, endpoint))
        self.run(0.002)
