# SPDX-License-Identifier: Apache-2.0
"""Verbs about what an appliance may do: `new`, `check`, `flows`, `grant`.

A verb is a part of the front door: it alone may bring packages together that do not know each
other. The modules of `enclaves` import nothing of ours.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import rich_click as click

if TYPE_CHECKING:
    from enclaves.report import Consent
    from firmware.manifest import Manifest
    from firmware.problems import ApplianceError, Problem

APPLIANCE = click.argument("appliance", type=click.Path(path_type=Path))
BOARD = click.option("--board", help="Check that it fits this board, too.")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def mount(group: click.Group) -> None:
    """Add this package's verbs to the front door."""
    from enclaves.grant_cli import grant  # noqa: PLC0415 - it imports this module

    group.add_command(new)
    group.add_command(check)
    group.add_command(flows)
    group.add_command(grant)


@click.command()
@click.argument("name")
@click.option("--in", "folder", type=click.Path(path_type=Path), default=Path(), help="Where.")
@JSON
def new(name: str, folder: Path, as_json: bool) -> None:
    """Make a small working appliance in the folder NAME."""
    from firmware.scaffold import make_appliance  # noqa: PLC0415

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
    """Check the manifest, the flows, the grants and the modules of APPLIANCE.

    Exit 0: all is well. 1: a flow is illegal, a grant is missing, or a module has a type error.
    2: the manifest is wrong, or the board lacks something.
    """
    from firmware.problems import ApplianceError  # noqa: PLC0415
    from firmware.verdict import check_appliance  # noqa: PLC0415

    try:
        manifest = check_appliance(appliance, board)
    except ApplianceError as error:
        refuse(error, as_json)
    ends = len(manifest.enclaves), len(manifest.channels), len(manifest.gates)
    nouns = zip(ends, ("enclave", "channel", "gate"), strict=True)
    counted = ", ".join(f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in nouns)
    if as_json:
        document = {"ok": True, "appliance": manifest.appliance.name, "problems": []}
        click.echo(json.dumps(document, indent=2))
    else:
        version = f"{manifest.appliance.name} {manifest.appliance.version}"
        click.echo(f"{version}: {counted}; every flow is legal")


@click.command()
@APPLIANCE
@BOARD
@JSON
def flows(appliance: Path, board: str | None, as_json: bool) -> None:
    """Say what can happen to whose data: for each tag, how it can leave.

    Exit 1 when a flow is illegal or a gate has no grant.
    """
    from boards.errors import NO  # noqa: PLC0415
    from enclaves import report  # noqa: PLC0415
    from enclaves.proof import prove  # noqa: PLC0415
    from firmware import flows as manifest_flows  # noqa: PLC0415
    from firmware.manifest import load  # noqa: PLC0415
    from firmware.problems import ApplianceError  # noqa: PLC0415

    try:
        manifest = load(appliance)
        _fit(manifest, board)
    except ApplianceError as error:
        refuse(error, as_json)
    graph = manifest_flows.flow_graph(manifest)
    proof = prove(graph)
    consents, ungranted = _consents(manifest)
    problems = [*manifest_flows.flow_problems(manifest, graph, proof), *ungranted]
    if as_json:
        document = report.as_json(graph, proof)
        document["ungranted"] = [problem.as_json() for problem in ungranted]
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for line in report.sentences(graph, proof, consents) or ["There is no labelled data."]:
            click.echo(line)
    for problem in problems:
        click.echo(str(problem), err=True)
    if problems:
        sys.exit(NO)


def refuse(error: ApplianceError, as_json: bool) -> NoReturn:
    """Print every problem, one a line, as JSON if wanted, and exit with the error's code."""
    if as_json:
        problems = [problem.as_json() for problem in error.problems]
        document = {"ok": False, "problems": problems}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    for problem in error.problems:
        click.echo(str(problem), err=True)
    sys.exit(error.exit_code)


def _fit(manifest: Manifest, board: str | None) -> None:
    if board is not None:
        from boards.model import load  # noqa: PLC0415
        from firmware.plan import make_plan  # noqa: PLC0415

        make_plan(manifest, load(board))


def _consents(manifest: Manifest) -> tuple[dict[str, Consent], list[Problem]]:
    from datetime import UTC, datetime  # noqa: PLC0415

    from firmware.flows import consents_of, verified_grants  # noqa: PLC0415

    verified, problems = verified_grants(manifest, datetime.now(UTC))
    return consents_of(manifest, verified), problems
