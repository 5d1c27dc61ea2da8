# SPDX-License-Identifier: Apache-2.0
"""Verbs of the `attest` package: keys, verify, inventory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

import attest
from attest import (
    bundle_references,
    keys,
    lms_keys,
    log_cli,
    pairwise,
    report,
    response,
    results,
    serve_cli,
)
from attest.errors import AttestError
from attest.lms_keys import LmsKey
from attest.p256 import PublicKey
from attest.paths import inventory_location
from attest.response import Response
from boards.answer import JSON, tell
from boards.errors import NO, USAGE, CoffretError

if TYPE_CHECKING:
    from attest.inventory import Device, Inventory

FOLDER = click.option(
    "--keys", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder of the keys."
)
POLICY = click.option(
    "--policy",
    "policy_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Your policy.toml: accepted versions, flows, age, lifecycle.",
)
FLOWS = click.option(
    "--flows",
    "flow_paths",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A bundle or policy.cbor to name a changed flow by; repeat it for more.",
)
EXPLAIN = click.option("--explain", is_flag=True, help="The verdict in plain words.")
INVENTORY = click.option("--inventory", "location", help="Inventory: a file or a database URL.")


def mount(group: click.Group) -> None:
    """Add this package's verbs to the front door."""
    group.add_command(keys_group)
    group.add_command(verify_command)
    group.add_command(result_command)
    group.add_command(inventory_group)
    group.add_command(log_cli.log_group)
    serve_cli.mount(group)


@click.group("keys")
def keys_group() -> None:
    """Make and show the keys that sign, operate and own."""


@keys_group.command("new")
@click.argument("role")
@FOLDER
@JSON
def new_key(role: str, folder: Path | None, as_json: bool) -> None:
    """Make the key of ROLE: signing, operator, owner-NAME, lms or lms-NAME.

    An LMS key is for the second, hash-based signature of images: it makes 1,024, two for each
    build, and its file must never be copied or put back from a backup.
    """
    is_lms = lms_keys.ROLE.fullmatch(role)
    if is_lms:
        click.echo("making an LMS key: some ten seconds", err=True)
    key = lms_keys.create(role, folder) if is_lms else keys.create(role, folder)
    tell(_key_json(key), _key_lines(key), as_json)


@keys_group.command("list")
@FOLDER
@JSON
def list_keys(folder: Path | None, as_json: bool) -> None:
    """List the keys there are."""
    found = [_key(role, folder) for role in (*keys.present(folder), *lms_keys.present(folder))]
    lines = [
        f"{key.role:<16} {key.key_hash.hex()}"
        + (f" {key.remaining} left" if isinstance(key, LmsKey) else "")
        for key in found
    ]
    document = [_key_json(key) for key in found]
    tell(document, lines or ["no keys yet: coffret keys new ROLE"], as_json)


@keys_group.command("show")
@click.argument("role")
@FOLDER
@JSON
def show_key(role: str, folder: Path | None, as_json: bool) -> None:
    """Show where the key of ROLE is, and its hash; never the key itself."""
    key = _key(role, folder)
    tell(_key_json(key), _key_lines(key), as_json)


@keys_group.command("public")
@click.argument("role")
@FOLDER
def public_key(role: str, folder: Path | None) -> None:
    """Print the public key of ROLE as PEM, to give to others."""
    key = _key(role, folder)
    pem = key.public_key.pem() if isinstance(key, LmsKey) else keys.public_pem(key.public)
    click.echo(pem, nl=False)


@click.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--nonce", required=True, help="The challenge that was sent, in hex.")
@click.option(
    "--bundle",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="The bundle the device should run.",
)
@click.option(
    "--operator-key",
    type=click.Path(path_type=Path),
    help="The operator's public key (PEM); default: your own operator key.",
)
@click.option(
    "--signing-key",
    type=click.Path(path_type=Path),
    help="Refuse reference values that this public key (PEM) did not sign.",
)
@click.option(
    "--pairwise",
    "verifier",
    help="The evidence is a pairwise identity's: the name by which its operator knows you.",
)
@POLICY
@FLOWS
@EXPLAIN
@click.option(
    "--result",
    "result_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the signed result (EAR) here: FILE.jwt or FILE.cwt.",
)
@click.option(
    "--dialect",
    type=click.Choice(["ear-03", "veraison"]),
    default="ear-03",
    show_default=True,
    help="How the result is written.",
)
@FOLDER
@INVENTORY
@JSON
@click.pass_context
def verify_command(
    context: click.Context,
    file: Path,
    nonce: str,
    bundle: Path,
    operator_key: Path | None,
    signing_key: Path | None,
    verifier: str | None,
    policy_path: Path | None,
    flow_paths: tuple[Path, ...],
    explain: bool,
    result_path: Path | None,
    dialect: str,
    folder: Path | None,
    location: str | None,
    as_json: bool,
) -> None:
    """Appraise stored evidence: FILE, as coffret attest --save writes it.

    The endorsement is taken from FILE if it is there, else from the inventory. Whether the evidence
    was fresh is for whoever sent the challenge to know: this only checks that it answers NONCE.
    """
    if verifier is not None and result_path is not None:
        raise CoffretError("--result: there is none of pairwise evidence", "leave it out", USAGE)
    answer = _evidence_file(file)
    operator = keys.load_public(operator_key) if operator_key else _own_operator(folder)
    checked = bundle_references.read(bundle, signing_key, folder)
    challenge = attest.Challenge(_hex(nonce))
    references = checked.values
    policy, flows = attest.load_policy(policy_path), attest.load_flows(bundle, *flow_paths)
    if verifier is not None:
        asked = pairwise.Expectations(verifier, challenge, operator, references, policy, flows)
        verdict = pairwise.appraise(answer, asked)
    else:
        endorsement = answer.endorsement or _known_endorsement(answer, location)
        expected = attest.Expectations(challenge, endorsement, operator, references, policy, flows)
        verdict = attest.appraise(answer, expected)
    if result_path is not None:
        results.write(result_path, answer, verdict, _hex(nonce), dialect, folder)
    lines = report.plain(verdict) if explain else report.lines(verdict)
    document = report.document(verdict) | {"reference_values": checked.to_json()}
    tell(document, [checked.line(), *lines], as_json)
    context.exit(0 if verdict.trusted else NO)


@click.command("result")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--verifier-key",
    type=click.Path(path_type=Path),
    help="The verifier's public key (PEM); default: your own verifier key.",
)
@FOLDER
@JSON
@click.pass_context
def result_command(
    context: click.Context,
    file: Path,
    verifier_key: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Check and show a signed result (EAR): FILE.jwt or FILE.cwt. Exit 0: affirming."""
    key = keys.load_public(verifier_key) if verifier_key else keys.load("verifier", folder).public
    received = results.read(file, key)
    status = received.status.name.lower()
    document = {
        "status": status,
        "vector": dict(received.vector),
        "policies": list(received.policies),
        "nonce": received.nonce.hex(),
        "issued": received.issued,
        "profile": received.profile,
    }
    tell(document, [f"{name}: {value}" for name, value in document.items()], as_json)
    context.exit(0 if status == "affirming" else NO)


@click.group("inventory")
def inventory_group() -> None:
    """Look at the devices this operator endorsed."""


@inventory_group.command("list")
@INVENTORY
@JSON
def list_devices(location: str | None, as_json: bool) -> None:
    """List the endorsed devices with their latest verdicts."""
    inventory = _inventory(location)
    latest = inventory.verdicts()
    with_verdicts = [
        (device, latest.get(device.instance_id, "never attested")) for device in inventory.devices()
    ]
    lines = [f"{d.name:<20} {d.board:<16} {verdict}" for d, verdict in with_verdicts]
    documents = [_device_json(d) | {"verdict": verdict} for d, verdict in with_verdicts]
    tell(documents, lines or ["no devices yet: coffret provision"], as_json)


@inventory_group.command("show")
@click.argument("device")
@INVENTORY
@JSON
def show_device(device: str, location: str | None, as_json: bool) -> None:
    """Show one DEVICE (its name or instance id) and its past verdicts."""
    inventory = _inventory(location)
    found = inventory.find(device)
    if found is None:
        raise CoffretError(
            f"the inventory has no device {device!r}", "coffret inventory list names them", USAGE
        )
    history = inventory.history(found.instance_id)
    lines = [f"{key}: {value}" for key, value in _device_json(found).items()]
    lines += [f"{entry.time}: {entry.verdict}" for entry in history]
    verdicts = [
        {"time": entry.time, "verdict": entry.verdict, "claims": list(entry.claims)}
        for entry in history
    ]
    tell(_device_json(found) | {"verdicts": verdicts}, lines, as_json)


def _key(role: str, folder: Path | None) -> keys.Key | LmsKey:
    if lms_keys.ROLE.fullmatch(role):
        return lms_keys.load(lms_keys.path_of(role, folder))
    return keys.load(role, folder)


def _key_json(key: keys.Key | LmsKey) -> dict[str, object]:
    left = {"signatures_left": key.remaining} if isinstance(key, LmsKey) else {}
    return {"role": key.role, "file": str(key.path), "key_hash": key.key_hash.hex(), **left}


def _key_lines(key: keys.Key | LmsKey) -> list[str]:
    lines = [f"{key.role}: {key.path}", f"key hash {key.key_hash.hex()}"]
    if isinstance(key, LmsKey):
        lines.append(f"{key.remaining} signatures left, two for each build")
    return lines


def _device_json(device: Device) -> dict[str, object]:
    return {
        "name": device.name,
        "device": device.instance_id.hex(),
        "board": device.board,
        "identity_key": device.identity_key.hex(),
        "boot": device.boot_digest.hex(),
        "created": device.created,
    }


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise CoffretError("--nonce: not hex", "give the challenge as hex digits", USAGE) from None


def _evidence_file(path: Path) -> Response:
    try:
        if path.stat().st_size > response.MAX_BYTES:
            raise CoffretError(
                f"{path}: too long for evidence", "coffret attest --save makes such a file", NO
            )
        return response.unpack(path.read_bytes())
    except AttestError as error:
        raise CoffretError(
            f"{path}: {error}", "coffret attest --save makes such a file", NO
        ) from error


def _own_operator(folder: Path | None) -> PublicKey | None:
    """The operator's own key, if there is one here."""
    return keys.load("operator", folder).public if "operator" in keys.present(folder) else None


def _known_endorsement(answer: Response, location: str | None) -> bytes | None:
    """The endorsement in the inventory; none is made for looking."""
    where = location or inventory_location()
    instance_id = answer.device()
    if instance_id is None or ("://" not in where and not Path(where).exists()):
        return None
    device = attest.open_inventory(where).device(instance_id)
    return None if device is None else device.endorsement


def _inventory(location: str | None) -> Inventory:
    return attest.open_inventory(location)
