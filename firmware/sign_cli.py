# SPDX-License-Identifier: Apache-2.0
"""`coffret sign`: adds a signature to a bundle, from a key file or a token, on any machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from boards.answer import JSON
from boards.errors import CoffretError

if TYPE_CHECKING:
    from attest.p256 import PrivateKey
    from firmware.bundle.facts import Facts


@click.command("sign")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--key", "key_name", metavar="KEY", help="A PEM file, or a pkcs11: URI.")
@click.option(
    "--lms-key",
    "lms_key",
    type=click.Path(path_type=Path),
    help="An LMS key's file. Without --key, it alone signs.",
)
@JSON
def sign_command(bundle: Path, key_name: str | None, lms_key: Path | None, as_json: bool) -> None:
    """Sign both images of BUNDLE, in place. Without a key your own signing key is used.

    Where boot asks for several signatures, others sign first, an LMS key too. The key that the
    bundle was built for comes last and finishes it: its signature is put before the others, and it
    signs reference values and provenance. No signature changes an image's digest.
    """
    from attest import lms_keys  # noqa: PLC0415
    from boards.model import load as load_board  # noqa: PLC0415 - pydantic is slow to import
    from firmware.bundle.contents import signed_again  # noqa: PLC0415
    from firmware.bundle.folder import FACTS_FILE, load_bundle, staged, write_files  # noqa: PLC0415
    from firmware.image.signer import LocalSigner  # noqa: PLC0415
    from firmware.image.trust import key_hash  # noqa: PLC0415

    found = load_bundle(bundle, unsigned=True)
    lms = None if lms_key is None else lms_keys.load(lms_key)
    with private_key(key_name) if lms is None or key_name is not None else nullcontext() as key:
        whose = [key_hash(key.public_key()).hex()] if key is not None else []
        whose += [lms.key_hash.hex()] if lms is not None else []
        facts, files = signed_again(
            found,
            load_board(found.facts.board),
            LocalSigner(key) if key is not None else None,
            # Asked for only if that key signs, and signs last.
            partial(signed_reference_values, key=key) if key is not None else reference_values_of,
            lms,
        )
    with staged(bundle.absolute()) as folder:
        write_files(folder, {**files, FACTS_FILE: facts.text()})
        signed = load_bundle(folder, unsigned=True)
    image = signed.images[0]
    count = len(image.signatures)
    finished = any(each.key_hash.hex() == facts.reference.signer_id for each in image.signatures)
    if as_json:
        document = {"bundle": str(bundle.absolute()), "signatures": count, "by": whose[0]}
        click.echo(json.dumps({**document, "lms": image.lms is not None, "finished": finished}))
    else:
        rest = "finished" if finished else f"waiting for {facts.reference.signer_id[:16]}"
        by = " and ".join(each[:16] for each in whose)
        more = " and one of LMS" if image.lms is not None else ""
        click.echo(f"{bundle}: signed by {by}; {count} signature{'s' * (count != 1)}{more}, {rest}")


@contextmanager
def private_key(name: str | None) -> Iterator[PrivateKey]:
    """The signing key of a PEM file or a PKCS#11 URI; None: the user's own, which must exist."""
    from attest import keys  # noqa: PLC0415
    from firmware.image.token_key import SCHEME, open_token_key  # noqa: PLC0415

    if name is None:
        yield keys.load("signing").private
    elif name.startswith(SCHEME):
        with open_token_key(name) as key:
            yield key
    else:
        try:
            private = keys.load_private(Path(name))
        except OSError as error:
            what = f"--key {name}: {(error.strerror or 'cannot be read').lower()}"
            raise CoffretError(what, "`coffret keys new signing` makes one") from None
        yield private


def signed_reference_values(facts: Facts, key: PrivateKey) -> bytes:
    """The signed CoRIM of a bundle, by the key that signs its images."""
    from attest import corim  # noqa: PLC0415

    return corim.sign(reference_values_of(facts), key, issuer="coffret build")


def reference_values_of(facts: Facts) -> bytes:
    """The CoRIM of a bundle, not signed."""
    from attest import corim  # noqa: PLC0415

    reference = facts.reference
    values = corim.ReferenceValues(
        implementation_id=bytes.fromhex(reference.implementation_id),
        board=facts.board,
        appliance=facts.appliance,
        version=facts.version,
        boot=bytes.fromhex(reference.boot),
        image_a=bytes.fromhex(facts.digests.image_a),
        image_b=bytes.fromhex(facts.digests.image_b),
        policy=bytes.fromhex(facts.digests.policy),
        runtime=bytes.fromhex(reference.runtime),
        enclaves=tuple((e.name, bytes.fromhex(e.digest)) for e in reference.enclaves),
        signer_id=bytes.fromhex(reference.signer_id),
        security_counter=facts.security_counter,
        radio=bytes.fromhex(reference.radio) if reference.radio is not None else None,
    )
    return corim.reference_values(values)
