# SPDX-License-Identifier: Apache-2.0
"""Verbs of the `boards` package: `coffret boards`, `coffret boards show NAME`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import rich_click as click

if TYPE_CHECKING:
    from boards.model import Board


def mount(group: click.Group) -> None:
    """Add this package's verbs to the front door."""
    group.add_command(boards)


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def boards(context: click.Context, as_json: bool) -> None:
    """The boards coffret knows."""
    if context.invoked_subcommand is not None:
        return
    from boards.model import load, names  # noqa: PLC0415 - pydantic is slow to import

    known = [load(name) for name in names()]
    if as_json:
        click.echo(json.dumps([_summary(board) for board in known], indent=2))
        return
    width = max(len(board.name) for board in known)
    for board in known:
        click.echo(f"{board.name:{width}}  {board.title}")


@boards.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def show(name: str, as_json: bool) -> None:
    """Everything known of one board."""
    from boards.model import load  # noqa: PLC0415 - pydantic is slow to import

    board = load(name)
    if as_json:
        click.echo(board.model_dump_json(indent=2))
        return
    click.echo(f"{board.name}: {board.title}")
    slot = board.flash.slot_a.size
    rows = {
        "core": f"{board.core}, {board.clock_hz / 1e6:g} MHz",
        "mpu": f"{board.mpu.flavour}, {board.mpu.regions} regions",
        "ram": f"{board.memory.ram.size // 1024} KiB at {board.memory.ram.base:#010x}",
        "slots": f"2 x {slot // 1024} KiB, erase block {board.flash.erase_size} bytes",
        "identity": f"root {board.security.root}: {board.security.note}",
        "devices": ", ".join(f"{key} ({device.kind})" for key, device in board.device.items()),
        "pins": ", ".join(board.pins.by_name),
        "sinks": ", ".join(f"{stream.name} ({stream.says})" for stream in board.stream),
        "reached by": ", ".join(board.host.transports),
        "facts from": board.source,
    }
    for key, value in rows.items():
        click.echo(f"  {key:10}  {value or 'none'}")


def _summary(board: Board) -> dict[str, object]:
    return {
        "name": board.name,
        "title": board.title,
        "core": board.core,
        "slot_bytes": board.flash.slot_a.size,
        "ram_bytes": board.memory.ram.size,
        "devices": sorted(board.device),
        "sinks": [stream.name for stream in board.stream],
        "transports": list(board.host.transports),
        "emulated": board.emulator is not None,
    }
