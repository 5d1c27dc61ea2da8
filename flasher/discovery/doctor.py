# SPDX-License-Identifier: Apache-2.0
"""`coffret doctor`: what keeps boards from being reached, each with its mend."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import boards
from boards.errors import CoffretError
from flasher.discovery import udev
from flasher.discovery.device import Device
from flasher.discovery.search import Sources, find
from flasher.discovery.volumes import unmounted
from flasher.transports import cmsis_dap
from flasher.transports.serial_link import user_of
from flasher.transports.usb_link import Bus


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `mend`: what to do when it is not `ok`; else a hint."""

    subject: str
    ok: bool
    says: str
    mend: str | None = None

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def examine(sources: Sources | None = None) -> tuple[Finding, ...]:
    """Everything, the machine first and the boards behind it."""
    found = find(sources)
    return (*_machine(), *_drives(), *_boards(found))


def _machine() -> Iterator[Finding]:
    try:
        count = len(Bus().devices())
        yield Finding("USB", True, f"libusb works; {count} devices on the bus")
    except CoffretError as error:
        # Without a bus nothing is broken: virtual boards and serial ports are all there is.
        yield Finding("USB", "no /dev/bus/usb" in error.message, error.message, error.mend)
    if sys.platform.startswith("linux") and os.geteuid() != 0:
        if udev.installed():
            yield Finding("udev rules", True, f"{udev.PATH} is in place")
        else:
            yield Finding(
                "udev rules",
                False,
                f"{udev.PATH} is missing, or of another version",
                "sudo coffret udev --install, then plug the boards in again",
            )
    yield _program("qemu-system-arm", "virtual boards", "apt install qemu-system-arm")
    yield _package("rp2040py", "emulated Pico", 'pip install "coffret[pico]"')
    yield _package("esptool", "Espressif parts", 'pip install "coffret[espressif]"')
    yield _package(cmsis_dap.PACKAGE, "debug probes", cmsis_dap.INSTALL)


def _program(name: str, purpose: str, mend: str) -> Finding:
    if shutil.which(name) is not None:
        return Finding(purpose, True, f"{name} is there")
    return Finding(purpose, True, f"{name} is not installed; only {purpose} need it", mend)


def _package(name: str, purpose: str, mend: str) -> Finding:
    if importlib.util.find_spec(name) is not None:
        return Finding(purpose, True, f"{name} is there")
    return Finding(purpose, True, f"{name} is not installed; only {purpose} need it", mend)


def _drives() -> Iterator[Finding]:
    labels = {boards.load(name).host.uf2_label for name in boards.names()} - {None}
    for label in unmounted(tuple(sorted(str(label) for label in labels))):
        device = f"/dev/disk/by-label/{label}"
        yield Finding(
            f"drive {label}",
            False,
            "a boot loader's drive is plugged in and not mounted",
            f"mount it: udisksctl mount -b {device}",
        )


def _boards(found: Iterable[Device]) -> Iterator[Finding]:
    devices = tuple(found)
    serials = Counter(d.serial for d in devices if d.serial and d.kind != "virtual")
    for device in devices:
        if device.mend is not None:
            yield Finding(device.name, False, f"{device.path}: may not be used", device.mend)
            continue
        if device.kind == "probe" and importlib.util.find_spec(cmsis_dap.PACKAGE) is None:
            says = f"{device.path}: a debug probe, which needs pyOCD"
            yield Finding(device.name, False, says, cmsis_dap.INSTALL)
            continue
        user = user_of(device.path) if device.kind == "usb" and Path(device.path).exists() else ""
        if user:
            yield Finding(
                device.name,
                False,
                f"{device.path}: is in use by {user}",
                "end that program before you flash or attest",
            )
        elif device.serial and serials[device.serial] > 1:
            yield Finding(
                device.name,
                False,
                f"{device.path}: another board has the serial number {device.serial} too",
                "name boards by their place (coffret devices); give each a number of its own",
            )
        else:
            yield Finding(device.name, True, f"{device.path}: {device.says}", _button(device))
    if not devices:
        yield Finding(
            "boards",
            True,
            "none is plugged in and no virtual one runs",
            "a cable that only charges has no data lines; for a new board hold its boot button",
        )


def _button(device: Device) -> str | None:
    """How it gets into its boot loader, should it be of use."""
    known = [boards.load(name).host.button for name in device.boards]
    return f"to reach its ROM boot loader: {known[0]}" if known and known[0] else None
