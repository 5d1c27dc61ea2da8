# SPDX-License-Identifier: Apache-2.0
"""What verbs print: results on stdout, what happens meanwhile on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import rich_click as click

from flasher.smp_session import Progress

_PLAIN_STEP = 25


def say(line: str) -> None:
    """One line on what happens."""
    click.echo(line, err=True)


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A bar on a terminal, a line every quarter elsewhere."""
    if not sys.stderr.isatty():
        yield _plain(what)
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain(what: str) -> Progress:
    told = 0

    def report(done: int, total: int) -> None:
        nonlocal told
        percent = 100 * done // max(total, 1)
        if percent >= told + _PLAIN_STEP:
            told = percent - percent % _PLAIN_STEP
            say(f"{what}: {told} %")

    return report
