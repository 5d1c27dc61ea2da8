# SPDX-License-Identifier: Apache-2.0
"""`coffret attest`: one board here and now, or every board at hand for a verifier service."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from attest.cli import EXPLAIN, FLOWS, POLICY
from boards.answer import JSON, tell
from boards.errors import NO, CoffretError
from flasher.cli_options import INVENTORY, KEYS, PORT

if TYPE_CHECKING:
    from attest import FlowBook, Policy, ReferenceValues, Response, Verdict
    from attest.bundle_references import BundleReferences
    from attest.inventory import Inventory
    from attest.p256 import PrivateKey, PublicKey
    from attest.service.client import Client
    from flasher.watch import Ask

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@dataclass(frozen=True)
class _Judge:
    """What this operator holds against evidence; each part is read when it is asked for."""

    bundle: Path | None
    signing_key: Path | None
    policy_path: Path | None
    flow_paths: tuple[Path, ...]
    folder: Path | None  # of the keys
    location: str | None  # of the inventory

    @cached_property
    def bundle_references(self) -> BundleReferences | None:
        from attest import bundle_references  # noqa: PLC0415

        if self.bundle is None:
            if self.signing_key is not None:
                raise CoffretError(
                    "--signing-key: there is nothing to check with it", "give --bundle BUNDLE"
                )
            return None
        return bundle_references.read(self.bundle, self.signing_key, self.folder)

    @property
    def references(self) -> ReferenceValues | None:
        found = self.bundle_references
        return None if found is None else found.values

    @cached_property
    def policy(self) -> Policy:
        from attest import load_policy  # noqa: PLC0415

        return load_policy(self.policy_path)

    @cached_property
    def flows(self) -> FlowBook:
        from attest import load_flows  # noqa: PLC0415

        return load_flows(*(() if self.bundle is None else (self.bundle,)), *self.flow_paths)

    @cached_property
    def inventory(self) -> Inventory:
        from attest import open_inventory  # noqa: PLC0415

        return open_inventory(self.location)

    @property
    def operator(self) -> PublicKey | None:
        """Who must have endorsed the board: you, if you have such a key."""
        from attest import keys  # noqa: PLC0415

        if "operator" not in keys.present(self.folder):
            return None
        return keys.load("operator", self.folder).public

    @property
    def private_operator(self) -> PrivateKey:
        from attest import keys  # noqa: PLC0415

        return keys.load("operator", self.folder).private


@dataclass(frozen=True, slots=True)
class _Round:
    """A gateway's order: which boards, to which service, how often."""

    port: str | None
    service: str
    access_key: Path
    ca: Path | None
    every: float
    rounds: int | None
    verifier: str | None


@click.command("attest")
@PORT
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, exists=True),
    help="The bundle the board should run: its reference values.",
)
@click.option(
    "--signing-key",
    type=FILE,
    help="Refuse reference values that this public key (PEM) did not sign.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the evidence in this file, for `coffret verify`.",
)
@POLICY
@FLOWS
@EXPLAIN
@click.option("--watch", is_flag=True, help="Go on, and report to a verifier service.")
@click.option("--service", help="With --watch: URL of the service (coffret serve).")
@click.option(
    "--access-key", type=FILE, help="With --watch: file with an access key that may attest."
)
@click.option("--ca", type=FILE, help="With --watch: CA of the service's certificate (PEM).")
@click.option(
    "--every", type=click.FloatRange(0.1), default=60.0, help="With --watch: seconds, default 60."
)
@click.option("--rounds", type=click.IntRange(1), help="With --watch: end after so many.")
@click.option("--enclave", help="With a report on this enclave: code, labels, gates, budgets used.")
@click.option(
    "--pairwise",
    "verifier",
    help="Evidence for the verifier of this name, which it cannot link with another's.",
)
@click.option("--nonce", help="With --pairwise: the verifier's challenge, 32 bytes in hex.")
@KEYS
@INVENTORY
@JSON
@click.pass_context
def attest_command(
    context: click.Context,
    port: str | None,
    bundle: Path | None,
    signing_key: Path | None,
    save: Path | None,
    policy_path: Path | None,
    flow_paths: tuple[Path, ...],
    explain: bool,
    watch: bool,
    service: str | None,
    access_key: Path | None,
    ca: Path | None,
    every: float,
    rounds: int | None,
    enclave: str | None,
    verifier: str | None,
    nonce: str | None,
    folder: Path | None,
    location: str | None,
    as_json: bool,
) -> None:
    """Ask a board for fresh evidence and say whether to trust it. Exit 0: trusted.

    With --pairwise the board is appraised as ever; if it is trusted, your operator key endorses
    its key for that verifier, and --save keeps what the verifier gets: coffret verify --pairwise.

    With --watch every board at hand is asked again and again, and the service judges; --json
    prints one document a line then. With --pairwise too, the service is one that was started with
    coffret serve --pairwise VERIFIER, and gets nothing that names a board.
    """
    judge = _Judge(bundle, signing_key, policy_path, flow_paths, folder, location)
    if watch:
        if service is None or access_key is None:
            raise CoffretError(
                "--watch needs a service to report to", "give --service URL and --access-key FILE"
            )
        _watch(
            _Round(port, service, access_key, ca, every, rounds, verifier), judge, as_json=as_json
        )
        return
    answer: Response | None
    if verifier is None and nonce is None:
        answer, verdict = _ask(port, judge, enclave)
    else:
        answer, verdict = _ask_for(verifier, nonce, port, save, enclave, judge)
    if save is not None and answer is not None:
        from attest import response  # noqa: PLC0415

        response.save(save, answer)
    shown = answer if enclave is not None else None
    _say(judge, shown, verdict, explain=explain, as_json=as_json)
    context.exit(0 if verdict.trusted else NO)


def _ask(port: str | None, judge: _Judge, enclave: str | None) -> tuple[Response, Verdict]:
    from flasher.attestation import challenge  # noqa: PLC0415
    from flasher.ports import choose  # noqa: PLC0415

    return challenge(
        choose(port),
        judge.inventory,
        judge.operator,
        judge.references,
        judge.policy,
        judge.flows,
        enclave=enclave,
    )


def _ask_for(
    verifier: str | None,
    nonce: str | None,
    port: str | None,
    save: Path | None,
    enclave: str | None,
    judge: _Judge,
) -> tuple[Response | None, Verdict]:
    """Evidence for one verifier; refuses what does not go with --pairwise."""
    from flasher.attestation import challenge_for  # noqa: PLC0415
    from flasher.ports import choose  # noqa: PLC0415

    if verifier is None or nonce is None or save is None or judge.bundle is None:
        raise CoffretError(
            "evidence for one verifier is made over its challenge, and kept",
            "give --pairwise VERIFIER --nonce HEX --bundle BUNDLE --save FILE",
        )
    if enclave is not None:
        raise CoffretError("--enclave: pairwise evidence has no report on one", "leave it out")
    try:
        challenge = bytes.fromhex(nonce)
    except ValueError:
        challenge = b""
    if len(challenge) != 32:
        raise CoffretError("--nonce: not 32 bytes in hex", "give the verifier's challenge")
    return challenge_for(
        verifier,
        lambda: challenge,
        choose(port),
        judge.inventory,
        judge.private_operator,
        judge.references,
        judge.policy,
        judge.flows,
    )


def _say(
    judge: _Judge, answer: Response | None, verdict: Verdict, *, explain: bool, as_json: bool
) -> None:
    """The verdict and, of an `answer` with one, the report on an enclave."""
    from attest import enclave_report, report  # noqa: PLC0415

    device = judge.inventory.find(verdict.device)
    name = None if device is None else device.name
    lines = report.plain(verdict) if explain else report.lines(verdict, name)
    document = report.document(verdict)
    told = None if answer is None else enclave_report.of(answer, judge.flows)
    if told is not None:
        document["enclave"] = told.to_json()
        lines = [*told.lines(), *lines]
    if judge.bundle_references is not None:
        document["reference_values"] = judge.bundle_references.to_json()
        lines = [judge.bundle_references.line(), *lines]
    tell(document, lines, as_json)


def _watch(asked: _Round, judge: _Judge, *, as_json: bool) -> None:
    """Report until SIGTERM or Ctrl-C."""
    import json  # noqa: PLC0415
    import signal  # noqa: PLC0415
    import threading  # noqa: PLC0415

    from attest.service.client import Client, read_key  # noqa: PLC0415
    from flasher.ports import choose, find  # noqa: PLC0415
    from flasher.watch import Rounds, by_own_identity, watch  # noqa: PLC0415

    port, verifier = asked.port, asked.verifier
    ask = by_own_identity if verifier is None else _for_verifier(verifier, judge)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def ports() -> list[str]:
        return [choose(port)] if port is not None else [each.path for each in find() if each.known]

    with Client(asked.service, read_key(asked.access_key), asked.ca) as client:
        if verifier is not None:
            _require_name(client, asked.service, verifier)
        for seen in watch(Rounds(client, ask), ports, asked.every, stop, asked.rounds):
            click.echo(json.dumps(seen.to_json()) if as_json else seen.line())


def _for_verifier(verifier: str, judge: _Judge) -> Ask:
    from flasher.attestation import ForVerifier  # noqa: PLC0415

    if judge.bundle is None:
        raise CoffretError(
            "a board is appraised before its key for a verifier is endorsed", "give --bundle BUNDLE"
        )
    return ForVerifier(
        verifier,
        judge.inventory,
        judge.private_operator,
        judge.references,
        judge.policy,
        judge.flows,
    )


def _require_name(client: Client, service: str, verifier: str) -> None:
    """The name is this gateway's word, never the service's: two that took one name could link."""
    named = client.pairwise()
    if named is None:
        raise CoffretError(
            f"{service} does not take pairwise identities",
            f"start it with: coffret serve --pairwise {verifier}",
        )
    if named != verifier:
        raise CoffretError(
            f"{service} calls itself {named}, not {verifier}",
            "give --pairwise the name that you know this verifier by",
        )
