# SPDX-License-Identifier: Apache-2.0
"""How a campaign goes, for a person: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import rich_click as click

from attest.campaigns import DONE, FAILED, Campaigns, Job
from attest.inventory import Inventory
from attest.units import Units

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from flasher.fleet.worker import Activity

_REFRESH_S = 0.25
_ROWS = 40


class View(Protocol):
    """Something that shows a campaign."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def update(self, activities: Mapping[str, Activity]) -> None:
        """Shows what is new; quick when nothing is."""


def view(inventory: Inventory, campaign: str, names: Mapping[str, str]) -> View:
    """The view that fits where stderr goes. `names` by serial number."""
    if sys.stderr.isatty():
        return Table(inventory, campaign, names)
    return Lines(inventory, campaign, names, lambda line: click.echo(line, err=True))


class Lines:
    """A line for each step that is over."""

    def __init__(
        self,
        inventory: Inventory,
        campaign: str,
        names: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        self._units = Units(inventory)
        self._campaign = campaign
        self._names = names
        self._say = say
        self._last = max((e.id for e in self._units.journal(campaign=campaign)), default=0)
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._next = 0.0
        self.update({})

    def update(self, activities: Mapping[str, Activity]) -> None:
        del activities
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _REFRESH_S
        for entry in self._units.journal(campaign=self._campaign, after=self._last):
            self._last = entry.id
            if entry.event != "begin":
                name = self._names.get(entry.serial, entry.serial)
                text = f": {entry.text}" if entry.text else ""
                self._say(f"{name}: {entry.step} {entry.event}{text}")


class Table:
    """A row for each board that is worked on or failed; the others are counted."""

    def __init__(self, inventory: Inventory, campaign: str, names: Mapping[str, str]) -> None:
        self._campaigns = Campaigns(inventory)
        self._campaign = campaign
        self._names = names
        self._live: Live | None = None
        self._next = 0.0

    def __enter__(self) -> Self:
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415

        self._live = Live(console=Console(stderr=True), transient=True, refresh_per_second=8)
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._live is not None
        self._live.stop()

    def update(self, activities: Mapping[str, Activity]) -> None:
        if time.monotonic() < self._next or self._live is None:
            return
        self._next = time.monotonic() + _REFRESH_S
        self._live.update(self._table(self._campaigns.jobs(self._campaign), activities))

    def _table(self, jobs: list[Job], activities: Mapping[str, Activity]) -> RenderableType:
        from rich.table import Table as RichTable  # noqa: PLC0415

        counts = Counter(job.state for job in jobs)
        title = f"{counts[DONE]} of {len(jobs)} done, {counts[FAILED]} failed"
        table = RichTable(
            "board", "step", "written", "tries", "", title=title, title_justify="left"
        )
        shown = [j for j in jobs if j.serial in activities or (j.why and j.state != DONE)]
        for job in shown[:_ROWS]:
            activity = activities.get(job.serial)
            step = job.state if activity is None else activity.step
            table.add_row(
                self._names.get(job.serial, job.serial),
                step,
                _bar(activity),
                str(job.attempts or ""),
                job.why or "",
            )
        if len(shown) > _ROWS:
            table.add_row(f"... and {len(shown) - _ROWS} more")
        return table


def _bar(activity: Activity | None) -> str:
    if activity is None or not activity.total:
        return ""
    filled = 20 * activity.done // activity.total
    return "#" * filled + "." * (20 - filled)
