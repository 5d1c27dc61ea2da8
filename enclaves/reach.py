# SPDX-License-Identifier: Apache-2.0
"""Where the data of a tag can go: a walk over the graph that follows the data, legal or not."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from enclaves.graph import Edge, FlowGraph, Kind

# A step of the walk: a node, and the gate by which the tag was last released (None: raw).
State: TypeAlias = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Trail:
    """A way that data takes: where it starts, and the edges it goes along."""

    start: str
    edges: tuple[Edge, ...] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node on the way, both ends included."""
        return (self.start, *(edge.target for edge in self.edges))


def origins(graph: FlowGraph, tag: str) -> list[str]:
    """The enclaves that make `tag`; if none is said to, all that may hold it."""
    enclaves = [node for node in graph.nodes if node.kind is Kind.ENCLAVE]
    makers = [node.name for node in enclaves if tag in node.makes]
    return makers or [node.name for node in enclaves if tag in node.secrecy]


def walk(
    graph: FlowGraph, tag: str, starts: Iterable[State], avoid: frozenset[str] = frozenset()
) -> dict[State, Trail]:
    """Every state that data of `tag` reaches from `starts`, with a shortest trail to it.

    Illegal edges are followed as well. `avoid` names nodes and gates that are not passed.
    """
    trails = {start: Trail(start[0]) for start in starts if start[0] not in avoid}
    queue = deque(trails)
    while queue:
        state = queue.popleft()
        for edge, reached in _steps(graph, tag, state):
            if reached not in trails and not avoid & {edge.target, edge.gate}:
                before = trails[state]
                trails[reached] = Trail(before.start, (*before.edges, edge))
                queue.append(reached)
    return trails


def reached(graph: FlowGraph, tag: str, avoid: frozenset[str] = frozenset()) -> dict[State, Trail]:
    """`walk` from where data of `tag` begins."""
    return walk(graph, tag, [(name, None) for name in origins(graph, tag)], avoid)


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
