# SPDX-License-Identifier: Apache-2.0
"""`coffret log`: append releases, get heads, prove and verify."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

import attest
from attest import keys, log, p256
from attest.errors import AttestError
from attest.paths import log_location
from boards.answer import JSON, tell
from boards.errors import NO, USAGE, CoffretError
from enclaves import cbor
from enclaves.keys import write_atomically

if TYPE_CHECKING:
    from attest.log_source import Source

ROLE = "log"
_FILE = click.Path(path_type=Path, dir_okay=False)
_THERE = click.Path(path_type=Path, dir_okay=False, exists=True)
FOLDER = click.option(
    "--keys", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder of the keys."
)
LOG = click.option("--log", "location", help="A file or database URL; default: the inventory.")
OUT = click.option("--out", type=_FILE, required=True, help="Where to write it.")
LOG_KEY = click.option(
    "--log-key", type=_FILE, help="The log's public key (PEM); default: your own."
)
SERVICE = click.option("--service", help="URL of a verifier service: its log, not your own.")
ACCESS_KEY = click.option(
    "--access-key", type=_THERE, help="File with an access key that may read."
)
CA = click.option("--ca", type=_THERE, help="CA of the service's certificate (PEM).")


@click.group("log")
def log_group() -> None:
    """The transparency log of released bundles and verdicts."""


@log_group.command("add")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@LOG
@JSON
def add(bundle: Path, location: str | None, as_json: bool) -> None:
    """Append the release BUNDLE; one that is there already is not added again."""
    from attest.log_source import opened  # noqa: PLC0415 - SQLAlchemy loads slowly
    from attest.log_store import Entry  # noqa: PLC0415 - SQLAlchemy loads slowly

    with _errors(), opened(location or log_location()) as mine:
        entry = Entry.of(_release(bundle))
        number = mine.find(entry.about)
        fresh = number is None
        if number is None:
            number = mine.append([entry])
    words = f"entry {number}" if fresh else f"was entry {number} already"
    tell({"entry": number, "added": fresh}, [words], as_json)


@log_group.command("head")
@OUT
@LOG
@SERVICE
@CA
@LOG_KEY
@FOLDER
@JSON
def head(
    out: Path,
    location: str | None,
    service: str | None,
    ca: Path | None,
    log_key: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Get a head over everything so far: signed here with the key of role log, made at first use,
    or by a --service, which asks for no access key.
    """
    asked = _Asked(location, service, None, ca, log_key, folder)
    with _errors(), asked.source() as source:
        signed = source.head()
        read = log.read_head(signed, asked.public())
    write_atomically(out, signed)
    _say_head(read, as_json)


@log_group.command("prove")
@click.option("--bundle", type=click.Path(path_type=Path, exists=True), help="Of this release.")
@click.option("--entry", type=click.IntRange(min=0), help="Of the entry with this number.")
@click.option("--result", type=click.IntRange(min=0), help="Of the verdict with this id.")
@click.option("--since", type=_THERE, help="That nothing changed since this older head.")
@OUT
@LOG
@SERVICE
@ACCESS_KEY
@CA
@LOG_KEY
@FOLDER
@JSON
def prove(
    bundle: Path | None,
    entry: int | None,
    result: int | None,
    since: Path | None,
    out: Path,
    location: str | None,
    service: str | None,
    access_key: Path | None,
    ca: Path | None,
    log_key: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Write a proof: that a release, verdict or entry is in the log, or that the log only grew."""
    if sum(each is not None for each in (bundle, entry, result, since)) != 1:
        raise CoffretError(
            "nothing, or more than one thing, to prove",
            "give one of --bundle, --entry, --result and --since",
            USAGE,
        )
    from attest.log_source import Wanted  # noqa: PLC0415
    from attest.log_store import about_content  # noqa: PLC0415

    asked = _Asked(location, service, access_key, ca, log_key, folder)
    proof: log.Inclusion | log.Consistency | None
    with _errors(), asked.source() as source:
        if since is not None:
            proof = source.extend(_read(since))
        else:
            leaf = None if bundle is None else about_content(_release(bundle))
            proof = source.prove(Wanted(entry, result, leaf))
    if proof is None:
        what = bundle or (f"entry {entry}" if result is None else f"the verdict {result}")
        raise CoffretError(f"{what} is not in the log", "coffret log add BUNDLE adds a release", NO)
    write_atomically(out, log.write_proof(proof))
    tell({"proof": str(out), "hashes": len(proof.path)}, [f"{out}"], as_json)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose log a command is about."""

    location: str | None
    service: str | None
    access_key: Path | None
    ca: Path | None
    log_key: Path | None
    folder: Path | None

    def public(self) -> p256.PublicKey:
        """The key that heads are to be signed with."""
        if self.log_key is not None:
            return keys.load_public(self.log_key)
        return keys.load_or_create(ROLE, self.folder).public

    @contextmanager
    def source(self) -> Iterator[Source]:
        from attest.log_source import OwnLog, ServiceLog  # noqa: PLC0415

        if self.service is None:
            if self.log_key is not None or self.access_key is not None or self.ca is not None:
                raise CoffretError(
                    "--log-key, --access-key and --ca are for the log of a service",
                    "give its --service too, or leave them out",
                    USAGE,
                )
            key = keys.load_or_create(ROLE, self.folder).private
            yield OwnLog(self.location or log_location(), key)
            return
        from attest.service.client import Client, read_key  # noqa: PLC0415 - an extra

        secret = None if self.access_key is None else read_key(self.access_key)
        with Client(self.service, secret, self.ca) as client:
            yield ServiceLog(client, self.public())


@log_group.command("verify")
@click.argument("proof", type=_THERE)
@LOG_KEY
@click.option(
    "--bundle", type=click.Path(path_type=Path, exists=True), help="It must be this release."
)
@click.option("--result", type=_THERE, help="It must be of this signed verdict (EAR, FILE.jwt).")
@click.option("--head", "seen", type=_THERE, help="It must fit this head, which you saw elsewhere.")
@FOLDER
@JSON
def verify(
    proof: Path,
    log_key: Path | None,
    bundle: Path | None,
    result: Path | None,
    seen: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Check a PROOF that `coffret log prove` wrote. Needs the log's public key, not the log."""
    key = keys.load_public(log_key) if log_key else keys.load(ROLE, folder).public
    with _errors():
        read = log.read_proof(_read(proof))
        newest = log.check(read, key)
        if seen is not None:
            _fits(read, newest, log.read_head(_read(seen), key), key)
        if bundle is not None and not (
            isinstance(read, log.Inclusion) and read.entry == _release(bundle)
        ):
            raise CoffretError(f"{proof}: about something else than {bundle}", "ask again", NO)
        if result is not None and not _is_of(read, result):
            raise CoffretError(f"{proof}: about something else than {result}", "ask again", NO)
    _say_head(newest, as_json, read)


def _fits(
    proof: log.Inclusion | log.Consistency, newest: log.Head, seen: log.Head, key: Any
) -> None:
    """A head that somebody else was shown must be one of the two that the proof connects."""
    heads = [newest]
    if isinstance(proof, log.Consistency):
        heads.append(log.read_head(proof.older, key))
    same = [head for head in heads if head.size == seen.size]
    if not same:
        raise CoffretError(
            f"the proof does not speak of a log of {seen.size} entries",
            "ask for one with coffret log prove --since THAT_HEAD",
            USAGE,
        )
    if any(head.root != seen.root for head in same):
        raise CoffretError(
            f"two logs of {seen.size} entries: not everybody was shown the same one",
            "keep both heads, they are the evidence; do not install what only one of them has",
            NO,
        )


def _is_of(proof: log.Inclusion | log.Consistency, result: Path) -> bool:
    """Whether the entry names this very EAR."""
    if not isinstance(proof, log.Inclusion):
        return False
    entry, text = cbor.decode(proof.entry), result.read_text("ascii", "replace").strip()
    named = entry.get("result") if isinstance(entry, dict) else None
    return text.isascii() and named == log.result_digest(text)


def _release(bundle: Path) -> bytes:
    place = bundle / attest.CORIM_FILE if bundle.is_dir() else bundle
    return log.release(attest.load_bundle(bundle), place.read_bytes())


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(log.MAX_PROOF + 1)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except AttestError as error:
        raise CoffretError(str(error), "ask the keeper of the log for the truth", NO) from error


def _say_head(
    head: log.Head, as_json: bool, proof: log.Inclusion | log.Consistency | None = None
) -> None:
    document: dict[str, object] = {"size": head.size, "root": head.root.hex(), "time": head.time}
    lines = [f"{head.size} entries, root {head.root.hex()}"]
    if isinstance(proof, log.Inclusion):
        entry = cbor.decode(proof.entry)
        assert isinstance(entry, dict)
        shown = {k: v.hex() if isinstance(v, bytes) else v for k, v in entry.items()}
        document |= {"entry": proof.number, "content": shown}
        lines.insert(0, f"entry {proof.number}: {json.dumps(shown)}")
    elif proof is not None:
        lines.insert(0, "the newer log begins with the older one")
    tell(document, lines, as_json)
