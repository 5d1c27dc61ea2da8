# SPDX-License-Identifier: Apache-2.0
"""`coffret flows`: who can learn what, why, what an update would change, and a picture of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import rich_click as click

from boards.answer import JSON
from enclaves.cli_parts import BOARD, refuse
from enclaves.keys import write_atomically

if TYPE_CHECKING:
    from firmware.appliance.subject import Subject

NAMED = "an appliance, a bundle, or a bundle's policy.cbor"


@click.command()
@click.argument("appliance", required=False, type=click.Path(path_type=Path))
@BOARD
@click.option("--why", nargs=2, metavar="SRC SINK", help="Explain one path, or what blocks it.")
@click.option(
    "--diff",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="OLD NEW",
    help="What NEW allows that OLD did not.",
)
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Draw it into a file.")
@click.option(
    "--log",
    type=click.File(encoding="utf-8"),
    help="The releases in a device's log: the output of `coffret logs --json`; - for stdin.",
)
@click.option("--privileged", is_flag=True, help="Show the code that holds a gate.")
@JSON
def flows(
    appliance: Path | None,
    board: str | None,
    why: tuple[str, str] | None,
    diff: tuple[Path, Path] | None,
    svg: Path | None,
    log: TextIO | None,
    privileged: bool,
    as_json: bool,
) -> None:
    """Say what can happen to whose data: for each tag, how it can leave.

    APPLIANCE, OLD and NEW are an appliance, a bundle, or a bundle's policy.cbor.

    Exit 1 when a flow is illegal or a gate has no grant; with --why when there is no way; with
    --diff when NEW allows more than OLD.
    """
    from firmware.appliance.problems import ApplianceError  # noqa: PLC0415
    from firmware.appliance.subject import load_subject  # noqa: PLC0415

    if (appliance is None) == (diff is None):
        raise click.UsageError(f"name {NAMED}, or use --diff OLD NEW")
    if sum(each not in (None, False) for each in (why, diff, svg, log, privileged)) > 1:
        raise click.UsageError("--why, --diff, --svg, --log and --privileged do not go together")
    try:
        if diff is not None:
            sys.exit(_diff(load_subject(diff[0]), load_subject(diff[1]), as_json))
        assert appliance is not None
        subject = load_subject(appliance)
        _fit(subject, board)
        if why is not None:
            sys.exit(_why(subject, *why, as_json))
        if log is not None:
            _log(subject, log.read(), as_json)
        elif privileged:
            _privileged(subject, as_json)
        elif svg is not None:
            _draw(subject, svg, as_json)
        else:
            sys.exit(_report(subject, as_json))
    except ApplianceError as error:
        refuse(error, as_json)


def _report(subject: Subject, as_json: bool) -> int:
    from boards.errors import NO  # noqa: PLC0415
    from enclaves import report  # noqa: PLC0415
    from enclaves.proof import prove  # noqa: PLC0415
    from firmware.appliance.flows import flow_problems  # noqa: PLC0415

    graph = subject.policy.graph
    proof = prove(graph)
    if as_json:
        document = report.as_json(graph, proof)
        document["ungranted"] = [problem.as_json() for problem in subject.ungranted]
        _print(document)
    else:
        for line in report.sentences(graph, proof, subject.consents) or [report.NO_DATA]:
            click.echo(line)
    if subject.manifest is not None:
        for problem in (*flow_problems(subject.manifest, graph, proof), *subject.ungranted):
            click.echo(str(problem), err=True)
    return NO if proof.violations or subject.ungranted else 0


def _why(subject: Subject, source: str, sink: str, as_json: bool) -> int:
    from boards.errors import NO, USAGE, CoffretError  # noqa: PLC0415
    from enclaves.why import explain  # noqa: PLC0415

    graph = subject.policy.graph
    try:
        found = explain(graph, source, sink)
    except KeyError as error:
        known = ", ".join((*(tag.name for tag in graph.tags), *(node.name for node in graph.nodes)))
        what = f"there is no tag, enclave, device or sink {error.args[0]!r}"
        raise CoffretError(what, f"known are: {known}", USAGE) from None
    if as_json:
        paths = [list(trail.nodes) for trail in found.trails]
        _print(
            {"possible": found.possible, "legal": found.legal, "paths": paths, "why": found.lines}
        )
    else:
        for line in found.lines:
            click.echo(line)
    return 0 if found.possible else NO


def _diff(old: Subject, new: Subject, as_json: bool) -> int:
    from boards.errors import NO  # noqa: PLC0415
    from enclaves.widening import compare  # noqa: PLC0415

    changes = compare(old.policy, new.policy)
    widens = any(change.wider for change in changes)
    if as_json:
        listed = [{"wider": change.wider, "what": change.what} for change in changes]
        _print({"widens": widens, "changes": listed})
    else:
        for change in changes:
            click.echo(f"{'WIDER  ' if change.wider else '       '}{change.what}")
        if not changes:
            click.echo("nothing changes")
        else:
            click.echo(f"it {'WIDENS' if widens else 'does not widen'} what may flow")
    return NO if widens else 0


def _log(subject: Subject, text: str, as_json: bool) -> None:
    from dataclasses import asdict  # noqa: PLC0415

    from boards.errors import USAGE, CoffretError  # noqa: PLC0415
    from enclaves.timeline import LogError, releases  # noqa: PLC0415

    try:
        found = releases(subject.policy, text)
    except LogError as error:
        raise CoffretError(str(error), error.mend, USAGE) from error
    if as_json:
        _print({"releases": [asdict(release) for release in found]})
        return
    for release in found:
        click.echo(f"{release.ms / 1000:12.3f} s  {release.what}{_granted(subject, release.gate)}")
    if not found:
        click.echo("nothing was released since the board started, as far as its log goes back")


def _granted(subject: Subject, gate: str) -> str:
    consent = subject.consents.get(gate)
    return f", granted by {' and '.join(consent.owners)}" if consent else ""


def _privileged(subject: Subject, as_json: bool) -> None:
    from boards.errors import USAGE, CoffretError  # noqa: PLC0415
    from firmware.appliance import privileges  # noqa: PLC0415

    if subject.manifest is None:
        raise CoffretError("a policy has no code to show", "name the appliance's folder", USAGE)
    held = privileges.privileged(subject.manifest)
    if as_json:
        _print({"privileged": [privileges.as_json(entry) for entry in held]})
        return
    for line in [line for entry in held for line in privileges.words(entry)]:
        click.echo(line)
    if not held:
        click.echo("no enclave holds a gate")


def _draw(subject: Subject, file: Path, as_json: bool) -> None:
    from enclaves.picture import draw  # noqa: PLC0415

    write_atomically(file, draw(subject.policy, subject.consents).encode())
    if as_json:
        _print({"file": str(file)})
    else:
        click.echo(f"drew {file}")


def _fit(subject: Subject, board: str | None) -> None:
    if board is not None and subject.manifest is not None:
        from boards.model import load  # noqa: PLC0415
        from firmware.planning.planner import make_plan  # noqa: PLC0415

        make_plan(subject.manifest, load(board))


def _print(document: object) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
