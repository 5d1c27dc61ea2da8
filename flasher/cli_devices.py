# SPDX-License-Identifier: Apache-2.0
"""Verbs around boards: devices, doctor, udev, secrets, settings; and the shell's completion."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from boards.answer import JSON, tell
from boards.errors import NO
from flasher.cli_options import INVENTORY, PORT


def mount(group: click.Group) -> None:
    """Add these verbs to the front door."""
    for verb in (devices, doctor, udev, secrets, settings, completion):
        group.add_command(verb)


@click.command()
@click.option("--ask", is_flag=True, help="Ask each board what it runs; opens its port.")
@click.option("--watch", is_flag=True, help="Go on, and tell what comes and goes, until Ctrl-C.")
@INVENTORY
@JSON
def devices(ask: bool, watch: bool, location: str | None, as_json: bool) -> None:
    """List the boards at hand: name, port, mode, way to reach them.

    With --watch --json: one document a line.
    """
    from flasher.discovery import find, inquiry, watching  # noqa: PLC0415

    if watch:
        watching.watch(as_json)
        return
    found = find()
    answers = inquiry.ask(found, location) if ask else {}
    documents = [{**device.to_json(), **answers.get(device.path, {})} for device in found]
    lines = [watching.line(device, answers.get(device.path)) for device in found]
    none = ["no boards: start a virtual one with `coffret run BUNDLE`, or plug one in"]
    tell(documents, lines or none, as_json)


@click.command()
@JSON
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Say what keeps boards from being reached, and how to mend it. Exit 0: nothing does."""
    from flasher.discovery.doctor import examine  # noqa: PLC0415

    findings = examine()
    lines = []
    for finding in findings:
        lines.append(f"{'ok  ' if finding.ok else 'BAD '}{finding.subject:<20} {finding.says}")
        if finding.mend:
            lines.append(f"    mend: {finding.mend}")
    tell([finding.to_json() for finding in findings], lines, as_json)
    context.exit(0 if all(finding.ok for finding in findings) else NO)


@click.command()
@click.option("--install", is_flag=True, help="Install them (as root) and reload udev.")
@JSON
def udev(install: bool, as_json: bool) -> None:
    """Print the udev rules that let you use the boards; --install puts them in place."""
    from flasher.discovery import udev as rules  # noqa: PLC0415

    if install:
        path = rules.install()
        lines = [f"{path}: installed; plug the boards in again"]
        tell({"path": str(path), "installed": True}, lines, as_json)
        return
    text = rules.rules()
    document = {"path": str(rules.PATH), "installed": rules.installed(), "rules": text}
    tell(document, [text.rstrip()], as_json)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--count", type=click.IntRange(1, 100_000), required=True, help="How many more.")
@click.option(
    "--secret-key", "uri", metavar="PKCS11-URI", required=True, help="The AES key that wraps them."
)
@JSON
def secrets(folder: Path, count: int, uri: str, as_json: bool) -> None:
    """Have a token make secrets for new boards, wrapped under its key, into FOLDER.

    coffret flash and coffret fleet provision take them with --secrets FOLDER.
    """
    from flasher import board_secrets  # noqa: PLC0415

    left = board_secrets.make(folder, uri, count)
    lines = [f"{folder}: {count} secrets made, {left} there; each is for one new board"]
    tell({"made": count, "left": left}, lines, as_json)


@click.command()
@click.argument("words", metavar="[NAME=VALUE]...", nargs=-1)
@PORT
@JSON
def settings(words: tuple[str, ...], port: str | None, as_json: bool) -> None:
    """Show what a board was given for its appliance to read, or give it exactly these settings.

    They are fixed once the board is provisioned. On stderr: the digest that its evidence tells,
    and that a policy.toml may ask for.
    """
    from flasher import console, ports  # noqa: PLC0415
    from flasher import settings as given  # noqa: PLC0415

    path = ports.choose(port)
    if words:
        given.give(path, given.parse(words))
    held = given.read(path)
    console.say(f"in evidence, and for a policy: {given.digest(held)}")
    lines = [f"{name}={value}" for name, value in held.items()]
    tell(held, lines or ["it has no settings"], as_json)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete coffret's verbs and options.

    bash: coffret completion bash > ~/.local/share/bash-completion/completions/coffret
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    kind = get_completion_class(shell)
    assert kind is not None
    root = context.find_root()
    click.echo(kind(root.command, {}, "coffret", "_COFFRET_COMPLETE").source())
