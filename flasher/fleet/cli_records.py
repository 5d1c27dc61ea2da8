# SPDX-License-Identifier: Apache-2.0
"""`coffret fleet`: what the inventory knows of the boards, and what a person decides about one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from boards.answer import JSON, tell
from boards.errors import USAGE, CoffretError
from flasher.fleet.cli import DATABASE

if TYPE_CHECKING:
    from attest.inventory import Inventory
    from attest.units import Unit

UNIT = click.argument("wanted", metavar="BOARD")


def mount(fleet: click.Group) -> None:
    """Add these verbs to `coffret fleet`."""
    for verb in (list_command, show_command, retire_command, readmit_command, audit_command):
        fleet.add_command(verb)


@click.command("list")
@click.option("--fleet", "name", help="Only this fleet.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "ndjson"]),
    default="table",
    show_default=True,
)
@DATABASE
@JSON
def list_command(name: str | None, form: str, database: str | None, as_json: bool) -> None:
    """List the boards of all fleets, for people, or as CSV or NDJSON for other programs."""
    from attest import open_inventory  # noqa: PLC0415
    from attest.units import Units  # noqa: PLC0415
    from flasher.fleet import export  # noqa: PLC0415

    inventory = open_inventory(database)
    found = Units(inventory).all(name)
    records = export.records(inventory, found)
    if form == "table" or as_json:
        tell(records, export.table(records), as_json)
        return
    click.echo(export.csv_text(records) if form == "csv" else export.ndjson(records), nl=False)


@click.command("show")
@UNIT
@DATABASE
@JSON
def show_command(wanted: str, database: str | None, as_json: bool) -> None:
    """Show a board (its name or serial number) and everything that was done to it."""
    from attest import open_inventory  # noqa: PLC0415
    from attest.units import Units  # noqa: PLC0415
    from flasher.fleet import export  # noqa: PLC0415

    inventory = open_inventory(database)
    unit = _unit(inventory, wanted)
    journal = Units(inventory).journal(serial=unit.serial)
    record = export.records(inventory, [unit])[0]
    lines = [f"{key}: {value}" for key, value in record.items() if value not in (None, {})]
    lines += [
        f"{export.moment(e.time)} {e.worker} {e.step} {e.event} {e.text}".rstrip() for e in journal
    ]
    tell(record | {"journal": [e.to_json() for e in journal]}, lines, as_json)


@click.command("retire")
@UNIT
@DATABASE
@JSON
def retire_command(wanted: str, database: str | None, as_json: bool) -> None:
    """Take a board out of service for good: its endorsement is withdrawn."""
    from attest import open_inventory  # noqa: PLC0415
    from attest.units import Units  # noqa: PLC0415

    inventory = open_inventory(database)
    unit = _unit(inventory, wanted)
    Units(inventory).retire(unit)
    tell({"retired": unit.name}, [f"{unit.name} is retired"], as_json)


@click.command("readmit")
@UNIT
@DATABASE
@JSON
def readmit_command(wanted: str, database: str | None, as_json: bool) -> None:
    """End a board's quarantine, or its retirement: the next command takes it again."""
    from attest import open_inventory  # noqa: PLC0415
    from attest.units import Units  # noqa: PLC0415

    inventory = open_inventory(database)
    unit = _unit(inventory, wanted)
    Units(inventory).readmit(unit)
    tell({"readmitted": unit.name}, [f"{unit.name} is readmitted"], as_json)


@click.command("audit")
@click.option("--subject", help="Only what was done to this board or fleet.")
@DATABASE
@JSON
def audit_command(subject: str | None, database: str | None, as_json: bool) -> None:
    """Show the audit log: who did what, when, with which key."""
    from attest import audit, open_inventory  # noqa: PLC0415
    from flasher.fleet import export  # noqa: PLC0415

    entries = list(audit.entries(open_inventory(database).engine, subject))
    lines = [
        f"{export.moment(e.time)} {e.who} {e.what} {e.subject}"
        + (f" with the key {e.key.hex()[:16]}…" if e.key else "")
        for e in entries
    ]
    tell([e.to_json() for e in entries], lines or ["nothing yet"], as_json)


def _unit(inventory: Inventory, wanted: str) -> Unit:
    from attest.units import Units  # noqa: PLC0415

    unit = Units(inventory).unit(wanted)
    if unit is None:
        raise CoffretError(
            f"no fleet has a board {wanted!r}", "coffret fleet list names them", USAGE
        )
    return unit
