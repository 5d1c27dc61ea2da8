# SPDX-License-Identifier: Apache-2.0
"""What one policy allows that another did not: an update that widens should not pass unseen.

Names carry the meaning from one policy to the other: a tag is the tag of the same name. Without a
widening, whatever may reach whom in the new policy could reach them in the old one, under labels
that say as much, owned by the same keys, through the same gates within the same budgets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from enclaves.graph import FlowGraph, Gate, Kind, Life, Node
from enclaves.labels import EMPTY, Label
from enclaves.policy import Policy
from enclaves.reach import reached
from enclaves.report import arrows


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `wider`: the new policy allows something that the old one did not."""

    wider: bool
    what: str


def compare(old: Policy, new: Policy) -> list[Change]:
    """Every difference that matters, widenings first. Deterministic."""
    wider = [Change(True, what) for what in _widenings(old, new)]
    return [*wider, *(Change(False, what) for what in _notes(old, new))]


def _widenings(old: Policy, new: Policy) -> Iterator[str]:
    if old.appliance != new.appliance:
        yield f"it is another appliance: {new.appliance}, not {old.appliance}"
    yield from _tags(old.graph, new.graph)
    yield from _labels(old.graph, new.graph)
    yield from _reach(old.graph, new.graph)
    yield from _gates(old.graph, new.graph)


def _tags(old: FlowGraph, new: FlowGraph) -> Iterator[str]:
    after = {tag.name: tag for tag in new.tags}
    for tag in old.tags:
        if tag.name not in after:
            yield f"{tag.name} is no tag any more: data that bore it is unlabelled"
            continue
        keys = {owner.key_digest for owner in tag.owners}
        for owner in after[tag.name].owners:
            if owner.key_digest not in keys:
                key = owner.key_digest.hex()[:16]
                yield f"{owner.name} with the key {key}... may grant the release of {tag.name}"


def _labels(old: FlowGraph, new: FlowGraph) -> Iterator[str]:
    before = {node.name: node for node in old.nodes}
    for node in new.nodes:
        was = before.get(node.name, Node(node.name, node.kind))
        for tag in sorted(node.secrecy - was.secrecy):
            verb = "accepts" if node.leaves else "may hold"
            yield f"{node.name} {verb} {tag}"
        if node.kind is Kind.SINK:
            continue
        for tag in sorted(was.makes - node.makes):
            yield f"what {node.name} makes is no longer labelled {tag}"
        for tag in sorted(was.integrity - node.integrity):
            yield f"{node.name} takes data that is not vouched for by {tag}"
        for tag in sorted(node.integrity - was.integrity):
            yield f"what {node.name} gives counts as vouched for by {tag}"
        if node.name in before and was.life is not Life.ALWAYS and node.life is not was.life:
            kept = "for ever" if node.life is Life.ALWAYS else "from one message to the next"
            yield f"{node.name} remembers {kept}; it was wiped"
        if was.slice_ms and not node.slice_ms:
            yield f"{node.name} has no fixed slice any more: its timing can be seen"
        for device in sorted(_devices(new, node.name) - _devices(old, node.name)):
            yield f"{node.name} drives {device}"


def _reach(old: FlowGraph, new: FlowGraph) -> Iterator[str]:
    before = {tag.name: set(reached(old, tag.name)) for tag in old.tags}
    for tag in new.tags:
        for (name, gate), trail in reached(new, tag.name).items():
            # Where it is made it does not have to get to; that it is made there is a label.
            if not trail.edges or tag.name in new.node(name).makes:
                continue
            if (name, gate) not in before.get(tag.name, set()):
                how = f"through {gate}" if gate else "as it is"
                yield f"{tag.name} reaches {name} {how}: {arrows(trail.nodes)}"


def _gates(old: FlowGraph, new: FlowGraph) -> Iterator[str]:
    before = {gate.name: gate for gate in old.gates}
    for gate in new.gates:
        was = before.get(gate.name)
        if was is None:
            yield f"there is a gate {gate.name}, {_powers(gate)}, {gate.budget.words()}"
            continue
        for tag in sorted(gate.releases - was.releases):
            yield f"{gate.name} releases {tag}"
        for tag in sorted(gate.vouches - was.vouches):
            yield f"{gate.name} vouches for {tag}"
        if not was.budget.covers(gate.budget):
            yield f"{gate.name} lets pass {gate.budget.words()}; it was {was.budget.words()}"
        if gate.raw and not was.raw:
            yield f"{gate.name} may pass messages on as they came"


def _notes(old: Policy, new: Policy) -> Iterator[str]:
    """What changed without allowing more by itself, and what is allowed no longer."""
    was, now = old.graph, new.graph
    says = {tag.name: tag.says for tag in was.tags}
    for tag in now.tags:
        if tag.name not in says:
            yield f"there is a tag {tag.name} ({tag.says})"
        elif says[tag.name] != tag.says:
            yield f"{tag.name} is called {tag.says!r}; it was {says[tag.name]!r}"
    code, edges = dict(old.code), {str(edge) for edge in was.edges}
    for name, digest in new.code:
        if name not in code:
            yield f"there is an enclave {name}"
        elif code[name] != digest:
            powers = [gate.name for gate in now.gates if gate.enclave == name]
            held = f", and holds the gate {' and '.join(powers)}" if powers else ""
            yield f"the code of {name} is other code{held}"
    yield from (f"there is a channel {e}" for e in now.edges if str(e) not in edges)
    kept = {str(edge) for edge in now.edges}
    yield from (f"there is no channel {e} any more" for e in was.edges if str(e) not in kept)
    nodes, gates = {n.name for n in now.nodes}, {g.name for g in now.gates}
    yield from (f"there is no {n.kind} {n.name} any more" for n in was.nodes if n.name not in nodes)
    yield from (f"there is no gate {g.name} any more" for g in was.gates if g.name not in gates)


def _powers(gate: Gate) -> str:
    powers = [f"releases {tag}" for tag in sorted(gate.releases)]
    powers += [f"vouches for {tag}" for tag in sorted(gate.vouches)]
    raw = ", may pass messages on as they came" if gate.raw else ""
    return f"which {' and '.join(powers)}{raw}"


def _devices(graph: FlowGraph, name: str) -> Label:
    if name not in {node.name for node in graph.nodes}:
        return EMPTY
    devices = {node.name for node in graph.nodes if node.kind is Kind.DEVICE}
    return frozenset(e.target for e in graph.edges if e.source == name and e.target in devices)
