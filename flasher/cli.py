# SPDX-License-Identifier: Apache-2.0
"""Verbs of the `flasher` package: run, flash, logs, provision, decommission, demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import rich_click as click

from boards.answer import JSON, tell
from boards.errors import NO
from boards.transports import TransportName
from flasher.cli_options import BUNDLE, INVENTORY, KEYS, PORT, SECRET_KEY, SECRETS
from flasher.trace_cli import trace_command

if TYPE_CHECKING:
    from flasher.virtual import VirtualBoard


def mount(group: click.Group) -> None:
    """Add this package's verbs to the front door."""
    from flasher import attest_cli, cli_devices  # noqa: PLC0415
    from flasher.fleet import cli_records  # noqa: PLC0415
    from flasher.fleet.cli import fleet  # noqa: PLC0415

    verbs = (
        run,
        flash,
        delta,
        logs,
        enclaves,
        trace_command,
        provision,
        decommission,
        attest_cli.attest_command,
        demo,
        fleet,
    )
    for verb in verbs:
        group.add_command(verb)
    cli_records.mount(fleet)
    cli_devices.mount(group)


@click.command()
@BUNDLE
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory that keeps the board; without it the board is thrown away at the end.",
)
@click.option("--blank", is_flag=True, help="A new board without an image, for recovery.")
@JSON
def run(bundle: Path, state: Path | None, blank: bool, as_json: bool) -> None:
    """Boot BUNDLE on a virtual board and show what it sends, until Ctrl-C."""
    from flasher.bundle import read_bundle  # noqa: PLC0415
    from flasher.run import serve  # noqa: PLC0415

    def ready(board: VirtualBoard) -> None:
        facts = board.run
        if as_json:
            tell(_run_json(facts), [], True)
            return
        click.echo(f"{facts.name}: {facts.board} runs; stop it with Ctrl-C", err=True)
        click.echo(f"  management (SMP)  {facts.port}", err=True)
        for path, stream in zip(facts.streams, board.board.stream, strict=True):
            click.echo(f"  {stream.name:<16}  {path}", err=True)

    output = sys.stderr if as_json else sys.stdout
    serve(
        read_bundle(bundle),
        state=state,
        blank=blank,
        ready=ready,
        output=output.buffer,
        terminal=output.isatty(),
    )


@click.command()
@click.argument("image", metavar="BUNDLE", type=click.Path(path_type=Path, exists=True))
@PORT
@click.option(
    "--transport",
    type=click.Choice(get_args(TransportName)),
    help="How to reach it; default: what serves the board as it is now.",
)
@click.option("--new", is_flag=True, help="A new board: give it a secret, forget its records.")
@click.option(
    "--at",
    metavar="ADDRESS",
    help="Only with --transport esptool: write the file BUNDLE at this address of the flash.",
)
@click.option("--radio", is_flag=True, help="Write BUNDLE's radio firmware to the radio module.")
@click.option(
    "--sha256",
    "pinned",
    metavar="HEX",
    help="Only with --at: the digest that the file must have, or nothing is written.",
)
@click.option(
    "--new-board",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Only write FILE (UF2 or HEX) for one new board's drive: boot, slot A, a fresh secret.",
)
@click.option(
    "--delta",
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE|BUNDLE",
    help="Send the difference to what runs: a file of `coffret delta`, or the bundle that runs.",
)
@SECRETS
@SECRET_KEY
@JSON
def flash(
    image: Path,
    port: str | None,
    transport: str | None,
    new: bool,
    at: str | None,
    pinned: str | None,
    radio: bool,
    new_board: Path | None,
    delta: Path | None,
    secrets: Path | None,
    secret_key: str | None,
    as_json: bool,
) -> None:
    """Flash a board with BUNDLE, or update it with one image file of it.

    A board that runs coffret is updated in its other slot; one in its ROM boot loader gets boot
    and slot A. What was written is read back, or hashed by the board.
    """
    from flasher import console, programming  # noqa: PLC0415
    from flasher.board_secrets import source_of  # noqa: PLC0415
    from flasher.delta import from_path  # noqa: PLC0415

    if new_board is not None:
        from flasher.checked_bundle import checked  # noqa: PLC0415
        from flasher.factory import save_new_board_file  # noqa: PLC0415

        with checked(image, console.say) as bundle:
            save_new_board_file(bundle, new_board)
        lines = [f"{new_board}: for one new board; remove it when the board has it"]
        tell({"file": str(new_board)}, lines, as_json)
        return
    if pinned is not None and at is None:
        raise click.UsageError("--sha256 pins a file that is written with --at")
    if radio and at is not None:
        raise click.UsageError("--radio has its address from the board: leave out --at")
    source = source_of(secrets, secret_key)
    with console.progress("writing") as progress:
        if at is not None or radio:
            if radio:
                written = programming.write_radio(image, port, console.say, progress)
            else:
                written = programming.write_file(
                    image, str(at), port, transport, console.say, progress, pinned=pinned
                )
            lines = [f"{written.bytes} bytes at {written.address:#x}: written and verified"]
            tell(written.to_json(), lines, as_json)
            return
        done = programming.flash(
            image,
            port,
            console.say,
            progress,
            transport=transport,
            new=new,
            secret=source,
            deltas=None if delta is None else from_path(delta),
        )
    what = "runs" if done.changed else "already ran"
    lines = [f"slot {done.slot} {what} {done.version}"]
    if done.saved:
        lines.append(f"{done.saved} bytes were not sent")
    tell(done.to_json(), lines, as_json)


@click.command()
@click.argument("old", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("new", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="The file to write: a zip archive with a delta for each slot.",
)
@JSON
def delta(old: Path, new: Path, output: Path, as_json: bool) -> None:
    """Make the difference between bundles OLD and NEW: what a board that runs OLD needs for NEW.

    `coffret flash NEW --delta FILE` sends it.
    """
    from flasher.bundle import read_bundle  # noqa: PLC0415
    from flasher.delta import between, write_deltas  # noqa: PLC0415

    target = read_bundle(new)
    made = between(read_bundle(old), target)
    write_deltas(made, output)
    rows = []
    for (start, end), data in zip((("A", "B"), ("B", "A")), made.each, strict=True):
        whole = len(target.slot_image("AB".index(end)).data)
        rows.append({"from": start, "to": end, "delta": len(data), "image": whole})
    lines = [
        f"slot {row['from']} to {row['to']}: {row['delta']} bytes instead of {row['image']}"
        for row in rows
    ]
    tell({"file": str(output), "deltas": rows}, lines, as_json)


@click.command()
@PORT
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it to FILE too, with the image it is of: for `coffret trace --log`.",
)
@JSON
def logs(port: str | None, save: Path | None, as_json: bool) -> None:
    """Show what a board's log remembers: seconds since its reset, who, and what."""
    from dataclasses import asdict  # noqa: PLC0415

    from flasher import logs as device_log  # noqa: PLC0415
    from flasher.ports import choose  # noqa: PLC0415
    from flasher.smp import Board  # noqa: PLC0415

    with Board.open(choose(port)) as board:
        if save is None:
            entries = device_log.read(board)
        else:
            dump = device_log.Dump.of(board)
            dump.save(save)
            entries = dump.entries
    lines = [device_log.line(entry) for entry in entries] or ["the log is empty"]
    tell([asdict(entry) for entry in entries], lines, as_json)


@click.command()
@PORT
@JSON
def enclaves(port: str | None, as_json: bool) -> None:
    """Show how a board's enclaves are, and what each has used since the board's reset.

    Of an enclave with a secrecy label the processor time is not told.
    """
    from dataclasses import asdict  # noqa: PLC0415

    from flasher.ports import choose  # noqa: PLC0415
    from flasher.smp import Board  # noqa: PLC0415

    with Board.open(choose(port)) as board:
        told = board.enclaves()
    lines = [f"slot {'AB'[told.slot]}, {told.uptime_ms / 1000:.1f} s since the reset"]
    if told.store_erases is not None:
        lines.append("record store: banks erased {} and {} times".format(*told.store_erases))
    lines += [
        f"{each.name:<16} {each.state:<8} {each.cpu_ms:>10,} ms {each.memory:>10,} B"
        f"  faults {each.faults}, restarts {each.restarts}"
        for each in told.enclaves
    ]
    tell(asdict(told), lines, as_json)


@click.command()
@PORT
@click.option("--name", help="Name in the inventory; default: the start of its instance id.")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, exists=True),
    help="Do it all: flash the board with this bundle first, and attest it at the end.",
)
@click.option(
    "--label",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.pdf",
    help="Make a label with the board's identity as a QR code, a .pdf or .png file.",
)
@KEYS
@INVENTORY
@JSON
def provision(
    port: str | None,
    name: str | None,
    bundle: Path | None,
    label: Path | None,
    folder: Path | None,
    location: str | None,
    as_json: bool,
) -> None:
    """Endorse a board with the operator's key and put it into the inventory.

    With --bundle from a blank board to a trusted one; repeated, it goes on where it was cut short.
    """
    from attest import keys, open_inventory  # noqa: PLC0415
    from flasher import console  # noqa: PLC0415
    from flasher import label as labels  # noqa: PLC0415
    from flasher.ports import choose  # noqa: PLC0415
    from flasher.provision import provision as provisioning  # noqa: PLC0415

    operator = keys.load_or_create("operator", folder)
    if operator.created:
        console.say(f"made the operator's key: {operator.path}; keep it safe")
    inventory = open_inventory(location)
    if bundle is not None:
        from flasher.commission import commission  # noqa: PLC0415

        with console.progress("writing") as progress:
            whole = commission(
                bundle, port, operator.private, inventory, name, label, console.say, progress
            )
        made = whole.provisioned
        text = f"{made.name} ({made.board}) runs {whole.flashed.version}, {whole.verdict}"
        tell(whole.to_json(), [f"{text}: {made.device}"], as_json)
        return
    done = provisioning(choose(port), operator.private, inventory, name, console.say)
    if label is not None:
        labels.save(label, bytes.fromhex(done.device), done.name, done.board)
    what = "provisioned" if done.changed else "was provisioned already"
    tell(done.to_json(), [f"{done.name} ({done.board}) {what}: {done.device}"], as_json)


@click.command()
@click.argument("instance_id", metavar="INSTANCE-ID")
@PORT
@click.option(
    "--key",
    "key_names",
    metavar="KEY",
    multiple=True,
    help="A signing key, PEM file or pkcs11: URI; several where boot asks. Default: your own.",
)
@JSON
def decommission(
    instance_id: str, port: str | None, key_names: tuple[str, ...], as_json: bool
) -> None:
    """Erase a board's secrets for good: it has no identity afterwards and starts no image.

    INSTANCE-ID names the board (`coffret devices` shows it), so that no other one is meant by
    mistake. The signing keys that its boot trusts for images must sign the order.
    """
    from contextlib import ExitStack  # noqa: PLC0415

    from firmware.image.signer import LocalSigner  # noqa: PLC0415
    from firmware.sign_cli import private_key  # noqa: PLC0415
    from flasher import console  # noqa: PLC0415
    from flasher.decommission import decommission as ending  # noqa: PLC0415
    from flasher.ports import choose  # noqa: PLC0415

    with ExitStack() as stack:
        names = key_names or (None,)
        signers = [LocalSigner(stack.enter_context(private_key(name))) for name in names]
        done = ending(choose(port), instance_id, signers, console.say)
    what = "decommissioned" if done.changed else "was decommissioned already"
    tell(done.to_json(), [f"{done.device} {what}"], as_json)


@click.command()
@JSON
@click.pass_context
def demo(context: click.Context, as_json: bool) -> None:
    """Show the whole story: build, run, update, attest, and five attacks refused."""
    from flasher.demo import play  # noqa: PLC0415

    context.exit(0 if play(as_json) else NO)


def _run_json(facts: Any) -> dict[str, object]:
    from dataclasses import asdict  # noqa: PLC0415

    return asdict(facts)
