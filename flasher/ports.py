# SPDX-License-Identifier: Apache-2.0
"""Which board a person means."""

from __future__ import annotations

from collections.abc import Iterable

from flasher.discovery import SMP, Device, find
from flasher.errors import NoPortError

__all__ = ["choose", "device", "find", "only"]


def choose(wanted: str | None, devices: Iterable[Device] | None = None) -> str:
    """The path of the port for SMP: a path, a board's name or serial number, or the only board.

    Raises NoPortError (none, or several, each named).
    """
    if wanted is not None:
        named = _named(wanted, find() if devices is None else devices)
        return wanted if named is None else named.path
    ports = [d for d in (find() if devices is None else devices) if d.transport == SMP]
    return only(ports).path


def device(wanted: str | None, devices: Iterable[Device]) -> Device:
    """The board to flash, in whatever mode it is. Raises NoPortError."""
    found = tuple(devices)
    if wanted is not None:
        named = _named(wanted, found)
        if named is not None:
            return named
        return Device(wanted, wanted, "usb", "", (), "unknown", SMP)
    return only(found)


def _named(wanted: str, devices: Iterable[Device]) -> Device | None:
    found = [d for d in devices if wanted in (d.path, d.name)]
    if found:
        return found[0]
    found = [d for d in devices if d.serial == wanted]
    if len(found) > 1:
        raise NoPortError(
            f"{len(found)} boards have the serial number {wanted}: {_names(found)}",
            "name one by its place, as above; give each board a number of its own",
        )
    return found[0] if found else None


def only(devices: Iterable[Device]) -> Device:
    """The one board, preferring those that are ours. Raises NoPortError: none, or several."""
    found = tuple(devices)
    candidates = _one_way_each([d for d in found if d.known] or found)
    if not candidates:
        raise NoPortError(
            "there is no board: no virtual one runs and no USB serial port is there",
            "start one with `coffret run BUNDLE` in another terminal, or plug one in; "
            "coffret doctor says more",
        )
    if len(candidates) > 1:
        raise NoPortError(
            f"there are several boards: {_names(candidates)}", "say which with --port"
        )
    return candidates[0]


def _one_way_each(devices: Iterable[Device]) -> list[Device]:
    """A ROM that shows a drive and a boot loader is one board: the drive goes."""
    found = list(devices)
    by_bus = {board for d in found if d.kind == "bus" and d.ready for board in d.boards}
    return [d for d in found if not (d.kind == "drive" and by_bus.intersection(d.boards))]


def _names(devices: Iterable[Device]) -> str:
    return ", ".join(f"{d.name} ({d.path})" for d in devices)
