# SPDX-License-Identifier: Apache-2.0
"""Verbs of the verifier service: serve, access, publish."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from boards.answer import JSON, tell
from boards.errors import ENVIRONMENT, NO, USAGE, CoffretError

if TYPE_CHECKING:
    import sqlalchemy as sa

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
INVENTORY = click.option("--inventory", "location", help="Inventory: a file or a database URL.")
RIGHTS = ("attest", "choose-nonce", "provision", "read")
MAY = click.option(
    "--may",
    "rights",
    multiple=True,
    required=True,
    type=click.Choice(RIGHTS),
    help="What its holder may do; repeat it.",
)


def mount(group: click.Group) -> None:
    """Add these verbs to the front door."""
    group.add_command(serve_command)
    group.add_command(access_group)
    group.add_command(publish_command)


@click.command("serve")
@click.option("--listen", default="127.0.0.1:8470", show_default=True, help="HOST:PORT.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
@INVENTORY
@click.option(
    "--keys", type=click.Path(path_type=Path, file_okay=False), help="Folder of the keys."
)
@click.option("--operator-key", type=FILE, help="Who endorses devices (PEM); default: your own.")
@click.option("--signing-key", type=FILE, help="Who signs bundles (PEM); default: your own.")
@click.option("--policy", type=FILE, help="What else must hold: a policy.toml.")
@click.option(
    "--pairwise",
    help="Take pairwise identities only, made for the verifier of this name: what names a device "
    "is refused, and not kept.",
)
@click.option(
    "--dialect",
    type=click.Choice(["veraison", "ear-03"]),
    default="veraison",
    show_default=True,
    help="Of the signed results (EAR).",
)
@click.option(
    "--max-age",
    type=click.IntRange(1),
    default=3600,
    show_default=True,
    help="Seconds without a report after which a device is unknown.",
)
@click.option("--webhook", help="URL that hears of each change of verdict.")
@click.option("--webhook-secret", type=FILE, help="File with the secret that signs webhooks.")
@click.option("--tls-cert", type=FILE, help="Certificate chain of this service (PEM).")
@click.option("--tls-key", type=FILE, help="Its private key (PEM).")
@click.option("--client-ca", type=FILE, help="mTLS: clients must show a certificate of this CA.")
def serve_command(
    listen: str,
    workers: int,
    location: str | None,
    keys: Path | None,
    operator_key: Path | None,
    signing_key: Path | None,
    policy: Path | None,
    pairwise: str | None,
    dialect: str,
    max_age: int,
    webhook: str | None,
    webhook_secret: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    client_ca: Path | None,
) -> None:
    """Run the verifier as a service, with a page for operators.

    Logs are JSON lines on stderr; SIGTERM ends it once the requests in flight are answered.
    """
    try:
        from attest.service.server import serve  # noqa: PLC0415
        from attest.service.settings import Settings, Tls, Webhook  # noqa: PLC0415
    except ImportError as error:
        raise CoffretError(
            f"the service needs {error.name}", "pip install 'coffret[serve]'", ENVIRONMENT
        ) from error
    host, port = _address(listen)
    if (tls_cert is None) != (tls_key is None) or (client_ca and not tls_cert):
        raise CoffretError("TLS needs a certificate and its key", "--tls-cert and --tls-key", USAGE)
    if (webhook is None) != (webhook_secret is None):
        raise CoffretError(
            "a webhook needs a secret to sign with", "--webhook and --webhook-secret", USAGE
        )
    tls = None if tls_cert is None or tls_key is None else Tls(tls_cert, tls_key, client_ca)
    hook = None if webhook is None or webhook_secret is None else Webhook(webhook, webhook_secret)
    settings = Settings(
        inventory=location,
        keys=keys,
        operator_key=operator_key,
        signing_key=signing_key,
        policy=policy,
        pairwise=pairwise,
        dialect=dialect,
        max_age=max_age,
        tls=tls,
        webhook=hook,
    )
    serve(settings, host, port, workers)


@click.group("access")
def access_group() -> None:
    """Who may use the service, and for what."""


@access_group.command("new")
@click.argument("name")
@MAY
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the key to this file, mode 0600.",
)
@INVENTORY
@JSON
def new_key(
    name: str, rights: tuple[str, ...], out: Path, location: str | None, as_json: bool
) -> None:
    """Make an access key for NAME. Only its hash is kept: lose the file, and it is lost."""
    from attest.keys import write_secret  # noqa: PLC0415
    from attest.service.access import Right, new_key, revoke  # noqa: PLC0415

    engine = _engine(location)
    secret = new_key(engine, name, frozenset(Right(right) for right in rights))
    try:
        write_secret(out, f"{secret}\n".encode())
    except OSError as error:
        revoke(engine, name)
        raise CoffretError(
            f"cannot write {out}: {error.strerror or 'there is such a file'}",
            "choose another --out; the key that was made is revoked",
            ENVIRONMENT,
        ) from error
    tell({"name": name, "file": str(out), "rights": sorted(rights)}, [f"{name}: {out}"], as_json)


@access_group.command("certificate")
@click.argument("name")
@click.argument("pem", type=FILE)
@MAY
@INVENTORY
@JSON
def new_certificate(
    name: str, pem: Path, rights: tuple[str, ...], location: str | None, as_json: bool
) -> None:
    """Let the holder of a TLS client certificate (PEM) in as NAME, with --client-ca."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    from attest.service.access import Right, new_certificate  # noqa: PLC0415

    try:
        der = x509.load_pem_x509_certificate(pem.read_bytes()).public_bytes(Encoding.DER)
    except ValueError:
        raise CoffretError(f"{pem}: no certificate (PEM)", "name the client's", USAGE) from None
    new_certificate(_engine(location), name, frozenset(Right(right) for right in rights), der)
    tell({"name": name, "rights": sorted(rights)}, [f"{name}: may {', '.join(rights)}"], as_json)


@access_group.command("list")
@INVENTORY
@JSON
def list_keys(location: str | None, as_json: bool) -> None:
    """List who has access."""
    from attest.service.access import listing  # noqa: PLC0415

    found = listing(_engine(location))
    lines = [
        f"{key.name:<20} {'revoked' if key.revoked else ', '.join(sorted(key.rights))}"
        for key in found
    ]
    tell([key.to_json() for key in found], lines or ["nobody yet: coffret access new"], as_json)


@access_group.command("revoke")
@click.argument("name")
@INVENTORY
@JSON
def revoke_key(name: str, location: str | None, as_json: bool) -> None:
    """End NAME's access, within a second."""
    from attest.service.access import revoke  # noqa: PLC0415

    revoke(_engine(location), name)
    tell({"name": name, "revoked": True}, [f"{name}: revoked"], as_json)


@click.command("publish")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--service", required=True, help="URL of the verifier service.")
@click.option("--access-key", required=True, type=FILE, help="File with an access key.")
@click.option("--ca", type=FILE, help="CA of the service's certificate (PEM).")
@JSON
@click.pass_context
def publish_command(
    context: click.Context,
    bundle: Path,
    service: str,
    access_key: Path,
    ca: Path | None,
    as_json: bool,
) -> None:
    """Give a BUNDLE's reference values and flow policy to the verifier service."""
    from attest.service.client import Client, read_key  # noqa: PLC0415

    with Client(service, read_key(access_key), ca) as client:
        done = client.publish(bundle)
    lines = [f"{name}: {reason or 'taken'}" for name, reason in done.items()]
    tell(
        {name: {"taken": not reason, "why": reason} for name, reason in done.items()},
        lines,
        as_json,
    )
    context.exit(NO if any(done.values()) else 0)


def _engine(location: str | None) -> sa.Engine:
    from attest import open_inventory  # noqa: PLC0415

    return open_inventory(location).engine


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 0xFFFF:
        raise CoffretError(f"--listen {text}: not HOST:PORT", "as 127.0.0.1:8470", USAGE)
    return host.strip("[]"), int(port)
