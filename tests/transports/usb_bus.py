# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ARG002, N803 - the signatures are pyusb's
"""A USB bus beneath pyusb: a real `usb.backend.IBackend`, whose devices are Python or an emulator.

Everything above it, pyusb and our transports, is what runs against libusb. A device is asked for
its descriptors as bytes, and for transfers; the bus can pull the cable after so many bytes.
"""

from __future__ import annotations

import errno
import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Protocol

import usb.backend
import usb.core

_DEVICE = struct.Struct("<BBHBBBBHHHBBBB")
_GET_DESCRIPTOR, _SET_CONFIGURATION, _STRING = 6, 9, 3
_ENGLISH = b"\x04\x03\x09\x04"


class StallError(Exception):
    """The device stalls the endpoint."""


class SilenceError(Exception):
    """The device answers NAK until the host gives up."""


class Function(Protocol):
    """A USB device. Transfers raise StallError or SilenceError."""

    device: bytes
    configuration: bytes

    def string(self, index: int) -> str: ...
    def control(self, kind: int, request: int, value: int, index: int, data: bytes | int) -> bytes:
        """`data` goes to the device, or is how many bytes may come back."""

    def bulk_out(self, endpoint: int, data: bytes) -> None: ...
    def bulk_in(self, endpoint: int, size: int, timeout_ms: int) -> bytes: ...
    def clear_halt(self, endpoint: int) -> None: ...
    def unplugged(self) -> None: ...


@dataclass(slots=True, eq=False)
class Socket:
    """A place on the bus and what is plugged in there."""

    function: Function
    ports: tuple[int, ...]
    plugged: bool = True
    forbidden: bool = False
    busy: bool = False
    pull_after: int | None = None
    moved: int = 0
    claimed: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def plug(self) -> None:
        self.plugged, self.pull_after, self.moved = True, None, 0
        self.claimed.clear()


def _named(names: str, values: Iterable[int]) -> dict[str, int]:
    return dict(zip(names.split(), values, strict=True))


def _error(number: int) -> usb.core.USBError:
    return usb.core.USBError(errno.errorcode[number], None, number)


class Bus(usb.backend.IBackend):  # type: ignore[misc]
    """Bus 1."""

    def __init__(self, *functions: Function) -> None:
        self.sockets = [Socket(one, (1, n)) for n, one in enumerate(functions, 1)]

    # Descriptors

    def enumerate_devices(self) -> Sequence[Socket]:
        return [socket for socket in self.sockets if socket.plugged]

    def get_device_descriptor(self, dev: Socket) -> Any:
        fields = _named(
            "bLength bDescriptorType bcdUSB bDeviceClass bDeviceSubClass bDeviceProtocol "
            "bMaxPacketSize0 idVendor idProduct bcdDevice iManufacturer iProduct iSerialNumber "
            "bNumConfigurations",
            _DEVICE.unpack(dev.function.device),
        )
        place = {"address": dev.ports[-1], "bus": 1, "port_number": dev.ports[-1], "speed": 2}
        return SimpleNamespace(**fields, **place, port_numbers=dev.ports)

    def get_configuration_descriptor(self, dev: Socket, config: int) -> Any:
        if config:
            raise IndexError
        head = next(_descriptors(dev.function.configuration, 2))
        fields = _named(
            "bLength bDescriptorType wTotalLength bNumInterfaces bConfigurationValue "
            "iConfiguration bmAttributes bMaxPower",
            struct.unpack("<BBHBBBBB", head),
        )
        return SimpleNamespace(**fields, extra_descriptors=[])

    def get_interface_descriptor(self, dev: Socket, intf: int, alt: int, config: int) -> Any:
        assert config == 0
        settings: dict[int, list[bytes]] = {}
        for descriptor in _descriptors(dev.function.configuration, 4):
            settings.setdefault(descriptor[2], []).append(descriptor)
        fields = _named(
            "bLength bDescriptorType bInterfaceNumber bAlternateSetting bNumEndpoints "
            "bInterfaceClass bInterfaceSubClass bInterfaceProtocol iInterface",
            list(settings.values())[intf][alt],
        )
        return SimpleNamespace(**fields, extra_descriptors=[])

    def get_endpoint_descriptor(
        self, dev: Socket, ep: int, intf: int, alt: int, config: int
    ) -> Any:
        wanted = self.get_interface_descriptor(dev, intf, alt, config)
        inside, found = False, []
        for descriptor in _descriptors(dev.function.configuration):
            if descriptor[1] == 4:
                inside = descriptor[2:4] == bytes(
                    [wanted.bInterfaceNumber, wanted.bAlternateSetting]
                )
            elif descriptor[1] == 5 and inside:
                found.append(descriptor)
        fields = _named(
            "bLength bDescriptorType bEndpointAddress bmAttributes wMaxPacketSize bInterval",
            struct.unpack("<BBBBHB", found[ep]),
        )
        return SimpleNamespace(**fields, bRefresh=0, bSynchAddress=0, extra_descriptors=[])

    # Devices

    def open_device(self, dev: Socket) -> Socket:
        if dev.forbidden:
            raise _error(errno.EACCES)
        return dev

    def close_device(self, dev_handle: Socket) -> None:
        dev_handle.claimed.clear()

    def set_configuration(self, dev_handle: Socket, config_value: int) -> None:
        self._move(dev_handle, 0)

    def get_configuration(self, dev_handle: Socket) -> int:
        return 1

    def set_interface_altsetting(self, dev_handle: Socket, intf: int, altsetting: int) -> None:
        self._move(dev_handle, 0)

    def claim_interface(self, dev_handle: Socket, intf: int) -> None:
        if dev_handle.busy or intf in dev_handle.claimed:
            raise _error(errno.EBUSY)
        dev_handle.claimed.add(intf)

    def release_interface(self, dev_handle: Socket, intf: int) -> None:
        dev_handle.claimed.discard(intf)

    def is_kernel_driver_active(self, dev_handle: Socket, intf: int) -> bool:
        return False

    # Transfers

    def _move(self, socket: Socket, count: int) -> None:
        """Bytes cross the cable, unless it is pulled by then."""
        with socket.lock:
            socket.moved += count
            pulled = socket.pull_after is not None and socket.moved > socket.pull_after
            now = pulled and socket.plugged
            socket.plugged = socket.plugged and not pulled
        if now:
            socket.function.unplugged()
        if not socket.plugged:
            raise _error(errno.ENODEV)

    def ctrl_transfer(
        self,
        dev_handle: Socket,
        bmRequestType: int,
        bRequest: int,
        wValue: int,
        wIndex: int,
        data: Any,
        timeout: int,
    ) -> int:
        to_host = bool(bmRequestType & 0x80)
        self._move(dev_handle, 8 if to_host else 8 + len(data))
        function = dev_handle.function
        if (bmRequestType, bRequest, wValue >> 8) == (0x80, _GET_DESCRIPTOR, _STRING):
            text = function.string(wValue & 0xFF).encode("utf-16-le")
            answer = bytes([len(text) + 2, 3]) + text if wValue & 0xFF else _ENGLISH
        else:
            rest = len(data) if to_host else bytes(data)
            answer = _answer(
                lambda: function.control(bmRequestType, bRequest, wValue, wIndex, rest)
            )
        if not to_host:
            return len(data)
        answer = answer[: len(data)]
        self._move(dev_handle, len(answer))
        data[: len(answer)] = type(data)("B", answer)
        return len(answer)

    def bulk_write(self, dev_handle: Socket, ep: int, intf: int, data: Any, timeout: int) -> int:
        assert intf in dev_handle.claimed
        rest = bytes(data)
        for at in range(0, max(len(rest), 1), 4096):
            part = rest[at : at + 4096]
            self._move(dev_handle, len(part))
            _answer(lambda part=part: dev_handle.function.bulk_out(ep, part) or b"")
        return len(rest)

    def bulk_read(self, dev_handle: Socket, ep: int, intf: int, buff: Any, timeout: int) -> int:
        assert intf in dev_handle.claimed
        answer = _answer(lambda: dev_handle.function.bulk_in(ep, len(buff), timeout))
        self._move(dev_handle, len(answer))
        buff[: len(answer)] = type(buff)("B", answer)
        return len(answer)

    def clear_halt(self, dev_handle: Socket, ep: int) -> None:
        self._move(dev_handle, 0)
        dev_handle.function.clear_halt(ep)

    def reset_device(self, dev_handle: Socket) -> None:
        self._move(dev_handle, 0)


def _answer(work: Any) -> bytes:
    try:
        return bytes(work())
    except StallError:
        raise _error(errno.EPIPE) from None
    except SilenceError:
        raise usb.core.USBTimeoutError("timeout", None, errno.ETIMEDOUT) from None


def _descriptors(configuration: bytes, kind: int | None = None) -> Any:
    at = 0
    while at < len(configuration):
        length = configuration[at]
        if kind in (None, configuration[at + 1]):
            yield configuration[at : at + length]
        at += length
