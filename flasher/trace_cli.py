# SPDX-License-Identifier: Apache-2.0
"""The verb `coffret trace`: what went wrong on a board, in the words of its appliance's source."""

from __future__ import annotations

import json
from pathlib import Path

import rich_click as click

from boards.answer import JSON
from boards.errors import NO, USAGE, CoffretError


@click.command("trace")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--port", metavar="PORT", help="The board's port, if several are connected.")
@click.option(
    "--log",
    "saved",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A log that `coffret logs --save` wrote, instead of a board.",
)
@click.option(
    "--source",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The appliance: lines are shown of modules that are those of the image.",
)
@JSON
def trace_command(
    bundle: Path, port: str | None, saved: Path | None, source: Path | None, as_json: bool
) -> None:
    """Turn the faults in a board's log into tracebacks with files, lines and functions.

    The board must run one of BUNDLE's images. Exit 1: it runs another, or the symbol file is
    another's.
    """
    from firmware.bundle.folder import load_bundle  # noqa: PLC0415 - pydantic is slow to import
    from firmware.bundle.symbols import SYMBOLS_FILE, read_symbols  # noqa: PLC0415
    from firmware.bundle.trace import Entry, traces, unchanged  # noqa: PLC0415
    from flasher.logs import Dump  # noqa: PLC0415
    from flasher.ports import choose  # noqa: PLC0415
    from flasher.smp import Board  # noqa: PLC0415

    if saved is not None and port is not None:
        raise click.UsageError("--port and --log do not go together")
    facts = load_bundle(bundle, unsigned=True).facts
    if SYMBOLS_FILE not in facts.contents:
        raise CoffretError(
            f"{bundle}: has no symbol file",
            "build it anew; `coffret logs` shows what the board said",
            USAGE,
        )
    images = (facts.digests.image_a, facts.digests.image_b)
    symbols = read_symbols(bundle / SYMBOLS_FILE, images)
    if saved is not None:
        dump = Dump.load(saved)
    else:
        with Board.open(choose(port)) as board:
            dump = Dump.of(board)
    if dump.image not in images:
        raise CoffretError(
            f"{bundle}: the log is of the image {dump.image[:16]}, which is none of this bundle",
            "name the bundle that the board runs",
            NO,
        )
    elf = bundle / "elf" / f"slot_{'ab'[images.index(dump.image)]}.elf"
    log = [Entry(each.ms, each.who, each.text) for each in dump.entries]
    found = traces(log, dump.image, symbols, elf)
    sources = unchanged(source, symbols) if source is not None else {}
    if as_json:
        document = [
            {
                "who": each.who,
                "ms": each.ms,
                "frames": [
                    {"file": f.file, "line": f.line, "function": f.function} for f in each.frames
                ],
                "said": list(each.said),
            }
            for each in found
        ]
        click.echo(json.dumps(document, indent=2))
        return
    for each in found:
        click.echo(f"{each.who}, {each.ms / 1000:.3f} s after the reset:")
        for line in each.lines(sources):
            click.echo(line)
    if not found:
        click.echo("the log has no fault")
