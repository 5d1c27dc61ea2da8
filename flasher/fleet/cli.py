# SPDX-License-Identifier: Apache-2.0
"""`coffret fleet`: many boards at once."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import rich_click as click

from boards.answer import JSON, tell
from boards.errors import ENVIRONMENT, NO, CoffretError
from flasher.cli_options import KEYS, SECRET_KEY, SECRETS

if TYPE_CHECKING:
    from flasher.board_secrets import SecretSource

Command: TypeAlias = Callable[..., None]

DATABASE = click.option(
    "--database", help="Inventory: a file, or a PostgreSQL URL for many computers."
)
FILE = click.argument("file", type=click.Path(path_type=Path, exists=True), metavar="FLEET.toml")
PORTS = click.option(
    "--ports", type=click.IntRange(1, 256), default=8, show_default=True, help="Boards at once."
)
LEASE = click.option(
    "--lease",
    "lease_s",
    type=click.FloatRange(1, 3600),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="A worker that is silent for so long loses its boards to the others.",
)
WORKER = click.option("--worker", help="This worker's name; default: user@host.")
LABELS = click.option(
    "--labels", metavar="'FOLDER/*.pdf'", help="Make a label for each board; * is its name."
)


@dataclass(frozen=True, slots=True)
class Options:
    """What provision, update and attest have in common."""

    file: Path
    dry_run: bool
    resume: bool
    wait_s: float
    ports: int
    lease_s: float
    worker: str | None
    folder: Path | None
    database: str | None
    as_json: bool


def _campaign(command: Command) -> Command:
    """The options of a command that works on boards."""
    decorators = (
        FILE,
        click.option("--dry-run", is_flag=True, help="Show the plan and do nothing."),
        click.option("--resume", is_flag=True, help="Go on with what was halted."),
        click.option(
            "--wait",
            "wait_s",
            type=click.FloatRange(0),
            default=5.0,
            show_default=True,
            metavar="SECONDS",
            help="How long to wait for boards that nobody has at hand.",
        ),
        PORTS,
        LEASE,
        WORKER,
        KEYS,
        DATABASE,
        JSON,
    )
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


@click.group("fleet")
def fleet() -> None:
    """Provision, update and attest many boards at once."""


@fleet.command("plan")
@FILE
@DATABASE
@JSON
def plan_command(file: Path, database: str | None, as_json: bool) -> None:
    """Show what `fleet provision` would do."""
    options = Options(file, True, False, 0, 1, 1, None, None, database, as_json)
    _work("provision", options)


@fleet.command("provision")
@_campaign
@LABELS
@SECRETS
@SECRET_KEY
@click.pass_context
def provision_command(
    context: click.Context,
    /,
    labels: str | None,
    secrets: Path | None,
    secret_key: str | None,
    **options: object,
) -> None:
    """Flash, endorse, secure and attest every board of FLEET.toml. Go on by repeating it.

    New boards in their USB boot loader get boot first, if one group with `match` is for them.
    """
    from flasher.board_secrets import source_of  # noqa: PLC0415

    secret = source_of(secrets, secret_key)
    good = _work("provision", Options(**options), labels=labels, secret=secret)  # type: ignore[arg-type]
    context.exit(0 if good else NO)


@fleet.command("update")
@_campaign
@click.option("--allow-widening", is_flag=True, help="Let data flow where it did not before.")
@click.pass_context
def update_command(context: click.Context, /, allow_widening: bool, **options: object) -> None:
    """Update the boards of FLEET.toml in stages: canaries first; halt when attestations fail."""
    good = _work("update", Options(**options), allow_widening=allow_widening)  # type: ignore[arg-type]
    context.exit(0 if good else NO)


@fleet.command("attest")
@_campaign
@click.pass_context
def attest_command(context: click.Context, /, **options: object) -> None:
    """Ask every board of FLEET.toml for fresh evidence. Exit 0: all are trusted."""
    good = _work("attest", Options(**options))  # type: ignore[arg-type]
    context.exit(0 if good else NO)


def _work(
    kind: str,
    options: Options,
    *,
    labels: str | None = None,
    allow_widening: bool = False,
    secret: SecretSource | None = None,
) -> bool:
    """A campaign from its file to its summary; whether all is well. `secret`: for new boards."""
    from attest import keys, open_inventory  # noqa: PLC0415
    from flasher import console, discovery  # noqa: PLC0415
    from flasher.fleet import blanks  # noqa: PLC0415
    from flasher.fleet import plan as plans  # noqa: PLC0415
    from flasher.fleet.config import load  # noqa: PLC0415
    from flasher.fleet.reach import look  # noqa: PLC0415

    file = load(options.file)
    inventory = open_inventory(options.database)
    reach = look()
    plan = plans.make(kind, file, inventory, reach)
    new = () if secret is None else blanks.find(file, plan.bundles, discovery.find())
    if options.dry_run:
        for blank in new:
            console.say(f"{blank.device.name}: a new board of {blank.group}: boot and image")
        tell(_plan_json(plan), _plan_lines(plan), options.as_json)
        return True
    _require_engine()
    failed: dict[str, str] = {}
    if new and secret is not None:
        writer = blanks.writer(secret)
        written = blanks.write(new, plan.bundles, options.ports, console.say, writer)
        failed = {name: why for name, why in written.items() if why is not None}
        reach = blanks.wait_for_ports(reach, len(written) - len(failed), look)
        plan = plans.make(kind, file, inventory, reach)
    from flasher.fleet import run as running  # noqa: PLC0415
    from flasher.fleet.worker import Settings  # noqa: PLC0415

    operator = keys.load_or_create("operator", options.folder)
    if operator.created:
        console.say(f"made the operator's key: {operator.path}; keep it safe")
    campaign = running.begin(
        plan, inventory, operator.private, allow_widening=allow_widening, resume=options.resume
    )
    name = options.worker or running.default_worker()
    lease_ms = int(options.lease_s * 1000)
    settings = Settings(name, options.ports, lease_ms, campaign.id, labels)
    summary = running.run(plan, campaign, inventory, operator.private, settings, options.wait_s)
    summary = replace(summary, failed=failed | summary.failed)
    tell(summary.to_json(), summary.lines(), options.as_json)
    return summary.good


def _plan_json(plan: object) -> dict[str, object]:
    from flasher.fleet.plan import Plan  # noqa: PLC0415

    assert isinstance(plan, Plan)
    return {
        "kind": plan.kind,
        "fleet": plan.file.fleet.name,
        "boards": [entry.to_json() for entry in plan.entries],
        "widens": {group: list(what) for group, what in plan.wider.items()},
    }


def _plan_lines(plan: object) -> list[str]:
    from flasher.fleet.plan import Plan  # noqa: PLC0415

    assert isinstance(plan, Plan)
    lines = []
    for entry in plan.entries:
        bundle = plan.bundles[entry.group].bundle
        what = entry.skipped or f"{plan.kind} {bundle.appliance} {bundle.version}"
        stage = f"stage {entry.stage}" if plan.kind == "update" else ""
        where = entry.port or "not at hand"
        lines.append(f"{entry.name:<24} {entry.group:<16} {stage:<9} {where:<16} {what}")
    for group, widenings in plan.wider.items():
        lines += [f"{group}: widens the flows: {what}" for what in widenings]
    return lines or ["no boards: name them in a CSV file, or plug in some that `match` fits"]


@fleet.command("worker")
@PORTS
@LEASE
@WORKER
@LABELS
@KEYS
@DATABASE
def worker_command(
    ports: int,
    lease_s: float,
    worker: str | None,
    labels: str | None,
    folder: Path | None,
    database: str | None,
) -> None:
    """Take the jobs of the boards at hand, whoever began them, until Ctrl-C."""
    from attest import keys, open_inventory  # noqa: PLC0415
    from flasher import console  # noqa: PLC0415

    _require_engine()
    from flasher.fleet.run import default_worker  # noqa: PLC0415
    from flasher.fleet.worker import Settings, Worker  # noqa: PLC0415

    operator = keys.load("operator", folder).private
    name = worker or default_worker()
    settings = Settings(name, ports, int(lease_s * 1000), None, labels)
    with Worker(open_inventory(database), operator, settings) as running:
        console.say(f"{name}: {len(running.reachable())} boards at hand; stop it with Ctrl-C")
        try:
            running.run(lambda: True)
        except KeyboardInterrupt:
            console.say(f"{name}: stopped; what was begun goes on where it was")


@fleet.command("virtual")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("-n", "count", type=click.IntRange(1, 256), default=4, show_default=True)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder that keeps the boards; it gets a fleet.toml for them.",
)
@JSON
def virtual_command(bundle: Path, count: int, state: Path, as_json: bool) -> None:
    """Run virtual boards that boot BUNDLE's boot, blank at first, until Ctrl-C."""
    import signal  # noqa: PLC0415
    from dataclasses import asdict  # noqa: PLC0415

    from flasher import console  # noqa: PLC0415
    from flasher.bundle import read_bundle  # noqa: PLC0415
    from flasher.fleet import virtual  # noqa: PLC0415

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the emulators end with us
    with virtual.fleet(read_bundle(bundle), count, state) as running:
        lines = [f"{board.run.name:<20} {board.port}" for board in running]
        lines += [f"provision them: coffret fleet provision {state / 'fleet.toml'}"]
        tell([asdict(board.run) for board in running], lines, as_json)
        sys.stdout.flush()
        try:
            signal.pause()
        except KeyboardInterrupt:
            console.say(f"{count} boards are off; the same command switches them on again")


def _require_engine() -> None:
    """Raises CoffretError when the workflow engine is not installed."""
    if importlib.util.find_spec("dbos") is None:
        raise CoffretError(
            "fleet work needs the package dbos, which is not installed",
            'install it: pip install "coffret[fleet]"',
            ENVIRONMENT,
        )
