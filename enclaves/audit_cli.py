# SPDX-License-Identifier: Apache-2.0
"""`coffret audit`: what an auditor can find out who has a bundle and nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import rich_click as click

from boards.answer import JSON
from enclaves.cli_parts import refuse


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Assertions of your own, in place of those in the bundle.",
)
@click.option("--full", is_flag=True, help="Print the whole policy, too, one capability a line.")
@JSON
def audit(bundle: Path, policy: Path | None, full: bool, as_json: bool) -> None:
    """Check BUNDLE as a whole, say what may flow in it, and hold it to its assertions.

    The images must be signed for the policy that is audited and for the assertions in the bundle;
    whose signature it is, `coffret inspect` says. Exit 1 when an assertion does not hold.
    """
    from boards.errors import NO  # noqa: PLC0415
    from enclaves import report  # noqa: PLC0415
    from enclaves.policy_text import policy_lines  # noqa: PLC0415
    from enclaves.proof import prove  # noqa: PLC0415
    from firmware.appliance.assertion_file import FILE_NAME, read_assertions  # noqa: PLC0415
    from firmware.appliance.problems import ApplianceError  # noqa: PLC0415
    from firmware.appliance.subject import bundle_policy  # noqa: PLC0415
    from firmware.bundle.auditor import bundle_assertions  # noqa: PLC0415
    from firmware.bundle.folder import load_bundle  # noqa: PLC0415

    found = load_bundle(bundle)
    held = bundle_policy(found)
    graph = held.graph
    try:
        asked = bundle_assertions(found) if policy is None else read_assertions(policy)
    except ApplianceError as error:
        refuse(error, as_json)
    if policy is not None and asked is None:
        raise click.UsageError(f"{policy}: no such file")
    problems = asked.problems(graph) if asked else []
    proof = prove(graph)
    count = len(asked.asked) if asked else 0
    if as_json:
        document = {
            "appliance": found.facts.appliance,
            "version": found.facts.version,
            "policy": found.facts.digests.policy,
            "assertions": count,
            "ok": not problems and proof.legal,
            "problems": [problem.as_json() for problem in problems],
            **report.as_json(graph, proof),
        }
        if full:
            document["lines"] = list(policy_lines(held))
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for line in policy_lines(held) if full else ():
            click.echo(line)
        for line in report.sentences(graph, proof) or [report.NO_DATA]:
            click.echo(line)
        noun = "assertion" if count == 1 else "assertions"
        if asked is None:
            click.echo(f"the bundle has no {FILE_NAME}")
        elif not problems:
            click.echo(f"{count} {noun} of {asked.path.name}: all hold")
    for problem in problems:
        click.echo(str(problem), err=True)
    if problems or not proof.legal:
        sys.exit(NO)
