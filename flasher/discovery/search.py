# SPDX-License-Identifier: Apache-2.0
"""Looks for boards: virtual ones, USB serial ports, boot loaders on the bus, drives and probes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boards
from boards import Board
from boards.host import UsbId
from flasher.discovery.device import SMP, Device
from flasher.discovery.volumes import drives
from flasher.errors import NoPortError
from flasher.state import running
from flasher.transports.usb_link import Bus, UsbFacts

# A board's second USB function, where the system tells its name (Linux does): no SMP there.
_STREAM = "stream"
_NAME_MAX = 24
# In the name of every such probe (CMSIS-DAP, USB interface).
PROBE = "CMSIS-DAP"
# One that may not be asked for its name: Raspberry Pi's Debug Probe.
_PROBE_ID = (0x2E8A, 0x000C)
PERMISSION = "install the udev rules once: coffret udev --install, then plug the board in again"


def _serial_ports() -> Iterable[Any]:
    from serial.tools.list_ports import comports  # noqa: PLC0415 - scans the system

    return comports()


def _usb_devices() -> tuple[UsbFacts, ...]:
    try:
        return Bus().devices()
    except NoPortError:
        return ()  # no libusb: `coffret doctor` says so


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look; tests give others."""

    virtual: Callable[[], Iterable[Any]] = running
    serial_ports: Callable[[], Iterable[Any]] = _serial_ports
    usb: Callable[[], tuple[UsbFacts, ...]] = _usb_devices
    drives: Callable[[], Iterable[tuple[Path, dict[str, str]]]] = drives
    boards: tuple[Board, ...] = field(
        default_factory=lambda: tuple(boards.load(name) for name in boards.names())
    )


def find(sources: Sources | None = None) -> tuple[Device, ...]:
    """Every board at hand: virtual, serial, in a ROM boot loader, drives, probes."""
    where = Sources() if sources is None else sources
    found = [*_virtual(where), *_ports(where), *_on_the_bus(where), *_drives(where)]
    return rename(found)


def rename(found: Iterable[Device]) -> tuple[Device, ...]:
    """Makes names unique: boards that share a serial number are told apart by their place."""
    devices = list(found)
    count = Counter(device.name for device in devices)
    return tuple(
        replace(device, name=f"{device.name}@{device.location or Path(device.path).name}")
        if count[device.name] > 1
        else device
        for device in devices
    )


def _virtual(where: Sources) -> Iterator[Device]:
    for run in where.virtual():
        yield Device(
            path=run.port,
            name=run.name,
            kind="virtual",
            says=f"{run.appliance or 'blank'} {run.version} on {run.board}",
            boards=(run.board,),
            mode="unknown",
            transport=SMP,
            serial=run.name,
        )


def _ids(where: Sources, vendor: int | None, product: int | None) -> list[tuple[Board, UsbId]]:
    return [
        (board, usb_id)
        for board in where.boards
        for usb_id in board.host.usb_ids
        if (usb_id.vendor, usb_id.product) == (vendor, product)
    ]


def _ports(where: Sources) -> Iterator[Device]:
    for port in sorted(where.serial_ports(), key=lambda port: str(port.device)):
        if port.vid is None or port.interface == _STREAM:
            continue
        ids = _ids(where, port.vid, port.pid)
        names = tuple(board.name for board, usb_id in ids if usb_id.mode == "application")
        yield Device(
            path=port.device,
            name=_name(names, port.serial_number, port.location, port.name),
            kind="usb",
            says=port.description or "USB serial port",
            boards=names,
            mode="unknown",
            transport=SMP,
            serial=port.serial_number or None,
            location=port.location or None,
            mend=None if os.access(port.device, os.R_OK | os.W_OK) else PERMISSION,
        )


def _on_the_bus(where: Sources) -> Iterator[Device]:
    for facts in where.usb():
        ids = [
            (b, i) for b, i in _ids(where, facts.vendor, facts.product) if i.mode != "application"
        ]
        if not ids:
            if PROBE in facts.says or (facts.vendor, facts.product) == _PROBE_ID:
                yield _probe(facts)
            continue
        names = tuple(board.name for board, _ in ids)
        mode = ids[0][1].mode
        wanted = ("cmsis-dap",) if mode == "probe" else ("picoboot", "dfu")
        offered = [t for t in ids[0][0].host.transports if t in wanted]
        yield Device(
            path=f"probe:{facts.serial or facts.place}"
            if mode == "probe"
            else f"usb:{facts.place}",
            name=_name(names, facts.serial, facts.place, facts.place),
            kind="probe" if mode == "probe" else "bus",
            says=facts.says or ids[0][1].says,
            boards=names,
            mode=mode,
            transport=offered[0] if offered else None,
            serial=facts.serial,
            location=facts.place,
            mend=None if facts.readable else PERMISSION,
        )


def _probe(facts: UsbFacts) -> Device:
    """A debug probe that is no part of a board: any may be at the end of its cable."""
    place = facts.serial or facts.place
    return Device(
        path=f"probe:{place}",
        name=f"probe-{place[-_NAME_MAX:]}".lower(),
        kind="probe",
        says=facts.says or "debug probe",
        boards=(),
        mode="probe",
        transport="cmsis-dap",
        serial=facts.serial,
        location=facts.place,
        mend=None if facts.readable else PERMISSION,
    )


def _drives(where: Sources) -> Iterator[Device]:
    for folder, said in where.drives():
        board_id = said.get("Board-ID", "")
        names = tuple(b.name for b in where.boards if board_id and b.host.uf2_label == board_id)
        yield Device(
            path=str(folder),
            name=_name(names, None, None, folder.name),
            kind="drive",
            says=said.get("Model", "") or "UF2 boot loader",
            boards=names,
            mode="rom",
            transport="uf2",
            mend=None if os.access(folder, os.W_OK) else "mount it so that you can write to it",
        )


def _name(names: tuple[str, ...], serial: str | None, place: str | None, last: str) -> str:
    """Board and serial number; where there is no number, the place on the bus."""
    stem = names[0] if names else "unknown"
    tail = (serial or place or last)[-_NAME_MAX:]
    return f"{stem}-{tail}".lower()
