# SPDX-License-Identifier: Apache-2.0
"""Verbs of the `boards` package: `coffret boards`, `coffret boards show NAME`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import rich_click as click

from boards.answer import JSON

if TYPE_CHECKING:
    from boards.model import Board


def mount(group: click.Group) -> None:
    """Add this package's verbs to the front door."""
    group.add_command(boards)


@click.group(invoke_without_command=True)
@JSON
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
@JSON
def show(name: str, as_json: bool) -> None:
    """Everything known of one board."""
    from boards.map import memory_map  # noqa: PLC0415 - pydantic is slow to import
    from boards.model import load  # noqa: PLC0415

    board = load(name)
    if as_json:
        places = [asdict(place) for place in memory_map(board)]
        document = board.model_dump(mode="json") | {"memory_map": places, "run_on": board.run_on}
        click.echo(json.dumps(document, indent=2))
        return
    click.echo("\n".join(_lines(board)))


def _lines(board: Board) -> Iterator[str]:
    from boards.map import memory_map  # noqa: PLC0415 - pydantic is slow to import

    yield f"{board.name}: {board.title}"
    for key, value in _capabilities(board).items():
        yield f"  {key:13}  {value or 'none'}"
    yield "  memory map"
    for place in memory_map(board):
        yield f"    {place.base:#010x}  {_size(place.size):>9}  {place.name}"
    yield "  nobody has shown"
    for what in board.not_shown:
        yield f"    {what}"


def _capabilities(board: Board) -> dict[str, str]:
    host = board.host
    blocks = ", ".join(f"{block.count} x {_size(block.size)}" for block in board.flash.blocks)
    return {
        "core": f"{board.core}, {board.clock_hz / 1e6:g} MHz",
        "mpu": f"{board.mpu.flavour}, {board.mpu.regions} regions",
        "secure world": "boot and keys" if board.secure_world else "",
        "identity": f"root {board.security.root}: {board.security.note}",
        "erase blocks": f"{blocks}; programmed by {board.flash.program_size}",
        "watchdog": "yes" if board.watchdog else "",
        "devices": ", ".join(f"{key} ({device.kind})" for key, device in board.device.items()),
        "pins": ", ".join(board.pins.by_name),
        "sinks": ", ".join(f"{stream.name} ({stream.says})" for stream in board.stream),
        "radio": board.radio.title if board.radio else "",
        "reached by": ", ".join(host.transports),
        "USB": ", ".join(
            f"{one.vendor:04x}:{one.product:04x} {one.says} ({one.mode})" for one in host.usb_ids
        ),
        "button": host.button or "",
        "type stubs": host.stubs or "",
        "run on": board.run_on,
        "facts from": board.source,
    }


def _size(size: int) -> str:
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


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
        "run_on": board.run_on,
    }
