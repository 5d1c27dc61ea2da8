# SPDX-License-Identifier: Apache-2.0
"""The proof over the flow graph: what can reach whom, and every edge that must not be.

The theorem: labels are static and checked on every edge, so if every single edge is legal, no
path carries a tag to a sink that lacks it except through a gate that releases it. `prove` decides
the edges, and follows the data itself (closure) to say where each tag can go and, for an illegal
edge, along which shortest path it gets out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from enclaves.graph import Edge, FlowGraph
from enclaves.reach import reached, walk


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


def _exposures(graph: FlowGraph, tag: str) -> list[Exposure]:
    """The legal ways out for `tag`: to sinks that accept it, or behind a gate."""
    found = []
    for (name, gate), trail in reached(graph, tag).items():
        node = graph.node(name)
        # A device that the data comes from is its origin, not a way out (the report names it).
        if node.leaves and tag not in node.makes and (gate is not None or tag in node.secrecy):
            found.append(Exposure(tag, name, trail.nodes[:-1], gate))
    order = {node.name: index for index, node in enumerate(graph.nodes)}
    return sorted(found, key=lambda e: (order[e.sink], e.gate or ""))


def _leak(graph: FlowGraph, tag: str, edge: Edge) -> Violation:
    """The shortest path of raw `tag` that uses the illegal `edge`."""
    before = reached(graph, tag).get((edge.source, None))
    head = before.nodes if before else (edge.source,)
    after = walk(graph, tag, [(edge.target, None)])
    exits = [
        trail.nodes
        for (name, gate), trail in after.items()
        if gate is None and graph.node(name).leaves and tag not in graph.node(name).secrecy
    ]
    tail = min(exits, key=len, default=(edge.target,))
    sink = tail[-1] if graph.node(tail[-1]).leaves else None
    return Violation(tag, Rule.SECRECY, edge, head + tail, sink)
