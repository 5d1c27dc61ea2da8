# SPDX-License-Identifier: Apache-2.0
"""Which units this computer can reach, and at which port."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from flasher import ports
from flasher.discovery import SMP


@dataclass(frozen=True, slots=True)
class Reach:
    """Ports by serial number, and the serial numbers that more than one board shows."""

    ports: Mapping[str, str]
    doubles: Mapping[str, tuple[str, ...]]

    def matching(self, pattern: str) -> list[str]:
        """Serial numbers at hand that `pattern` (with * and ?) fits, sorted."""
        return sorted(s for s in (*self.ports, *self.doubles) if fnmatchcase(s, pattern))


def look() -> Reach:
    """What is at hand now. Two boards with one serial number are not reachable by it."""
    found: dict[str, list[str]] = defaultdict(list)
    for port in ports.find():
        if port.serial is not None and port.known and port.transport == SMP:
            found[port.serial].append(port.path)
    return Reach(
        ports={serial: paths[0] for serial, paths in found.items() if len(paths) == 1},
        doubles={serial: tuple(paths) for serial, paths in found.items() if len(paths) > 1},
    )
