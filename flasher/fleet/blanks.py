# SPDX-License-Identifier: Apache-2.0
"""New boards in their ROM boot loader: they get boot, a secret, and the image of their group.

Such a board has no identity yet, so there is no unit to lease: whoever holds its USB device has it.
What is cut short leaves it in its boot loader, or in boot's recovery, and the next run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

from boards.errors import CoffretError
from firmware.appliance.problems import Problem
from flasher import rom
from flasher.board_secrets import SecretSource
from flasher.discovery import Device
from flasher.flash import BACK_S, Flashed, Say
from flasher.fleet.bundles import FleetBundle
from flasher.fleet.config import FleetFile, FleetFileError
from flasher.fleet.reach import Reach
from flasher.rom import Opener

_POLL_S = 0.25
Write: TypeAlias = Callable[[Device, FleetBundle], Flashed]


@dataclass(frozen=True, slots=True)
class Blank:
    """A board in its ROM boot loader, and the group whose bundle it gets."""

    device: Device
    group: str


def find(
    file: FleetFile, bundles: Mapping[str, FleetBundle], devices: Iterable[Device]
) -> tuple[Blank, ...]:
    """The blanks among `devices`, each with the one group with `match` that is for such a board.

    A group with a CSV file names its boards by serial number, which a blank one does not have.
    Raises FleetFileError: several groups could have it.
    """
    found: list[Blank] = []
    problems: list[Problem] = []
    for device in devices:
        if device.mode != "rom" or device.kind != "bus":
            continue
        groups = [
            group.name
            for group in file.groups
            if group.match is not None and bundles[group.name].bundle.board in device.boards
        ]
        if len(groups) > 1:
            problems.append(
                file.problem(
                    ("group", groups[1]),
                    f"the new board {device.name} could be of {' or '.join(groups)}",
                    f"write it yourself: coffret flash BUNDLE --port {device.path}",
                )
            )
        found += [Blank(device, group) for group in groups]
    if problems:
        raise FleetFileError(problems)
    return tuple(found)


def write(
    blanks: Iterable[Blank],
    bundles: Mapping[str, FleetBundle],
    at_once: int,
    say: Say,
    write_one: Write,
) -> dict[str, str | None]:
    """Writes all of them, `at_once` at a time. What went wrong, by the board's name; None: nothing.

    A failure is the one board's; the others go on.
    """

    def one(blank: Blank) -> tuple[str, str | None]:
        name = blank.device.name
        try:
            done = write_one(blank.device, bundles[blank.group])
        except CoffretError as error:
            say(f"{name}: {error.message}; {error.mend}")
            return name, f"{error.message}; {error.mend}"
        what = f"{bundles[blank.group].bundle.appliance} {done.version}"
        say(f"{name}: a new board of {blank.group}: boot and {what} are written")
        return name, None

    with ThreadPoolExecutor(at_once) as pool:
        return dict(pool.map(one, blanks))


def wait_for_ports(before: Reach, count: int, look: Callable[[], Reach]) -> Reach:
    """What is at hand once `count` more boards are than `before`, or BACK_S have passed."""
    deadline = time.monotonic() + BACK_S
    while True:
        reach = look()
        if len(reach.ports) >= len(before.ports) + count or time.monotonic() > deadline:
            return reach
        time.sleep(_POLL_S)


def writer(secret: SecretSource, opener: Opener = rom.open_transport) -> Write:
    """Writes one board, with one of `secret` if it has none of its own."""

    def write_one(device: Device, bundle: FleetBundle) -> Flashed:
        # Lines of several boards at once would not say whose they are.
        return rom.flash(
            device,
            bundle.bundle,
            lambda _line: None,
            lambda _done, _total: None,
            secret=secret,
            opener=opener,
        )

    return write_one
