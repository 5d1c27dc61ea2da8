# SPDX-License-Identifier: Apache-2.0
"""USB devices through pyusb: what is on the bus, and one claimed interface, with errors for people.

`Bus(backend)` takes any `usb.backend.IBackend`; without one it is libusb 1.0.
"""

from __future__ import annotations

import contextlib
import errno
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from boards.errors import CoffretError
from flasher.answers import clean
from flasher.errors import (
    GoneError,
    NoAnswerError,
    NoPermissionError,
    NoPortError,
    PortBusyError,
)

TIMEOUT_MS = 5_000
_USB_DEVICES = Path("/dev/bus/usb")
_ENGLISH = 0x0409

T = TypeVar("T")


class StalledError(Exception):
    """The device refused a transfer (a STALL); the protocol above knows why."""


@dataclass(frozen=True, slots=True)
class UsbFacts:
    """One device on the bus. `place` is its stable name: bus and ports, as the kernel writes it.

    `serial` is None when it has none or may not be asked. `readable`: this user may open it.
    """

    vendor: int
    product: int
    place: str
    says: str
    serial: str | None
    readable: bool


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface in one of its alternate settings; endpoints by number, 0 where missing."""

    number: int
    alternate: int
    kind: tuple[int, int, int]  # class, subclass, protocol
    label: str
    endpoint_in: int
    endpoint_out: int


class Bus:
    """The USB devices that this machine sees. Raises NoPortError: no libusb."""

    def __init__(self, backend: Any = None) -> None:
        import usb.core  # noqa: PLC0415 - loads a shared library

        self._usb = usb
        if backend is None:
            backend = _libusb()
        self._backend = backend

    def devices(self) -> tuple[UsbFacts, ...]:
        """All devices, by place."""
        return tuple(sorted((_facts(device) for device in self._all()), key=lambda f: f.place))

    def _all(self) -> Iterator[Any]:
        # Without /dev/bus/usb (containers) libusb fails to start: that is a bus without devices.
        with contextlib.suppress(self._usb.core.USBError):
            find: Any = self._usb.core.find
            yield from find(find_all=True, backend=self._backend)

    def open(self, place: str) -> UsbLink:
        """The device at `place`. Raises NoPortError: nothing is there."""
        for device in self._all():
            if _place(device) == place:
                return UsbLink(self._usb, device, f"usb:{place}")
        raise NoPortError(f"usb:{place}: there is no such USB device")


def _libusb() -> Any:
    import libusb_package  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of importlib.resources, in there
        backend = libusb_package.get_libusb1_backend()
    if backend is not None:
        return backend
    if sys.platform.startswith("linux") and not _USB_DEVICES.is_dir():
        raise NoPortError(
            f"USB: this machine has no {_USB_DEVICES} (a container?): no USB device can be seen",
            "run it where the USB ports are, or pass them into the container",
        )
    raise NoPortError(
        "USB: libusb 1.0 cannot be loaded", "install it (Debian, Ubuntu: apt install libusb-1.0-0)"
    )


class UsbLink:
    """One opened device, with one claimed interface at a time."""

    def __init__(self, usb: Any, device: Any, where: str) -> None:
        self._usb = usb
        self._device = device
        self._claimed: Interface | None = None
        self.where = where
        self.vendor, self.product = int(device.idVendor), int(device.idProduct)

    def interfaces(self) -> tuple[Interface, ...]:
        """Every alternate setting of every interface of the first configuration."""
        return self._do("reading descriptors", lambda: tuple(self._interfaces()))

    def _interfaces(self) -> Iterator[Interface]:
        for interface in self._device[0]:
            ends = {bool(e.bEndpointAddress & 0x80): int(e.bEndpointAddress) for e in interface}
            yield Interface(
                number=int(interface.bInterfaceNumber),
                alternate=int(interface.bAlternateSetting),
                kind=(
                    int(interface.bInterfaceClass),
                    int(interface.bInterfaceSubClass),
                    int(interface.bInterfaceProtocol),
                ),
                label=self._label(int(interface.iInterface)),
                endpoint_in=ends.get(True, 0),
                endpoint_out=ends.get(False, 0),
            )

    def _label(self, index: int) -> str:
        get_string: Any = self._usb.util.get_string
        return clean(get_string(self._device, index, _ENGLISH) or "") if index else ""

    def claim(self, interface: Interface) -> None:
        """Takes an interface for this program; a kernel driver on it is sent away."""
        self._do("claiming it", lambda: self._claim(interface))
        self._claimed = interface

    def _claim(self, interface: Interface) -> None:
        with contextlib.suppress(NotImplementedError):
            if self._device.is_kernel_driver_active(interface.number):
                self._device.detach_kernel_driver(interface.number)
        self._usb.util.claim_interface(self._device, interface.number)
        if interface.alternate:
            self._device.set_interface_altsetting(interface.number, interface.alternate)

    def control_in(self, kind: int, request: int, value: int, size: int, what: str) -> bytes:
        """A control transfer to the claimed interface; `kind` is bmRequestType."""
        return bytes(self._control(kind | 0x80, request, value, size, what))

    def control_out(self, kind: int, request: int, value: int, data: bytes, what: str) -> None:
        """A control transfer to the claimed interface; `kind` is bmRequestType."""
        self._control(kind & 0x7F, request, value, data, what)

    def _control(self, kind: int, request: int, value: int, rest: bytes | int, what: str) -> Any:
        index = 0 if self._claimed is None else self._claimed.number
        return self._do(
            what,
            lambda: self._device.ctrl_transfer(kind, request, value, index, rest, TIMEOUT_MS),
        )

    def bulk_out(self, data: bytes, what: str, timeout_ms: int = TIMEOUT_MS) -> None:
        """One bulk transfer to the device; may be empty."""
        assert self._claimed is not None
        end = self._claimed.endpoint_out
        written = self._do(what, lambda: self._device.write(end, data, timeout_ms))
        if written != len(data):
            raise GoneError(self.where, what)

    def bulk_in(self, size: int, what: str, timeout_ms: int = TIMEOUT_MS) -> bytes:
        """One bulk transfer from the device: at most `size` bytes, fewer at a short packet."""
        assert self._claimed is not None
        end = self._claimed.endpoint_in
        return bytes(self._do(what, lambda: self._device.read(end, size, timeout_ms)))

    def clear_halt(self) -> None:
        """Ends a STALL on both endpoints."""
        assert self._claimed is not None
        for end in (self._claimed.endpoint_in, self._claimed.endpoint_out):
            self._do("clearing a stall", partial(self._device.clear_halt, end))

    def close(self) -> None:
        """Gives the device back."""
        with contextlib.suppress(self._usb.core.USBError):
            self._usb.util.dispose_resources(self._device)

    def _do(self, what: str, work: Callable[[], T]) -> T:
        try:
            return work()
        except self._usb.core.USBTimeoutError as error:
            raise NoAnswerError(self.where, what, TIMEOUT_MS / 1000) from error
        except self._usb.core.USBError as error:
            if error.errno == errno.EPIPE:
                raise StalledError(what) from error
            raise self._error(error, what) from error

    def _error(self, error: Any, what: str) -> CoffretError:
        if error.errno in (errno.EACCES, errno.EPERM):
            return NoPermissionError(self.where)
        if error.errno == errno.EBUSY:
            return PortBusyError(self.where)
        return GoneError(self.where, what)


def _facts(device: Any) -> UsbFacts:
    says = _text(device, int(device.iProduct))
    serial = _text(device, int(device.iSerialNumber))
    readable = says is not None
    return UsbFacts(
        vendor=int(device.idVendor),
        product=int(device.idProduct),
        place=_place(device),
        says=says or "",
        serial=serial or None,
        readable=readable,
    )


def _place(device: Any) -> str:
    ports = ".".join(str(number) for number in device.port_numbers or ())
    return f"{device.bus}-{ports}" if ports else f"{device.bus}:{device.address}"


def _text(device: Any, index: int) -> str | None:
    """A string descriptor without control characters; None when it may not be read."""
    import usb.core  # noqa: PLC0415
    import usb.util  # noqa: PLC0415

    if index == 0:
        return ""
    get_string: Any = usb.util.get_string
    try:
        return clean(get_string(device, index) or "")
    except (usb.core.USBError, ValueError, NotImplementedError, UnicodeDecodeError):
        return None
