# SPDX-License-Identifier: Apache-2.0
"""The flow graph: enclaves, sinks and devices as nodes, every way data can go as edges."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from enclaves.budgets import Budget
from enclaves.labels import EMPTY, Label, leaked, unvouched
from enclaves.tags import Tag


class Kind(StrEnum):
    """What a node is. A device is hardware that one enclave drives itself, a sink a monitor's."""

    ENCLAVE = "enclave"
    SINK = "sink"
    DEVICE = "device"


class Way(StrEnum):
    """Where an edge comes from, and so what one would change to remove it."""

    CHANNEL = "channel"
    REPLY = "reply of a call"  # the way back of a channel of kind call
    FAULTS = "report of faults"  # from a supervised enclave to its supervisor
    GRANT = "device grant"


class Life(StrEnum):
    """How long an enclave's memory lives."""

    ALWAYS = "always"
    WORKER = "worker"  # while there are messages for it; then it is wiped
    SUMMONED = "summoned"  # for one message


@dataclass(frozen=True, slots=True)
class Node:
    """An end of flows. For a sink or device, `secrecy` is what it accepts."""

    name: str
    kind: Kind
    secrecy: Label = EMPTY
    integrity: Label = EMPTY
    makes: Label = EMPTY  # tags whose data originates here
    life: Life = Life.ALWAYS
    slice_ms: int = 0  # of fixed time slices, 0: none

    @property
    def leaves(self) -> bool:
        """Whether what arrives here has left the appliance."""
        return self.kind is not Kind.ENCLAVE


@dataclass(frozen=True, slots=True)
class Gate:
    """A named point where one enclave may release (drop secrecy) or vouch (add integrity).

    `raw`: its code may pass a labelled message on as it came, which the build refuses otherwise.
    """

    name: str  # "coach.weekly"
    enclave: str
    releases: Label
    vouches: Label
    budget: Budget
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """One way from `source` to `target`, through `gate` if it has one."""

    source: str
    target: str
    gate: str | None = None
    way: Way = Way.CHANNEL

    def __str__(self) -> str:
        return f"{self.gate or self.source} -> {self.target}"


@dataclass(frozen=True, slots=True)
class FlowGraph:
    """The whole appliance as information flow sees it.

    Raises ValueError for an edge, gate or label that names what is not there.
    """

    tags: tuple[Tag, ...]
    nodes: tuple[Node, ...]
    gates: tuple[Gate, ...] = ()
    edges: tuple[Edge, ...] = ()

    def __post_init__(self) -> None:
        names = {node.name for node in self.nodes}
        tags = {tag.name for tag in self.tags}
        gates = {gate.name: gate for gate in self.gates}
        if len(names) != len(self.nodes) or len(gates) != len(self.gates):
            raise ValueError("a node or gate stands twice in the graph")
        for node in self.nodes:
            if not node.secrecy | node.integrity | node.makes <= tags:
                raise ValueError(f"{node.name} has a tag that is not declared")
            if not node.makes <= node.secrecy:
                raise ValueError(f"{node.name} makes what it does not see")
        for gate in self.gates:
            if gate.enclave not in names or not gate.releases | gate.vouches <= tags:
                raise ValueError(f"gate {gate.name} names what is not declared")
        for edge in self.edges:
            if edge.source not in names or edge.target not in names:
                raise ValueError(f"{edge} has an end that is not declared")
            if edge.gate is not None and gates[edge.gate].enclave != edge.source:
                raise ValueError(f"{edge} goes through another enclave's gate")

    @property
    def channels(self) -> tuple[Edge, ...]:
        """The edges that are channels of the monitor, one each, without the ways back of calls."""
        return tuple(edge for edge in self.edges if edge.way in (Way.CHANNEL, Way.FAULTS))

    def tag(self, name: str) -> Tag:
        """The tag `name`. Raises KeyError."""
        for tag in self.tags:
            if tag.name == name:
                return tag
        raise KeyError(name)

    def node(self, name: str) -> Node:
        """The node `name`. Raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def gate(self, name: str) -> Gate:
        """The gate `name`. Raises KeyError."""
        for gate in self.gates:
            if gate.name == name:
                return gate
        raise KeyError(name)

    def releases(self, edge: Edge) -> Label:
        """The secrecy tags that may be dropped on `edge`."""
        return self.gate(edge.gate).releases if edge.gate else EMPTY

    def vouches(self, edge: Edge) -> Label:
        """The integrity tags that are added on `edge`."""
        return self.gate(edge.gate).vouches if edge.gate else EMPTY

    def leaked(self, edge: Edge) -> Label:
        """The secrecy tags for which `edge` is illegal.

        What comes in from a device bears the tags that its enclave `makes`, by declaration; the
        device's own label says only what may go out to it.
        """
        source, target = self.node(edge.source), self.node(edge.target)
        if source.leaves:
            return EMPTY
        return leaked(source.secrecy, target.secrecy, self.releases(edge))

    def unvouched(self, edge: Edge) -> Label:
        """The integrity tags for which `edge` is illegal."""
        source, target = self.node(edge.source), self.node(edge.target)
        return unvouched(source.integrity, target.integrity, self.vouches(edge))
