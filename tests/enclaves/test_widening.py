# SPDX-License-Identifier: Apache-2.0
"""`flows --diff`: what an update newly allows is told, every kind of it, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from graphs import TAGS, graphs
from hypothesis import given
from test_policy_reader import policy_of

from enclaves.budgets import Budget
from enclaves.graph import Edge, FlowGraph, Gate, Kind, Node, Way
from enclaves.tags import Owner, Tag
from enclaves.widening import compare

A = frozenset({"a"})
ALICE = Owner("alice", b"\1" * 32)
BASE = FlowGraph(
    tags=(Tag("a", "A's data", (ALICE,)), Tag("ok", "checked", (ALICE,))),
    nodes=(
        Node("sensor", Kind.ENCLAVE, A, frozenset(), A),
        Node("coach", Kind.ENCLAVE, A, frozenset({"ok"})),
        Node("uplink", Kind.ENCLAVE),
        Node("usb", Kind.SINK),
        Node("i2c0", Kind.DEVICE, A, frozenset(), A),
    ),
    gates=(
        Gate("coach.weekly", "coach", A, frozenset(), Budget(1, 604800, 16)),
        Gate("sensor.checked", "sensor", frozenset(), frozenset({"ok"}), Budget(9, 1, 8)),
    ),
    edges=(
        Edge("sensor", "coach", "sensor.checked"),
        Edge("coach", "uplink", "coach.weekly"),
        Edge("uplink", "usb"),
        Edge("sensor", "i2c0", way=Way.GRANT),
        Edge("i2c0", "sensor", way=Way.GRANT),
    ),
)


def node(name: str, **changes: object) -> FlowGraph:
    nodes = tuple(replace(n, **changes) if n.name == name else n for n in BASE.nodes)  # type: ignore[arg-type]
    return replace(BASE, nodes=nodes)


def gate(name: str, **changes: object) -> FlowGraph:
    gates = tuple(replace(g, **changes) if g.name == name else g for g in BASE.gates)  # type: ignore[arg-type]
    return replace(BASE, gates=gates)


def edges(*more: Edge) -> FlowGraph:
    return replace(BASE, edges=(*BASE.edges, *more))


WIDER = {
    "a raw way out": (edges(Edge("coach", "usb")), "a reaches usb as it is"),
    "a raw way to an enclave": (edges(Edge("sensor", "uplink")), "a reaches uplink as it is"),
    "a sink accepts": (node("usb", secrecy=A), "usb accepts a"),
    "an enclave sees": (node("uplink", secrecy=A), "uplink may hold a"),
    "data loses its label": (
        node("sensor", makes=frozenset()),
        "what sensor makes is no longer labelled a",
    ),
    "less is trusted": (node("coach", integrity=frozenset()), "not vouched for by ok"),
    "more counts as vouched": (node("uplink", integrity=frozenset({"ok"})), "vouched for by ok"),
    "a larger message": (gate("coach.weekly", budget=Budget(1, 604800, 17)), "at most 17 bytes"),
    "more messages": (gate("coach.weekly", budget=Budget(2, 604800, 16)), "twice a week"),
    "another window": (gate("coach.weekly", budget=Budget(1, 86400, 1)), "once a day"),
    "raw messages": (gate("coach.weekly", raw=True), "may pass messages on as they came"),
    "more is vouched for": (gate("coach.weekly", vouches=frozenset({"ok"})), "vouches for ok"),
    "a device": (
        edges(Edge("uplink", "i2c0", way=Way.GRANT)),
        "uplink drives i2c0",
    ),
    "a new gate": (
        replace(
            BASE,
            gates=(*BASE.gates, Gate("coach.x", "coach", A, frozenset(), Budget(1, 1, 1))),
            edges=(*BASE.edges, Edge("coach", "usb", "coach.x")),
        ),
        "there is a gate coach.x",
    ),
    "a gate leads elsewhere": (
        replace(
            BASE,
            nodes=(*BASE.nodes, Node("uart2", Kind.SINK)),
            edges=(*BASE.edges, Edge("uplink", "uart2")),
        ),
        "a reaches uart2 through coach.weekly",
    ),
    "another owner": (
        replace(
            BASE, tags=(replace(BASE.tags[0], owners=(Owner("eve", b"\2" * 32),)), BASE.tags[1])
        ),
        "eve with the key 0202020202020202... may grant the release of a",
    ),
}


@pytest.mark.parametrize(("new", "told"), WIDER.values(), ids=WIDER.keys())
def test_a_widening_is_told(new: FlowGraph, told: str) -> None:
    wider = [change.what for change in compare(policy_of(BASE), policy_of(new)) if change.wider]
    assert any(told in what for what in wider), wider


def test_a_tag_that_goes_away_leaves_its_data_unlabelled() -> None:
    bare = FlowGraph((), tuple(Node(n.name, n.kind) for n in BASE.nodes), (), BASE.edges[2:])
    wider = [change.what for change in compare(policy_of(BASE), policy_of(bare)) if change.wider]
    assert "a is no tag any more: data that bore it is unlabelled" in wider


def test_another_appliance_cannot_be_compared_by_names() -> None:
    other = replace(policy_of(BASE), appliance="other")
    assert any(change.wider for change in compare(policy_of(BASE), other))


def test_less_and_other_code_do_not_widen() -> None:
    less = replace(BASE, edges=tuple(e for e in BASE.edges if e.target != "usb"))
    changes = compare(policy_of(BASE), policy_of(less))
    assert [(c.wider, c.what) for c in changes] == [
        (False, "there is no channel uplink -> usb any more")
    ]
    smaller = gate("coach.weekly", budget=Budget(1, 604800, 8))
    assert compare(policy_of(BASE), policy_of(smaller)) == []
    policy = policy_of(BASE)
    code = tuple((name, b"\7" * 32 if name == "coach" else data) for name, data in policy.code)
    (change,) = compare(policy, replace(policy, code=code))
    assert (change.wider, change.what) == (
        False,
        "the code of coach is other code, and holds the gate coach.weekly",
    )


@given(graphs())
def test_nothing_widens_against_itself(graph: FlowGraph) -> None:
    assert compare(policy_of(graph), policy_of(graph)) == []


def ways(
    graph: FlowGraph, tag: str, name: str, gates: frozenset[str], seen: frozenset[object]
) -> Iterator[tuple[str, frozenset[str]]]:
    """Every (node, gates that released on the way), by walking each path there is.

    An edge may be walked again once another gate has released: the data is no longer the same.
    """
    yield name, gates
    if graph.node(name).leaves:
        return
    for edge in graph.edges:
        if edge.source != name or (edge, gates) in seen:
            continue
        target = graph.node(edge.target)
        held = tag in target.secrecy and not target.leaves
        opened = tag in graph.releases(edge) and not held
        more = gates | {str(edge.gate)} if opened else gates
        yield from ways(graph, tag, edge.target, more, seen | {(edge, gates)})


def reachable(graph: FlowGraph, tag: str) -> set[tuple[str, bool]]:
    """(node, whether raw) by brute force, from where the tag is made."""
    starts = [n.name for n in graph.nodes if tag in n.makes]
    return {
        (name, not gates)
        for start in starts
        for name, gates in ways(graph, tag, start, frozenset(), frozenset())
        if tag not in graph.node(name).makes
    }


@given(graphs(), graphs())
def test_without_a_widening_nothing_reaches_further(old: FlowGraph, new: FlowGraph) -> None:
    """The other way round: whatever newly gets somewhere is a widening."""
    if any(change.wider for change in compare(policy_of(old), policy_of(new))):
        return
    for tag in TAGS:
        assert reachable(new, tag) <= reachable(old, tag)


@given(graphs())
def test_each_channel_more_that_carries_a_tag_further_widens(graph: FlowGraph) -> None:
    for edge in graph.edges:
        less = replace(graph, edges=tuple(e for e in graph.edges if e is not edge))
        further = any(reachable(graph, tag) - reachable(less, tag) for tag in TAGS)
        widens = any(c.wider for c in compare(policy_of(less), policy_of(graph)))
        assert widens or not further
