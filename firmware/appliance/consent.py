# SPDX-License-Identifier: Apache-2.0
"""Signing a grant for a gate of an appliance, by the owner of what it releases."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from boards.errors import ENVIRONMENT, NO, USAGE, CoffretError
from enclaves import grants, keys
from enclaves.labels import label
from firmware.appliance.flows import code_digests, grant_request
from firmware.appliance.manifest import Gate, Manifest
from firmware.appliance.manifest_file import load
from firmware.appliance.problems import ApplianceError
from firmware.appliance.sections import did_you_mean


def sign_grant(
    appliance: Path, gate_name: str, key_file: Path, expires: datetime, out: Path | None
) -> tuple[Path, grants.SignedGrant, str]:
    """Sign for the tags of the gate that the key's owner owns, and write the grant file.

    Returns the file, the grant, and the sentence that the owner has just agreed to. Raises
    ApplianceError for a wrong manifest or gate, CoffretError for the key.
    """
    manifest = load(appliance)
    gate = _gate(manifest, gate_name)
    try:
        key = keys.read_private(key_file)
    except OSError as error:
        what = f"{key_file}: {(error.strerror or 'cannot be read').lower()}"
        raise CoffretError(what, "`coffret keys new owner-NAME` makes a key", USAGE) from error
    except keys.KeyFileError as error:
        raise CoffretError(f"{key_file}: {error}", "give the owner's private key", USAGE) from error
    owners = owners_of_key(manifest, keys.key_digest(key.public_key()))
    tags = [
        tag
        for tag in dict.fromkeys((*gate.releases, *gate.vouches))
        if owners & {*manifest.tags[tag].owner}
    ]
    if not tags:
        wanted = sorted(
            {o for t in (*gate.releases, *gate.vouches) for o in manifest.tags[t].owner}
        )
        raise CoffretError(
            f"{key_file}: it is not the key of {' or '.join(wanted)}, who may grant {gate.name}",
            "sign with the private key that belongs to [owner.NAME] of the manifest",
            NO,
        )
    request = grant_request(manifest, gate, code_digests(manifest)[gate.enclave])
    grant = grants.Grant(
        appliance=request.appliance,
        kind=request.kind,
        tags=label(tags),
        gate=request.gate,
        code=request.code,
        budget=request.budget,
        expires=int(expires.timestamp()),
    )
    data = grants.sign(grant, key)
    path = out or _file(gate)
    try:
        keys.write_atomically(path, data)
    except OSError as error:
        what = f"cannot write {path}: {error.strerror}"
        raise CoffretError(what, "give another file with --out", ENVIRONMENT) from error
    return path, grants.read(data), consent_words(manifest, grant)


def consent_words(manifest: Manifest, grant: grants.Grant) -> str:
    """What the owner agrees to, in one sentence."""
    says = " and ".join(manifest.tags[tag].says for tag in sorted(grant.tags))
    verb = "may be released as" if grant.kind is grants.Kind.RELEASE else "may be vouched for by"
    return (
        f"{says} {verb} {grant.gate} of {grant.appliance}, {grant.budget.words()}, "
        f"before {grant.until()}, by the code {grant.code.hex()[:16]}."
    )


def owners_of_key(manifest: Manifest, digest: bytes) -> set[str]:
    """The owners of the manifest whose key has this digest."""
    return {
        name
        for name, owner in manifest.owners.items()
        if keys.key_digest(keys.read_public(manifest.folder / owner.key)) == digest
    }


def _gate(manifest: Manifest, name: str) -> Gate:
    try:
        return manifest.gate(name)
    except KeyError:
        mend = did_you_mean(name, {gate.name: gate for gate in manifest.gates})
        problem = manifest.problem(("enclave",), f"there is no gate {name!r}", mend)
        raise ApplianceError([problem]) from None


def _file(gate: Gate) -> Path:
    if len(gate.grants) != 1:
        what = f"{gate.name} has {len(gate.grants)} grant files in the manifest"
        raise CoffretError(what, "say which one with --out, and name it in `grant`", USAGE)
    return gate.grants[0]
