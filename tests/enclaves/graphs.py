# SPDX-License-Identifier: Apache-2.0
"""Made appliances: small random flow graphs."""

from __future__ import annotations

from hypothesis import strategies as st

from enclaves.budgets import Budget
from enclaves.graph import Edge, FlowGraph, Gate, Kind, Node
from enclaves.tags import Tag

TAGS = ("t0", "t1", "t2")
ENCLAVES = ("e0", "e1", "e2", "e3", "e4")
SINKS = ("s0", "s1")
LABELS = st.frozensets(st.sampled_from(TAGS))
BUDGET = Budget(1, 60, 16)


@st.composite
def graphs(draw: st.DrawFn, *, gated: bool = True) -> FlowGraph:
    """Any graph of at most five enclaves, two sinks and three tags."""
    nodes = []
    for name in ENCLAVES[: draw(st.integers(1, len(ENCLAVES)))]:
        makes = draw(LABELS)
        secrecy = makes | draw(LABELS)
        nodes.append(Node(name, Kind.ENCLAVE, secrecy, draw(LABELS), makes))
    enclaves = [node.name for node in nodes]
    nodes += [Node(name, Kind.SINK, draw(LABELS)) for name in SINKS]
    ends = [*enclaves, *SINKS]
    pairs = st.tuples(st.sampled_from(enclaves), st.sampled_from(ends))
    channels = draw(st.lists(pairs.filter(lambda p: p[0] != p[1]), max_size=10, unique=True))
    gates, edges = [], []
    for number, (source, target) in enumerate(channels):
        name = None
        if gated and draw(st.booleans()):
            name = f"{source}.g{number}"
            secrecy = next(node.secrecy for node in nodes if node.name == source)
            gates.append(Gate(name, source, draw(LABELS) & secrecy, draw(LABELS), BUDGET))
        edges.append(Edge(source, target, name))
    tags = tuple(Tag(name, f"data {name}", ()) for name in TAGS)
    return FlowGraph(tags, tuple(nodes), tuple(gates), tuple(edges))
