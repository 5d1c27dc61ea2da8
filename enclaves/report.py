# SPDX-License-Identifier: Apache-2.0
"""The flows in words that a person understands, and as the JSON document scripts rely on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from enclaves.graph import FlowGraph, Kind, Way
from enclaves.proof import Exposure, Proof, Rule, Violation

NO_DATA = "There is no labelled data."
_ABBREVIATIONS = frozenset({"usb", "ble", "uart", "led", "nfc", "i2c", "spi", "gpio"})


@dataclass(frozen=True, slots=True)
class Consent:
    """Who signed for a gate, and until when (ISO date)."""

    owners: tuple[str, ...]
    expires: str


def sentences(
    graph: FlowGraph, proof: Proof, consents: Mapping[str, Consent] | None = None
) -> list[str]:
    """One sentence a way out, at least one a tag. `consents` by gate name adds who granted it."""
    lines: list[str] = []
    for tag in graph.tags:
        exposures = [e for e in proof.exposures if e.tag == tag.name]
        leaks = [v for v in proof.violations if v.tag == tag.name and v.rule is Rule.SECRECY]
        lines += _origins(graph, tag.name)
        for sink in dict.fromkeys(exposure.sink for exposure in exposures):
            ways = [exposure for exposure in exposures if exposure.sink == sink]
            lines += _ways_out(graph, ways, consents or {}, only=not leaks)
        for leak in leaks:
            lines.append(f"{tag.says} MUST NOT flow as declared: {arrows(leak.path)}.")
        if not exposures and not leaks:
            lines.append(f"{tag.says} cannot leave.")
    lines = [line[:1].upper() + line[1:] for line in lines]
    lines += [_vouching(graph, gate.name, consents or {}) for gate in graph.gates if gate.vouches]
    return lines


def _ways_out(
    graph: FlowGraph, ways: list[Exposure], consents: Mapping[str, Consent], *, only: bool
) -> list[str]:
    """The ways by which one tag can leave by one sink; `only` when there are no others."""
    start = f"{graph.tag(ways[0].tag).says} can leave by {device_words(ways[0].sink)}"
    free = [
        f"{start} as it is, without limit ({arrows(way.path)})." for way in ways if way.gate is None
    ]
    gated = [
        f"as {way.gate}, {graph.gate(way.gate).budget.words()}{_granted(way.gate, consents)}"
        for way in ways
        if way.gate is not None
    ]
    if not gated:
        return free
    return [*free, f"{start} {'only ' if only and not free else ''}{', or '.join(gated)}."]


def _origins(graph: FlowGraph, tag: str) -> list[str]:
    """Where the data comes from: a device, which its driver can write to as well."""
    return [
        f"{graph.tag(tag).says} comes from {device_words(edge.source)}, which {edge.target} drives."
        for edge in graph.edges
        if edge.way is Way.GRANT and tag in graph.node(edge.source).makes
        if graph.node(edge.source).kind is Kind.DEVICE
    ]


def _vouching(graph: FlowGraph, name: str, consents: Mapping[str, Consent]) -> str:
    gate = graph.gate(name)
    what = " and ".join(graph.tag(tag).says for tag in sorted(gate.vouches))
    return f"{name} vouches for {what}, {gate.budget.words()}{_granted(name, consents)}."


def _granted(gate: str, consents: Mapping[str, Consent]) -> str:
    consent = consents.get(gate)
    if consent is None:
        return ""
    return f", granted by {' and '.join(consent.owners)} until {consent.expires}"


def violation_words(graph: FlowGraph, violation: Violation) -> tuple[str, str]:
    """What is wrong, and the mend, naming the tag, the path enclave by enclave and the channel."""
    edge, tag = violation.edge, graph.tag(violation.tag)
    owners = " or ".join(owner.name for owner in tag.owners) or "its owner"
    if violation.rule is Rule.INTEGRITY:
        return (
            f"{edge.target} trusts only data vouched for by {tag.name} ({tag.says}), "
            f"and {edge.source} is not vouched for",
            f'vouch for it in {edge.source} (`vouched = ["{tag.name}"]`, or a `may_vouch` gate '
            f"that {owners} grants), or remove this {edge.way}",
        )
    path = arrows(violation.path)
    if violation.sink is not None:
        what = f"{tag.name} ({tag.says}) leaks by {device_words(violation.sink)}: {path}"
    else:
        what = f"{tag.name} ({tag.says}) goes where it may not: {path}"
    if edge.way is Way.REPLY:
        mends = [f'make {edge.target} -> {edge.source} one-way (`kind = "emit"`)']
    elif edge.way is Way.FAULTS:
        mends = [f"take {edge.source} from `supervises` of {edge.target}"]
    elif edge.way is Way.GRANT:
        mends = [f"take the device {edge.target} from {edge.source}"]
    else:
        mends = [
            f"remove the channel {edge}",
            f"send it through a gate of {edge.source} that releases {tag.name} "
            f"(`may_release`, granted by {owners})",
        ]
    if graph.node(edge.target).leaves:
        mends.append(f'accept it in [sink.{edge.target}] (`accepts = ["{tag.name}"]`)')
    elif violation.sink is None:
        # With a sink behind it, this would only move the leak one channel on.
        mends.append(f'let {edge.target} see it (`sees = ["{tag.name}"]`)')
    return what, f"{', '.join(mends[:-1])}{' or ' if mends[:-1] else ''}{mends[-1]}"


def arrows(path: tuple[str, ...]) -> str:
    """`sensor -> diary -> coach`."""
    return " -> ".join(path)


def device_words(name: str) -> str:
    """`usb` as `USB`, `uart2` as `UART2`; other names stay."""
    return name.upper() if name.rstrip("0123456789") in _ABBREVIATIONS else name


def as_json(graph: FlowGraph, proof: Proof) -> dict[str, object]:
    """`{"tags": {TAG: [{"sink", "path", "gate", "budget"}]}, "illegal": [...]}`."""
    tags: dict[str, list[dict[str, object]]] = {tag.name: [] for tag in graph.tags}
    for exposure in proof.exposures:
        budget = graph.gate(exposure.gate).budget if exposure.gate else None
        tags[exposure.tag].append(
            {
                "sink": exposure.sink,
                "path": list(exposure.path),
                "gate": exposure.gate,
                "budget": budget and {"at_most": budget.rate, "bytes": budget.size},
            }
        )
    return {"tags": tags, "illegal": [violation_json(graph, v) for v in proof.violations]}


def violation_json(graph: FlowGraph, violation: Violation) -> dict[str, object]:
    """One illegal edge as JSON."""
    what, mend = violation_words(graph, violation)
    edge = violation.edge
    return {
        "tag": violation.tag,
        "rule": str(violation.rule),
        "path": list(violation.path),
        "sink": violation.sink,
        "channel": {"from": edge.gate or edge.source, "to": edge.target, "way": str(edge.way)},
        "what": what,
        "mend": mend,
    }
