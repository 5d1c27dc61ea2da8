# SPDX-License-Identifier: Apache-2.0
"""Assertions about a flow policy: what must stay true of an appliance, whatever else changes.

They are asked of the policy document's graph alone, so whoever has a bundle can ask them again.
Each kind answers `broken(graph)`: what breaks it, in words, one line each; none when it holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from enclaves.graph import FlowGraph, Gate, Kind, Way
from enclaves.labels import Label
from enclaves.reach import Trail, reached
from enclaves.report import arrows


@dataclass(frozen=True, slots=True)
class Reach:
    """Data of `tags` reaches none of `to` but through one of `only_through` (enclaves, gates).

    Released data counts: what went through a gate that is not named has reached what it reaches.
    """

    tags: tuple[str, ...]
    to: tuple[str, ...]
    only_through: tuple[str, ...] = ()

    def broken(self, graph: FlowGraph) -> Iterator[str]:
        """A shortest way for each tag and end that it should not reach."""
        avoid = frozenset(self.only_through)
        for tag in self.tags:
            found: dict[str, Trail] = {}
            for (name, _), trail in reached(graph, tag, avoid).items():
                # A device that the data comes from is its origin, not a way out.
                if name in self.to and tag not in _given(graph, name):
                    found.setdefault(name, trail)
            for name, trail in found.items():
                yield f"{tag} reaches {name}: {_steps(trail)}"


@dataclass(frozen=True, slots=True)
class Drive:
    """No enclave but those of `only` drives `device`."""

    device: str
    only: tuple[str, ...]

    def broken(self, graph: FlowGraph) -> Iterator[str]:
        """Every other enclave that does."""
        for edge in graph.edges:
            if (
                edge.way is Way.GRANT
                and edge.target == self.device
                and edge.source not in self.only
            ):
                yield f"{edge.source} drives {self.device}"


@dataclass(frozen=True, slots=True)
class Send:
    """No enclave and no gate but those of `only` sends to `to`."""

    to: str
    only: tuple[str, ...]

    def broken(self, graph: FlowGraph) -> Iterator[str]:
        """Every other channel that leads there."""
        for edge in graph.edges:
            allowed = {edge.source, edge.gate} & {*self.only}
            if edge.target == self.to and edge.way is Way.CHANNEL and not allowed:
                yield f"{edge} is a channel"


@dataclass(frozen=True, slots=True)
class Apart:
    """No enclave may hold data of two of `tags`."""

    tags: tuple[str, ...]

    def broken(self, graph: FlowGraph) -> Iterator[str]:
        """Every enclave that may."""
        for node in graph.nodes:
            held = sorted(node.secrecy & frozenset(self.tags))
            if node.kind is Kind.ENCLAVE and len(held) > 1:
                yield f"{node.name} sees {' and '.join(held)}"


@dataclass(frozen=True, slots=True)
class Spend:
    """The gates that release any of `tags` let at most `bytes` pass in each `window_s`, together.

    A window of a gate that is longer than `window_s` counts whole: it may be used up at once.
    """

    tags: tuple[str, ...]
    bytes: int
    window_s: int

    def broken(self, graph: FlowGraph) -> Iterator[str]:
        """The sum, when it is too large."""
        gates = [gate for gate in graph.gates if gate.releases & frozenset(self.tags)]
        total = sum(most_bytes(gate, self.window_s) for gate in gates)
        if total > self.bytes:
            parts = " + ".join(f"{gate.name} {most_bytes(gate, self.window_s)}" for gate in gates)
            yield f"{total} bytes may pass ({parts}), not {self.bytes}"


Assertion: TypeAlias = Reach | Drive | Send | Apart | Spend


def names_of(assertion: Assertion) -> Iterator[tuple[str, str, str]]:
    """Every name an assertion uses: (its key, what it must be, the name).

    A misspelt name would make an assertion hold for ever, so whoever reads one must look.
    """
    match assertion:
        case Reach(tags=tags, to=to, only_through=through):
            yield from (("tag", "tag", tag) for tag in tags)
            yield from (("to", "end", name) for name in to)
            yield from (("only_through", "holder", name) for name in through)
        case Drive(device=device, only=only):
            yield "device", "device", device
            yield from (("only", "enclave", name) for name in only)
        case Send(to=target, only=only):
            yield "to", "end", target
            yield from (("only", "holder", name) for name in only)
        case Apart(tags=tags):
            yield from (("tags", "tag", tag) for tag in tags)
        case Spend(tags=tags):
            yield from (("tag", "tag", tag) for tag in tags)


def known_names(graph: FlowGraph) -> dict[str, tuple[str, ...]]:
    """What there is of each kind of name that `names_of` gives."""
    enclaves = tuple(node.name for node in graph.nodes if node.kind is Kind.ENCLAVE)
    return {
        "tag": tuple(tag.name for tag in graph.tags),
        "end": tuple(node.name for node in graph.nodes),
        "device": tuple(node.name for node in graph.nodes if node.kind is Kind.DEVICE),
        "enclave": enclaves,
        "holder": (*enclaves, *(gate.name for gate in graph.gates)),
        "owner": tuple(dict.fromkeys(o.name for tag in graph.tags for o in tag.owners)),
    }


def tags_of_owner(graph: FlowGraph, owner: str) -> tuple[str, ...]:
    """Every tag that `owner` owns, alone or with others."""
    return tuple(t.name for t in graph.tags if owner in {o.name for o in t.owners})


def most_bytes(gate: Gate, window_s: int) -> int:
    """The most bytes that `gate` lets pass in `window_s` seconds, counted from a window's begin."""
    windows = max(1, -(-window_s // gate.budget.window_s))
    return windows * gate.budget.messages * gate.budget.size


def _given(graph: FlowGraph, name: str) -> Label:
    node = graph.node(name)
    return node.makes if node.kind is Kind.DEVICE else frozenset()


def _steps(trail: Trail) -> str:
    """`sensor -> diary -> coach.weekly -> uplink`, with the gates that are passed."""
    if not trail.edges:
        return trail.start
    senders = [edge.gate or edge.source for edge in trail.edges]
    return arrows((*senders, trail.edges[-1].target))
