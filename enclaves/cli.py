# SPDX-License-Identifier: Apache-2.0
"""Verbs about what an appliance may do: `new`, `check`, `flows`, `audit`, `grant`.

A verb is a part of the front door: it alone may bring packages together that do not know each
other. The modules of `enclaves` import nothing of ours.
"""

from __future__ import annotations

import json
from pathlib import Path

import rich_click as click

from boards.answer import JSON
from enclaves.audit_cli import audit
from enclaves.cli_parts import APPLIANCE, BOARD, refuse
from enclaves.flows_cli import flows
from enclaves.grant_cli import grant


def mount(group: click.Group) -> None:
    """Add this package's verbs to the front door."""
    group.add_command(new)
    group.add_command(check)
    group.add_command(flows)
    group.add_command(audit)
    group.add_command(grant)


@click.command()
@click.argument("name")
@click.option("--in", "folder", type=click.Path(path_type=Path), default=Path(), help="Where.")
@JSON
def new(name: str, folder: Path, as_json: bool) -> None:
    """Make a small working appliance in the folder NAME."""
    from firmware.appliance.scaffold import make_appliance  # noqa: PLC0415

    files = make_appliance(name, folder)
    if as_json:
        click.echo(json.dumps({"files": [str(path) for path in files]}))
        return
    for path in files:
        click.echo(f"made {path}")
    click.echo(f"next: coffret check {folder / name}")


@click.command()
@APPLIANCE
@BOARD
@JSON
def check(appliance: Path, board: str | None, as_json: bool) -> None:
    """Check the manifest, the flows, the grants, `policy.toml` and the modules of APPLIANCE.

    Exit 0: all is well. 1: a flow is illegal, a grant is missing, an assertion of `policy.toml` is
    broken, a raw message may pass a gate that is not `raw`, or a module has a type error.
    2: the manifest is wrong, or the board lacks something.
    """
    from firmware.appliance.problems import ApplianceError  # noqa: PLC0415
    from firmware.appliance.verdict import check_appliance  # noqa: PLC0415

    try:
        manifest = check_appliance(appliance, board)
    except ApplianceError as error:
        refuse(error, as_json)
    ends = len(manifest.enclaves), len(manifest.channels), len(manifest.gates)
    nouns = zip(ends, ("enclave", "channel", "gate"), strict=True)
    counted = ", ".join(f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in nouns)
    if as_json:
        from firmware.appliance import privileges  # noqa: PLC0415

        document = {
            "ok": True,
            "appliance": manifest.appliance.name,
            "problems": [],
            "privileged": [privileges.as_json(p) for p in privileges.privileged(manifest)],
        }
        click.echo(json.dumps(document, indent=2))
    else:
        version = f"{manifest.appliance.name} {manifest.appliance.version}"
        click.echo(f"{version}: {counted}; every flow is legal")
