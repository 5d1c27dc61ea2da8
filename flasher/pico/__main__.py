# SPDX-License-Identifier: Apache-2.0
"""`python -m flasher.pico FLASH --line NAME=FD...`: the emulator as a process of its own.

Lines: `port` is UART0, `usb0` and `usb1` are the serial functions of the USB device. Each is a
connected socket. The process runs until a line is closed or it is killed: the plug is pulled.
"""

from __future__ import annotations

import argparse
import selectors
import time
from collections.abc import Mapping
from pathlib import Path

from flasher.pico.machine import Machine
from flasher.pico.uart import Uart
from flasher.pico.usb_host import UsbHost
from flasher.pico.wire import Wire

_SLICE_S = 0.002  # simulated time between two looks at the lines
_LAG_S = 0.05  # beyond it the emulation gives up to keep pace, and goes on from where it is


class Emulator:
    """The machine, its lines, and real time, which simulated time never overtakes."""

    def __init__(self, machine: Machine, wires: Mapping[str, Wire]) -> None:
        self._machine = machine
        self._wires = wires
        self._ends: list[Uart | UsbHost] = [
            UsbHost(machine, [wires.get("usb0"), wires.get("usb1")])
        ]
        if "port" in wires:
            self._ends.append(Uart(machine, wires["port"]))
        self._selector = selectors.DefaultSelector()
        for wire in wires.values():
            self._selector.register(wire.link, selectors.EVENT_READ, wire)
        self._started = time.monotonic()

    def run(self) -> None:
        """Until a line is closed. Raises MachineLockupError."""
        while self._exchange(self._ahead()):
            for end in self._ends:
                end.serve()
            cycles = self._machine.cycles_in(_SLICE_S)
            finish = self._machine.cycles + cycles
            if not self._machine.run(cycles):
                self._machine.sleep(finish - self._machine.cycles)
            for end in self._ends:
                end.serve()

    def _ahead(self) -> float:
        """Seconds that simulated time is ahead of real time; never negative."""
        ahead = self._machine.seconds - (time.monotonic() - self._started)
        if ahead < -_LAG_S:
            self._started -= ahead
        return max(ahead, 0.0)

    def _exchange(self, wait: float) -> bool:
        """Moves bytes between sockets and lines, waiting at most `wait` seconds for some."""
        for wire in self._wires.values():
            wire.send()
        return all(key.data.receive() for key, _ in self._selector.select(wait))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m flasher.pico")
    parser.add_argument("flash", type=Path, help="file that is the flash chip, of its size")
    parser.add_argument("--line", action="append", default=[], metavar="NAME=FD")
    arguments = parser.parse_args()
    wires = {}
    for line in arguments.line:
        name, _, fd = line.partition("=")
        wires[name] = Wire.inherited(int(fd))
    Emulator(Machine(arguments.flash), wires).run()


if __name__ == "__main__":
    main()
