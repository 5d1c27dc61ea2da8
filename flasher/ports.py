# SPDX-License-Identifier: Apache-2.0
"""Which boards are at hand: virtual ones by their state directories, real ones by USB."""

from __future__ import annotations

from dataclasses import dataclass

import boards
from flasher.errors import NoPortError
from flasher.state import running

# A board's second USB function, where the system tells its name (Linux does): no SMP there.
_STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Port:
    """A port to a board. `path` to open; `kind` virtual or usb; `known` if its USB id is ours.

    `serial` is what the board calls itself before it has an identity: its USB serial number, or a
    virtual board's name.
    """

    path: str
    name: str
    kind: str
    says: str
    known: bool
    serial: str | None = None


def find() -> tuple[Port, ...]:
    """All ports: running virtual boards first, then USB serial ports."""
    return (*_virtual(), *_usb())


def _virtual() -> tuple[Port, ...]:
    return tuple(
        Port(
            path=run.port,
            name=run.name,
            kind="virtual",
            says=f"{run.appliance or 'blank'} {run.version} on {run.board}",
            known=True,
            serial=run.name,
        )
        for run in running()
    )


def _usb() -> tuple[Port, ...]:
    from serial.tools.list_ports import comports  # noqa: PLC0415 - scans the system

    ours = {
        (usb.vendor, usb.product)
        for name in boards.names()
        for usb in boards.load(name).host.usb_ids_of("application")
    }
    return tuple(
        Port(
            path=port.device,
            name=port.name,
            kind="usb",
            says=port.description or "USB serial port",
            known=(port.vid, port.pid) in ours,
            serial=port.serial_number or None,
        )
        for port in sorted(comports(), key=lambda port: port.device)
        if port.vid is not None and port.interface != _STREAM
    )


def choose(wanted: str | None) -> str:
    """The path of the port that a person means: a path, a virtual board's name, or the only one.

    Raises NoPortError (none, or several, each named).
    """
    if wanted is not None:
        named = [run.port for run in running() if run.name == wanted]
        return named[0] if named else wanted
    ports = find()
    candidates = [port for port in ports if port.known] or list(ports)
    if not candidates:
        raise NoPortError(
            "there is no board: no virtual one runs and no USB serial port is there",
            "start one with `coffret run BUNDLE` in another terminal, or plug one in",
        )
    if len(candidates) > 1:
        names = ", ".join(f"{port.name} ({port.path})" for port in candidates)
        raise NoPortError(f"there are several boards: {names}", "say which with --port")
    return candidates[0].path
