# SPDX-License-Identifier: Apache-2.0
"""UART0 of the emulated board, joined to a line."""

from __future__ import annotations

from flasher.pico.machine import Machine
from flasher.pico.wire import Wire


class Uart:
    """Moves bytes between rp2040py's PL011 and a wire, never more than its FIFO holds."""

    def __init__(self, machine: Machine, wire: Wire) -> None:
        self._machine = machine
        self._wire = wire
        self._device = machine.chip.uart[0]
        self._device.on_byte = wire.to_host.append

    def serve(self) -> None:
        """Between two slices of simulated time."""
        fifo = self._device.rx_fifo
        count = 0
        while count < len(self._wire.to_board) and not fifo.full and self._device.enabled:
            self._device.feed_byte(self._wire.to_board[count])
            count += 1
        if count:
            del self._wire.to_board[:count]
            self._machine.poke()
