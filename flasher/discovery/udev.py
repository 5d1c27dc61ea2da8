# SPDX-License-Identifier: Apache-2.0
"""The udev rules that let whoever sits at the machine use the boards."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import boards
from boards.errors import ENVIRONMENT, CoffretError
from flasher.discovery.search import PROBE
from flasher.state import write_atomically

# Before 73-seat-late.rules, which gives `uaccess` devices to the seat's user.
PATH = Path("/etc/udev/rules.d/70-coffret.rules")
_HEAD = """\
# Boards of coffret, for whoever sits at this machine. Written by `coffret udev --install`.
# ModemManager would talk to a serial port before we do.
"""
_PROBES = f'ATTRS{{product}}=="*{PROBE}*", MODE="0660", TAG+="uaccess"'


def rules() -> str:
    """The file: a line for each USB id of each board, and one for all debug probes."""
    return _HEAD + "".join(f"{line}\n" for line in (*sorted(set(_lines())), _PROBES))


def _lines() -> Iterator[str]:
    for name in boards.names():
        for usb_id in boards.load(name).host.usb_ids:
            match = (
                f'ATTRS{{idVendor}}=="{usb_id.vendor:04x}", '
                f'ATTRS{{idProduct}}=="{usb_id.product:04x}"'
            )
            yield f'{match}, MODE="0660", TAG+="uaccess", ENV{{ID_MM_DEVICE_IGNORE}}="1"'


def installed(path: Path = PATH) -> bool:
    """Whether the very rules of this version are in place."""
    try:
        return path.read_text(encoding="utf-8") == rules()
    except OSError:
        return False


def install(path: Path = PATH) -> Path:
    """Writes the rules and has udev read them. Raises CoffretError: only root may."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, rules().encode(), 0o644)
    except OSError as error:
        raise CoffretError(
            f"{path}: {error.strerror}: the rules were not installed",
            f"run it as root, or: coffret udev | sudo tee {path}",
            ENVIRONMENT,
        ) from error
    for words in (["control", "--reload"], ["trigger", "--subsystem-match=usb"]):
        try:
            subprocess.run(["udevadm", *words], check=False, capture_output=True)
        except FileNotFoundError:
            break  # no udev here: the rules wait for it
    return path
