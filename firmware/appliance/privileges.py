# SPDX-License-Identifier: Apache-2.0
"""The lines of an appliance that hold a privilege: counted, shown, and checked for raw messages."""

from __future__ import annotations

from boards.errors import NO
from enclaves.releases import UNKNOWN, Privileged, Release
from enclaves.taint import Source, code_lines, trace
from firmware.appliance.manifest import Gate, Manifest
from firmware.appliance.problems import ApplianceError, Problem


def privileged(manifest: Manifest) -> list[Privileged]:
    """Every enclave that holds a gate, with its lines of code and what reaches its gates."""
    found = []
    for enclave, modules in manifest.modules.items():
        gates = [gate for gate in manifest.gates if gate.enclave == enclave]
        if not gates:
            continue
        sources = [Source(m.name, m.source()) for m in modules]
        inputs = [c.receiver_name for c in manifest.channels if c.target == enclave]
        inputs += [c.target for c in manifest.channels if c.kind == "call" and c.source == enclave]
        try:
            releases = trace(sources, inputs)
        except RecursionError:
            what = "an expression is nested too deep to follow it to a gate"
            problem = manifest.problem(("enclave", enclave, "module"), what, "write it in steps")
            raise ApplianceError([problem], NO) from None
        lines = {source.name: code_lines(source.text) for source in sources}
        found.append(Privileged(enclave, tuple(g.name for g in gates), lines, releases))
    return found


def privilege_problems(manifest: Manifest) -> list[Problem]:
    """Every release through a gate that may pass a labelled message on as it came, unallowed."""
    problems = []
    for held in privileged(manifest):
        paths = {module.name: module.path for module in manifest.modules[held.enclave]}
        for release in held.releases:
            gates = [manifest.gate(name) for name in held.gates]
            for gate in gates:
                if gate.raw or release.gate not in (gate.short, UNKNOWN):
                    continue
                labelled = raw_inputs(manifest, gate, release)
                if labelled:
                    place = release.place
                    what = (
                        f"{place.text}: a message from {' and '.join(labelled)} may leave through "
                        f"{gate.name} as it came"
                    )
                    mend = (
                        "release what is computed from it, or say `raw = true` at the gate in "
                        f"{manifest.path.name}"
                    )
                    key = f"enclave.{held.enclave}"
                    problems.append(Problem(paths[place.module], place.line, key, what, mend))
    return problems


def raw_inputs(manifest: Manifest, gate: Gate, release: Release) -> list[str]:
    """The inputs whose messages bear a tag that `gate` releases, and reach `release` raw."""
    found = []
    for channel in manifest.channels:
        if channel.target == gate.enclave:
            name, sender = channel.receiver_name, manifest.enclaves[channel.source]
        elif channel.source == gate.enclave and channel.kind == "call":  # what is replied
            name, sender = channel.target, manifest.enclaves[channel.target]
        else:
            continue
        dropped = manifest.gate(channel.gate).releases if channel.gate else ()
        carried = {*sender.sees, *sender.makes} - {*dropped}
        if carried & {*gate.releases} and {name, UNKNOWN} & {*release.raw}:
            found.append(name)
    return list(dict.fromkeys(found))


def as_json(held: Privileged) -> dict[str, object]:
    """For `--json`."""
    return {
        "enclave": held.enclave,
        "gates": list(held.gates),
        "lines": dict(held.lines),
        "releases": [
            {
                "gate": release.gate,
                "at": f"{release.place.module}.py:{release.place.line}",
                "expression": release.place.text,
                "raw": list(release.raw),
                "computed_from": list(release.computed),
                "reached_by": [
                    {"at": f"{p.module}.py:{p.line}", "expression": p.text} for p in release.reaches
                ],
            }
            for release in held.releases
        ],
    }


def words(held: Privileged) -> list[str]:
    """For a person: what is trusted, and every expression that may become part of a release."""
    total = sum(held.lines.values())
    parts = ", ".join(f"{name}.py {count}" for name, count in held.lines.items())
    gates = " and ".join(held.gates)
    lines = [f"{held.enclave} is trusted with {gates}: {total} lines of code ({parts})"]
    for release in held.releases:
        lines.append(f"  {release.place.module}.py:{release.place.line}: {release.place.text}")
        for kind, names in (("raw", release.raw), ("computed from", release.computed)):
            if names:
                lines.append(f"    {kind}: {', '.join(names)}")
        lines += [f"    {p.module}.py:{p.line}: {p.text}" for p in release.reaches]
    return lines
