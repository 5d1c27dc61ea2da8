# SPDX-License-Identifier: Apache-2.0
"""An emulated Pico on the bench: no process, no real time, its lines as byte arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from smp.message import ReadResponse, WriteResponse
from smp.packet import decode, encode

from flasher.pico.machine import Machine
from flasher.pico.uart import Uart
from flasher.pico.usb_host import UsbHost
from flasher.pico.wire import Wire

SLICE_S = 0.001
T = TypeVar("T", bound=ReadResponse | WriteResponse)


def _wire() -> Wire:
    return Wire(link=None)  # type: ignore[arg-type] # nobody moves its bytes but the test


@dataclass(slots=True)
class Bench:
    """A machine from its flash file, with a computer at the USB port and another at UART0."""

    flash: Path
    machine: Machine = field(init=False)
    host: UsbHost = field(init=False)
    port: Wire = field(init=False, default_factory=_wire)
    usb: tuple[Wire, Wire] = field(init=False, default_factory=lambda: (_wire(), _wire()))
    _uart: Uart = field(init=False)

    def __post_init__(self) -> None:
        self.machine = Machine(self.flash)
        self.host = UsbHost(self.machine, self.usb)
        self._uart = Uart(self.machine, self.port)

    def run_until(self, condition: Callable[[], Any], seconds: float = 20.0) -> None:
        """Lets simulated time pass until `condition`. AssertionError after `seconds` of it."""
        end = self.machine.seconds + seconds
        while not condition():
            assert self.machine.seconds < end, f"not within {seconds} s of simulated time"
            before, step = self.machine.cycles, self.machine.cycles_in(SLICE_S)
            if not self.machine.run(step):
                self.machine.sleep(before + step - self.machine.cycles)
            self.host.serve()
            self._uart.serve()

    def run_for(self, seconds: float) -> None:
        end = self.machine.seconds + seconds
        self.run_until(lambda: self.machine.seconds >= end, seconds + 1)

    def ask(self, request: Any, answer: type[T], wire: Wire | None = None) -> T:
        """One SMP request over a line (UART0 if none is named), as smpclient frames it."""
        line = self.port if wire is None else wire
        line.to_host.clear()
        line.to_board += b"".join(encode(request.BYTES))
        decoder = decode()
        next(decoder)
        while True:
            self.run_until(lambda: b"\n" in line.to_host)
            packet, _, rest = bytes(line.to_host).partition(b"\n")
            line.to_host[:] = rest
            try:
                decoder.send(packet + b"\n")
            except StopIteration as end:
                return answer.loads(end.value)
