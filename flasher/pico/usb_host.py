# SPDX-License-Identifier: Apache-2.0
"""The computer at the other end of the emulated USB cable: enumerates, opens the serial ports.

The transactions are rp2040py's model of the controller: packets of endpoint 0 and of the bulk
endpoints, without their timing, acknowledgements and errors on the wire.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from flasher.pico.machine import Machine
from flasher.pico.wire import Wire

PACKET = 64
_IN = 0x80
_STALL = 1 << 11
_EP0_IN_CONTROL = 0x80  # in the controller's RAM
_DEVICE, _CONFIGURATION, _STRING = 1, 2, 3
_INTERFACE, _ENDPOINT = 4, 5
_COMMUNICATIONS, _DATA = 2, 10
_BULK = 2
_GET_DESCRIPTOR, _SET_ADDRESS, _SET_CONFIGURATION = 6, 5, 9
_SET_LINE_CODING, _SET_LINE_STATE = 0x20, 0x22
_DTR_RTS = 3
_CODING = struct.pack("<IBBB", 115_200, 0, 0, 8)


@dataclass(frozen=True, slots=True)
class Request:
    """A control transfer. `data` goes with it to the device."""

    kind: int  # bmRequestType
    request: int
    value: int = 0
    index: int = 0
    length: int = 0
    data: bytes = b""

    @property
    def to_host(self) -> bool:
        return bool(self.kind & _IN)

    def setup(self) -> bytes:
        """The setup packet."""
        length = len(self.data) if self.data else self.length
        return struct.pack("<BBHHH", self.kind, self.request, self.value, self.index, length)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request. `data` is what the device sent."""

    stalled: bool
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class SerialFunction:
    """A CDC-ACM function: its control interface, its bulk endpoints."""

    interface: int
    endpoint_in: int
    endpoint_out: int


Script = Generator[Request, Answer, None]


def serial_functions(configuration: bytes) -> Iterator[SerialFunction]:
    """The serial ports of a configuration, in its order. ValueError: it is not well formed."""
    control: int | None = None
    data_interface = False
    ends: dict[bool, int] = {}
    for descriptor in _descriptors(configuration):
        if descriptor[1] == _INTERFACE:
            data_interface = descriptor[5] == _DATA
            if descriptor[5] == _COMMUNICATIONS:
                control, ends = descriptor[2], {}
        elif descriptor[1] == _ENDPOINT and data_interface and descriptor[3] & 3 == _BULK:
            ends[bool(descriptor[2] & _IN)] = descriptor[2] & 0xF
            if control is not None and len(ends) == 2:
                yield SerialFunction(control, ends[True], ends[False])
                control = None


def _descriptors(configuration: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(configuration):
        length = configuration[at]
        if length < 2 or at + length > len(configuration):
            raise ValueError(f"a descriptor of {length} bytes at {at}")
        yield configuration[at : at + length]
        at += length


class UsbHost:
    """Enumerates whenever the device appears, then joins its serial functions to `wires`."""

    def __init__(self, machine: Machine, wires: Sequence[Wire | None]) -> None:
        self._machine = machine
        self._usb = machine.chip.usb_ctrl
        self._wires = wires
        self.descriptors: dict[str, bytes] = {}
        self.texts: list[str] = []
        self.functions: tuple[SerialFunction, ...] = ()
        self.open = False
        self._clear()
        self._usb.on_usb_enabled = self._usb.reset_device  # a host resets the bus first
        self._usb.on_reset_received = self._begin
        self._usb.on_endpoint_write = self._from_device
        self._usb.on_endpoint_read = self._device_listens
        self._usb.on_reset = self._clear

    def _clear(self) -> None:
        """The device has left the bus."""
        self.open = False
        self.functions = ()
        self._listening: dict[int, int] = {}
        self._script: Script | None = None
        self._request: Request | None = None
        self._received = bytearray()
        self._sent = False
        self._answered: Answer | None = None
        self._extra: list[tuple[Request, list[Answer]]] = []

    # ---- control transfers ----

    def _begin(self) -> None:
        self._clear()
        self._script = self._enumerate()
        self._start(next(self._script))

    def _start(self, request: Request) -> None:
        self._request = request
        self._received.clear()
        self._sent = False
        self._answered = None
        # The controller forgets a stall when a setup packet comes; rp2040py does not model stalls.
        ram = self._machine.chip.usb_dpram
        ram[_EP0_IN_CONTROL : _EP0_IN_CONTROL + 8] = bytes(8)
        self._usb.send_setup_packet(request.setup())

    def ask(self, request: Request) -> list[Answer]:
        """Queues a further request; its answer appears in the list."""
        answer: list[Answer] = []
        self._extra.append((request, answer))
        return answer

    def _enumerate(self) -> Script:
        """What a computer asks, in the order Linux does (drivers/usb/core/hub.c, cdc-acm.c)."""
        yield Request(_IN, _GET_DESCRIPTOR, _DEVICE << 8, length=PACKET)
        yield Request(0, _SET_ADDRESS, 1)
        device = (yield Request(_IN, _GET_DESCRIPTOR, _DEVICE << 8, length=18)).data
        head = (yield Request(_IN, _GET_DESCRIPTOR, _CONFIGURATION << 8, length=9)).data
        total = int.from_bytes(head[2:4], "little")
        configuration = yield Request(_IN, _GET_DESCRIPTOR, _CONFIGURATION << 8, length=total)
        self.descriptors = {"device": device, "configuration": configuration.data}
        self.texts = []
        for index in range(1, 256):
            said = yield Request(_IN, _GET_DESCRIPTOR, _STRING << 8 | index, 0x0409, 255)
            if said.stalled:
                break
            self.texts.append(said.data[2:].decode("utf-16-le"))
        yield Request(0, _SET_CONFIGURATION, 1)
        functions = tuple(serial_functions(configuration.data))
        for function in functions:
            yield Request(0x21, _SET_LINE_CODING, 0, function.interface, data=_CODING)
            yield Request(0x21, _SET_LINE_STATE, _DTR_RTS, function.interface)
        self.functions = functions
        self.open = True

    def _from_device(self, endpoint: int, packet: bytes) -> None:
        if endpoint != 0:
            for function, wire in zip(self.functions, self._wires, strict=False):
                if function.endpoint_in == endpoint and wire is not None:
                    wire.to_host += packet
            return
        request = self._request
        if request is None:
            return
        if not request.to_host:
            self._answered = Answer(False)
            return
        self._received += packet
        if len(packet) < PACKET or len(self._received) >= request.length:
            self._sent = True
            self._finish_status()

    def _device_listens(self, endpoint: int, size: int) -> None:
        self._listening[endpoint] = size
        if endpoint == 0:
            self._finish_status()

    def _finish_status(self) -> None:
        request = self._request
        if request is None or 0 not in self._listening:
            return
        if request.to_host and self._sent:
            del self._listening[0]
            self._usb.endpoint_read_done(0, b"")
            self._answered = Answer(False, bytes(self._received))
        elif request.data and not request.to_host:
            self._usb.endpoint_read_done(0, request.data[: self._listening.pop(0)])

    def _stalls(self) -> bool:
        ram = self._machine.chip.usb_dpram
        return bool(int.from_bytes(ram[_EP0_IN_CONTROL : _EP0_IN_CONTROL + 4], "little") & _STALL)

    def serve(self) -> None:
        """Between two slices of simulated time."""
        if self._request is not None and self._answered is None and self._stalls():
            self._answered = Answer(True)
        if self._answered is not None:
            self._next(self._answered)
        elif self._request is None and self._extra and self.open:
            self._start(self._extra[0][0])
        if self.open:
            self._to_device()
        self._machine.poke()

    def _next(self, answer: Answer) -> None:
        self._request = None
        self._answered = None
        self._listening.pop(0, None)
        if self._script is None:
            _, answers = self._extra.pop(0)
            answers.append(answer)
            return
        try:
            self._start(self._script.send(answer))
        except StopIteration:
            self._script = None

    def _to_device(self) -> None:
        for function, wire in zip(self.functions, self._wires, strict=False):
            if wire is None or not wire.to_board:
                continue
            size = self._listening.pop(function.endpoint_out, 0)
            if size:
                packet = bytes(wire.to_board[:size])
                del wire.to_board[:size]
                self._usb.endpoint_read_done(function.endpoint_out, packet)
