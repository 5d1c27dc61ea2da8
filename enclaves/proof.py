# SPDX-License-Identifier: Apache-2.0
"""The proof over the flow graph: what can reach whom, and every edge that must not be.

The theorem: labels are static and checked on every edge, so if every single edge is legal, no
path carries a tag to a sink that lacks it except through a gate that releases it. `prove` decides
the edges, and follows the data itself (closure) to say where each tag can go and, for an illegal
edge, along which shortest path it gets out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from enclaves.graph import Edge, FlowGraph, Kind


class Rule(StrEnum):
    """Which half of the flow rule an edge breaks."""

    SECRECY = "secrecy"
    INTEGRITY = "integrity"


@dataclass(frozen=True, slots=True)
class Exposure:
    """A way for a tag to leave legally: by `sink`, along `path` (enclaves), through `gate`.

    `gate` is None when the sink accepts the tag itself.
    """

    tag: str
    sink: str
    path: tuple[str, ...]
    gate: str | None


@dataclass(frozen=True, slots=True)
class Violation:
    """An edge that breaks `rule` for `tag`, and the shortest path on which that matters.

    For secrecy `path` runs from where the data is made to the sink it would reach, or to the end
    of `edge` when no sink is behind it. For integrity it is the two ends of `edge`.
    """

    tag: str
    rule: Rule
    edge: Edge
    path: tuple[str, ...]
    sink: str | None


@dataclass(frozen=True, slots=True)
class Proof:
    """What `prove` found. The graph is legal iff `violations` is empty."""

    exposures: tuple[Exposure, ...]
    violations: tuple[Violation, ...]

    @property
    def legal(self) -> bool:
        """Whether every edge is legal."""
        return not self.violations


def prove(graph: FlowGraph) -> Proof:
    """Decide every edge of `graph` and follow every tag. Deterministic: the graph's own order."""
    violations: list[Violation] = []
    for edge in graph.edges:
        for tag in sorted(graph.leaked(edge)):
            violations.append(_leak(graph, tag, edge))
        for tag in sorted(graph.unvouched(edge)):
            path = (edge.source, edge.target)
            violations.append(Violation(tag, Rule.INTEGRITY, edge, path, None))
    exposures = [e for tag in graph.tags for e in _exposures(graph, tag.name)]
    return Proof(tuple(exposures), tuple(violations))


# A step of the closure: a node, and the gate by which the tag was last released (None: raw).
State: TypeAlias = tuple[str, str | None]


def _steps(graph: FlowGraph, tag: str, state: State) -> Iterator[tuple[Edge, State]]:
    """Where data of `tag` in `state` can go next, legal or not. Sinks are ends."""
    name, gate = state
    if graph.node(name).leaves:
        return
    for edge in graph.edges:
        if edge.source != name:
            continue
        # Raw data that a gate passes to an enclave that may hold it is still raw there; what
        # leaves through a gate leaves within its budget, whatever the sink accepts.
        target = graph.node(edge.target)
        held = tag in target.secrecy and not target.leaves
        released = tag in graph.releases(edge) and not held
        yield edge, (edge.target, edge.gate if released else gate)


def _origins(graph: FlowGraph, tag: str) -> list[str]:
    """The enclaves that make `tag`; if none is said to, all that may hold it."""
    enclaves = [node for node in graph.nodes if node.kind is Kind.ENCLAVE]
    makers = [node.name for node in enclaves if tag in node.makes]
    return makers or [node.name for node in enclaves if tag in node.secrecy]


def _closure(graph: FlowGraph, tag: str, starts: list[State]) -> dict[State, tuple[str, ...]]:
    """Every state that data of `tag` reaches from `starts`, with a shortest path of nodes to it."""
    paths: dict[State, tuple[str, ...]] = {start: (start[0],) for start in starts}
    queue = deque(starts)
    while queue:
        state = queue.popleft()
        for _, reached in _steps(graph, tag, state):
            if reached not in paths:
                paths[reached] = (*paths[state], reached[0])
                queue.append(reached)
    return paths


def _exposures(graph: FlowGraph, tag: str) -> list[Exposure]:
    """The legal ways out for `tag`: to sinks that accept it, or behind a gate."""
    paths = _closure(graph, tag, [(name, None) for name in _origins(graph, tag)])
    found = []
    for (name, gate), path in paths.items():
        node = graph.node(name)
        # A device that the data comes from is its origin, not a way out (the report names it).
        if node.leaves and tag not in node.makes and (gate is not None or tag in node.secrecy):
            found.append(Exposure(tag, name, path[:-1], gate))
    order = {node.name: index for index, node in enumerate(graph.nodes)}
    return sorted(found, key=lambda e: (order[e.sink], e.gate or ""))


def _leak(graph: FlowGraph, tag: str, edge: Edge) -> Violation:
    """The shortest path of raw `tag` that uses the illegal `edge`."""
    before = _closure(graph, tag, [(name, None) for name in _origins(graph, tag)])
    head = before.get((edge.source, None), (edge.source,))
    after = _closure(graph, tag, [(edge.target, None)])
    exits = [
        path
        for (name, gate), path in after.items()
        if gate is None and graph.node(name).leaves and tag not in graph.node(name).secrecy
    ]
    tail = min(exits, key=len, default=(edge.target,))
    sink = tail[-1] if graph.node(tail[-1]).leaves else None
    return Violation(tag, Rule.SECRECY, edge, head + tail, sink)
