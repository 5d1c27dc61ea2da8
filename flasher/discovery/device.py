# SPDX-License-Identifier: Apache-2.0
"""One board as the computer sees it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Mode = Literal["application", "recovery", "rom", "probe", "off", "unknown"]
SMP = "smp-serial"  # the transport of a board that runs boot's recovery or an image
Kind = Literal["virtual", "usb", "drive", "bus", "probe"]


@dataclass(frozen=True, slots=True)
class Device:
    """A way to a board.

    `path`: what `--port` takes: a serial port, a drive's folder, `usb:PLACE` or `probe:PLACE`.
    `name`: the same whenever the same board is plugged in. `boards`: those it may be (a boot ROM
    is the part's, not the board's). `transport`: the one that serves it in its mode. `location`:
    the place on the USB bus. `ready` is False when something must be mended first, `mend` says
    what.
    """

    path: str
    name: str
    kind: Kind
    says: str
    boards: tuple[str, ...]
    mode: Mode
    transport: str | None
    serial: str | None = None
    location: str | None = None
    mend: str | None = None

    @property
    def known(self) -> bool:
        """Whether it is, or may be, a board of coffret."""
        return bool(self.boards)

    def answers_for(self, board: str) -> bool:
        """Whether SMP is spoken there, by a board of that name."""
        return self.transport == SMP and board in self.boards

    @property
    def ready(self) -> bool:
        """Whether it can be used as it is."""
        return self.mend is None

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "boards": list(self.boards), "known": self.known}
