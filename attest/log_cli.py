# SPDX-License-Identifier: Apache-2.0
"""`coffret log`: append releases, sign heads, prove and verify."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich_click as click

import attest
from attest import keys, log
from attest.errors import AttestError
from attest.paths import log_location
from boards.errors import NO, USAGE, CoffretError
from enclaves import cbor
from enclaves.keys import write_atomically

ROLE = "log"
_FILE = click.Path(path_type=Path, dir_okay=False)
_THERE = click.Path(path_type=Path, dir_okay=False, exists=True)
FOLDER = click.option(
    "--keys", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder of the keys."
)
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
LOG = click.option("--log", "path", type=_FILE, help="The log's file.")
OUT = click.option("--out", type=_FILE, required=True, help="Where to write it.")


@click.group("log")
def log_group() -> None:
    """The transparency log of released bundles and verdicts."""


@log_group.command("add")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@LOG
@JSON
def add(bundle: Path, path: Path | None, as_json: bool) -> None:
    """Append the release BUNDLE; one that is there already is not added again."""
    with _errors(), log.Log.open(path or log_location()) as opened:
        content = _release(bundle)
        number = opened.find(content)
        fresh = number is None
        if number is None:
            number = opened.append(content)
    words = f"entry {number}" if fresh else f"was entry {number} already"
    _say({"entry": number, "added": fresh}, [words], as_json)


@log_group.command("head")
@OUT
@LOG
@FOLDER
@JSON
def head(out: Path, path: Path | None, folder: Path | None, as_json: bool) -> None:
    """Sign a head over everything so far, with the key of role log, made at first use."""
    key = keys.load_or_create(ROLE, folder)
    with _errors(), log.Log.open(path or log_location()) as opened:
        signed = opened.head(key.private)
    write_atomically(out, signed)
    _say_head(log.read_head(signed, key.public), as_json)


@log_group.command("prove")
@click.option("--bundle", type=click.Path(path_type=Path, exists=True), help="Of this release.")
@click.option("--entry", type=click.IntRange(min=0), help="Of the entry with this number.")
@click.option("--since", type=_THERE, help="That nothing changed since this older head.")
@OUT
@LOG
@FOLDER
@JSON
def prove(
    bundle: Path | None,
    entry: int | None,
    since: Path | None,
    out: Path,
    path: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Write a proof: that a release or entry is in the log, or that the log only grew."""
    if sum(each is not None for each in (bundle, entry, since)) != 1:
        raise CoffretError(
            "nothing, or more than one thing, to prove",
            "give one of --bundle, --entry and --since",
            USAGE,
        )
    key = keys.load_or_create(ROLE, folder)
    proof: log.Inclusion | log.Consistency
    with _errors(), log.Log.open(path or log_location()) as opened:
        signed = opened.head(key.private)
        if since is not None:
            proof = opened.extend(_read(since), signed, key.public)
        else:
            number = entry if bundle is None else opened.find(_release(bundle))
            if number is None:
                raise CoffretError(
                    f"{bundle} is not in the log", "coffret log add BUNDLE puts it there", NO
                )
            proof = opened.prove(number, signed, key.public)
    write_atomically(out, log.write_proof(proof))
    _say({"proof": str(out), "hashes": len(proof.path)}, [f"{out}"], as_json)


@log_group.command("verify")
@click.argument("proof", type=_THERE)
@click.option("--log-key", type=_FILE, help="The log's public key (PEM); default: your own.")
@click.option(
    "--bundle", type=click.Path(path_type=Path, exists=True), help="It must be this release."
)
@click.option("--head", "seen", type=_THERE, help="It must fit this head, which you saw elsewhere.")
@FOLDER
@JSON
def verify(
    proof: Path,
    log_key: Path | None,
    bundle: Path | None,
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
    _say(document, lines, as_json)


def _say(document: Any, lines: list[str], as_json: bool) -> None:
    click.echo(json.dumps(document, indent=2) if as_json else "\n".join(lines))
