# SPDX-License-Identifier: Apache-2.0
"""Everything in a manifest that names something else, resolved: tags, owners, ends, files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boards.devices import SHARED_DEVICES
from enclaves import keys
from firmware.appliance import schema
from firmware.appliance.channel_references import resolve_channels, supervision
from firmware.appliance.declared import Declared
from firmware.appliance.file_references import resolve_modules, resolve_packages, resolve_radio
from firmware.appliance.lines import KeyPath
from firmware.appliance.manifest import Gate, Manifest, gate_of
from firmware.appliance.problems import Problem
from firmware.appliance.sections import Sections


def resolve(
    path: Path, raw: Mapping[str, Any], sections: Sections, lines: Mapping[KeyPath, int]
) -> tuple[Manifest | None, list[Problem]]:
    """The manifest of well-formed tables, or None, and a problem for each dangling reference.

    A name whose own table is malformed still counts as declared: that was said once already.
    """
    declared = Declared(path, raw, sections, lines)
    _owners_and_tags(declared)
    _enclaves(declared)
    gates = _gates(declared)
    channels = resolve_channels(declared, gates)
    channels += supervision(declared, len(sections.channels))
    _slices(declared)
    packages = resolve_packages(declared)
    radio = resolve_radio(declared)
    modules = resolve_modules(declared, packages)
    if sections.appliance is None or declared.problems:
        return None, declared.problems
    manifest = Manifest(
        path=path,
        appliance=sections.appliance,
        requires=sections.requires,
        owners=sections.owners,
        tags=sections.tags,
        enclaves=sections.enclaves,
        sinks=sections.sinks,
        gates=tuple(gates.values()),
        channels=tuple(channels),
        modules=modules,
        packages=packages,
        radio=radio,
        bodies={
            role: enclave
            for role, enclave in sections.bodies.items()
            if not sections.enclaves[role].apart
        },
        lines=lines,
    )
    return manifest, []


def _owners_and_tags(declared: Declared) -> None:
    """Owners' key files are public keys; tags name owners."""
    for name, owner in declared.sections.owners.items():
        key = ("owner", name, "key")
        try:
            keys.read_public(declared.path.parent / owner.key)
        except OSError as error:
            what = f"{owner.key}: {(error.strerror or 'cannot be read').lower()}"
            declared.say(key, what, f"`coffret keys public owner-{name}` prints one")
        except keys.KeyFileError as error:
            mend = "put the owner's P-256 public key there, as PEM"
            declared.say(key, f"{owner.key}: {error}", mend)
    for name, tag in declared.sections.tags.items():
        declared.check("owner", tag.owner, ("tag", name, "owner"))


def _enclaves(declared: Declared) -> None:
    """Labels name tags; a device has one user; names do not clash."""
    users: dict[str, str] = {}
    for name, enclave in declared.sections.enclaves.items():
        for label in ("sees", "makes", "trusts", "vouched"):
            declared.check("tag", getattr(enclave, label), ("enclave", name, label))
        for index, device in enumerate(enclave.devices):
            if device in enclave.devices[:index]:
                key = ("enclave", name, "devices", index)
                declared.say(key, f"{device} stands twice", "write it once")
            elif device in users and device not in SHARED_DEVICES:
                declared.say(
                    ("enclave", name, "devices", index),
                    f"{device} already belongs to {users[device]}",
                    "give it to one enclave, and let the others ask that one by a channel",
                )
            users.setdefault(device, name)
    for name in declared.sections.sinks:
        if name in declared.names["enclave"]:
            mend = "rename the enclave: a sink bears its device's name"
            declared.say(("sink", name), f"{name} is an enclave too", mend)


def _gates(declared: Declared) -> dict[str, Gate]:
    """Every gate by its full name."""
    gates: dict[str, Gate] = {}
    for name, enclave in declared.sections.enclaves.items():
        secrecy = {*enclave.sees, *enclave.makes}
        tables: list[tuple[str, int, schema.Release | schema.Vouch]] = [
            *(("may_release", index, table) for index, table in enumerate(enclave.may_release)),
            *(("may_vouch", index, table) for index, table in enumerate(enclave.may_vouch)),
        ]
        for section, index, table in tables:
            key = ("enclave", name, section, index)
            gate = gate_of(name, table, declared.path.parent, key)
            place = (*key, "tags" if table.tags else "tag")
            declared.check("tag", table.all_tags, place)
            if gate.name in gates:
                declared.say((*key, "as"), f"{gate.name} stands twice", "name them apart")
            for tag in gate.releases:
                if tag in declared.names["tag"] and tag not in secrecy:
                    declared.say(
                        place,
                        f"{name} releases {tag}, which it does not see",
                        f'add "{tag}" to `sees` of {name}, or drop the gate',
                    )
            gates.setdefault(gate.name, gate)
    return gates


def _slices(declared: Declared) -> None:
    """Fixed slices are for all or for none: without one an enclave would never run."""
    enclaves = declared.sections.enclaves
    if any(enclave.slice_ms for enclave in enclaves.values()):
        for name, enclave in enclaves.items():
            if enclave.slice_ms is None:
                mend = "give every enclave a slice, or none"
                declared.say(("enclave", name, "slice_ms"), "missing, where others have one", mend)
