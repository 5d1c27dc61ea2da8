# SPDX-License-Identifier: Apache-2.0
"""Why something can get from one place to another, step by step, or what stands in its way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from enclaves.graph import Edge, FlowGraph, Kind, Way
from enclaves.labels import EMPTY, Label
from enclaves.reach import Trail, origins, reached
from enclaves.report import device_words


@dataclass(frozen=True, slots=True)
class Explanation:
    """`lines` for a person. `possible`: there is a way; `legal`: one with no illegal step."""

    possible: bool
    legal: bool
    trails: tuple[Trail, ...]
    lines: tuple[str, ...]


def explain(graph: FlowGraph, source: str, target: str) -> Explanation:
    """How `source` (a tag, an enclave, a device) gets to `target` (any node), or what blocks it.

    Raises KeyError with the name that is not there.
    """
    nodes = {node.name for node in graph.nodes}
    if target not in nodes:
        raise KeyError(target)
    if source in {tag.name for tag in graph.tags}:
        trails = [t for (name, _), t in reached(graph, source).items() if name == target]
        carried = frozenset({source})
        holders = [node.name for node in graph.nodes if source in node.secrecy and not node.leaves]
        starts = origins(graph, source)
    elif source in nodes:
        trail = _any_way(graph, source, target)
        trails = [trail] if trail else []
        node = graph.node(source)
        carried = node.makes if node.leaves else node.secrecy
        holders = starts = [source]
    else:
        raise KeyError(source)
    if not trails:
        lines = list(_blocked(graph, source, target, holders, starts))
        return Explanation(False, False, (), tuple(lines))
    lines = []
    for number, trail in enumerate(trails):
        if number:
            lines.append("or")
        lines += _told(graph, trail, carried)
    legal = any(all(_is_legal(graph, edge) for edge in trail.edges) for trail in trails)
    return Explanation(True, legal, tuple(trails), tuple(lines))


def _any_way(graph: FlowGraph, source: str, target: str) -> Trail | None:
    """A shortest way along channels and devices, whatever it carries."""
    found = {source: Trail(source)}
    queue = deque([source])
    while queue:
        name = queue.popleft()
        if name != source and graph.node(name).leaves:
            continue
        for edge in graph.edges:
            if edge.source == name and edge.target not in found:
                found[edge.target] = Trail(source, (*found[name].edges, edge))
                queue.append(edge.target)
    return found.get(target)


def _is_legal(graph: FlowGraph, edge: Edge) -> bool:
    return not graph.leaked(edge) and not graph.unvouched(edge)


def _told(graph: FlowGraph, trail: Trail, carried: Label) -> Iterator[str]:
    """One line a step: the edge, and why it may."""
    makes = carried & graph.node(trail.start).makes
    yield f"{trail.start} makes {_tags(makes)}" if makes else f"{trail.start}: {_tags(carried)}"
    for edge in trail.edges:
        released = carried & graph.releases(edge) - _held(graph, edge)
        leaked, unvouched = graph.leaked(edge), graph.unvouched(edge)
        if leaked or unvouched:
            why = f"ILLEGAL for {_tags(leaked | unvouched)}"
        elif edge.gate is not None and released:
            words = graph.gate(edge.gate).budget.words()
            why = f"the gate {edge.gate} releases {_tags(released)}, {words}"
        else:
            why = _because(graph, edge, carried)
        carried = carried - released
        yield f"-> {edge.target}: {why}"


def _because(graph: FlowGraph, edge: Edge, carried: Label) -> str:
    target = graph.node(edge.target)
    if not carried:
        return "nothing labelled is left, anybody may have it"
    if not carried & graph.node(edge.source).secrecy and not graph.node(edge.source).leaves:
        return "the label was lost before, nothing stops it here"
    if graph.node(edge.source).leaves:
        return f"{edge.target} drives {edge.source} and labels what it gives"
    if edge.way is Way.GRANT and carried & target.makes:
        return f"{edge.source} drives {edge.target}, which {_tags(carried)} comes from"
    return f"{edge.target} {'accepts' if target.leaves else 'sees'} {_tags(carried)}"


def _held(graph: FlowGraph, edge: Edge) -> Label:
    target = graph.node(edge.target)
    return EMPTY if target.leaves else target.secrecy


def _blocked(
    graph: FlowGraph, source: str, target: str, holders: list[str], starts: list[str]
) -> Iterator[str]:
    """What there is on both sides of the gap, and what a channel across it would break."""
    yield f"{source} cannot reach {device_words(target)}."
    start = starts[0] if len(starts) == 1 else ""
    beyond = sorted({n for s in starts for n in _region(graph, s)} | set(holders))
    if not holders:
        yield f"nobody may hold {source}"
        return
    leading = [str(edge) for edge in graph.edges if edge.target == target]
    yield f"from {start or source} it gets to: {', '.join(beyond)}"
    yield f"into {target} leads: {', '.join(leading) or 'no channel'}"
    for name in sorted(holders):
        if graph.node(name).leaves or name == target:
            continue
        leaked = graph.leaked(Edge(name, target))
        if leaked:
            verb = "accept" if graph.node(target).leaves else "see"
            lacks = f"{target} does not {verb} {_tags(leaked)}"
            yield f"a channel {name} -> {target} is illegal: {lacks}"
        else:
            yield f"a channel {name} -> {target} would be legal, and there is none"
    for gate in graph.gates:
        if gate.enclave in holders and gate.releases:
            ends = ", ".join(e.target for e in graph.edges if e.gate == gate.name)
            yield f"the gate {gate.name} leads to {ends}"


def _region(graph: FlowGraph, start: str) -> set[str]:
    found, waiting = {start}, [start]
    while waiting:
        name = waiting.pop()
        if graph.node(name).kind is not Kind.ENCLAVE and name != start:
            continue
        for edge in graph.edges:
            if edge.source == name and edge.target not in found:
                found.add(edge.target)
                waiting.append(edge.target)
    return found


def _tags(tags: Label) -> str:
    return " and ".join(sorted(tags)) or "nothing labelled"
