# SPDX-License-Identifier: Apache-2.0
"""`coffret grant sign` and `coffret grant show`: an owner's consent, made and read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import rich_click as click

from boards.answer import JSON
from enclaves.cli_parts import APPLIANCE, refuse

DEFAULT_DAYS = 365


@click.group()
def grant() -> None:
    """An owner's signed word that a gate may release their data."""


@grant.command()
@APPLIANCE
@click.argument("gate")
@click.option(
    "--key",
    "key_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The owner's private key (PEM).",
)
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day, UTC. Default: a year.")
@click.option("--out", type=click.Path(path_type=Path), help="Default: the manifest's `grant`.")
@JSON
def sign(
    appliance: Path,
    gate: str,
    key_file: Path,
    until: datetime | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Sign the grant of GATE (such as coach.weekly) for the code as it is now."""
    from firmware.appliance.consent import sign_grant  # noqa: PLC0415
    from firmware.appliance.problems import ApplianceError  # noqa: PLC0415

    if until is None:
        expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=DEFAULT_DAYS)
    else:
        expires = until.replace(tzinfo=UTC) + timedelta(days=1)
    try:
        path, signed, words = sign_grant(appliance, gate, key_file, expires, out)
    except ApplianceError as error:
        refuse(error, as_json)
    if as_json:
        document = {"file": str(path), "digest": signed.digest.hex(), "says": words}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(words)
        click.echo(f"signed: {path}")


@grant.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@JSON
def show(file: Path, as_json: bool) -> None:
    """Say what the grant in FILE allows. Whose signature it is, `coffret check` decides."""
    from boards.errors import USAGE, CoffretError  # noqa: PLC0415
    from enclaves import grants  # noqa: PLC0415

    try:
        with file.open("rb") as opened:
            signed = grants.read(opened.read(grants.MAX_BYTES + 1))
    except (OSError, grants.GrantError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        mend = "name a file that `coffret grant sign` wrote"
        raise CoffretError(f"{file}: {what}", mend, USAGE) from error
    held = signed.grant
    rows = {
        "appliance": held.appliance,
        "gate": held.gate,
        "kind": str(held.kind),
        "tags": sorted(held.tags),
        "at_most": held.budget.rate,
        "bytes": held.budget.size,
        "code": held.code.hex(),
        "expires": datetime.fromtimestamp(held.expires, UTC).isoformat(),
        "key": signed.signer.hex(),
        "digest": signed.digest.hex(),
        "verified": False,
    }
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for key, value in rows.items():
        click.echo(f"{key:10} {', '.join(value) if isinstance(value, list) else value}")
