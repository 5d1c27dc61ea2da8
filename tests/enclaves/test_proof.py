# SPDX-License-Identifier: Apache-2.0
"""The proof against brute force: every simple path of small made graphs, walked one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from graphs import BUDGET, TAGS, graphs
from hypothesis import given
from hypothesis import strategies as st

from enclaves.graph import Edge, FlowGraph, Gate, Kind, Node
from enclaves.labels import label
from enclaves.proof import Rule, prove
from enclaves.report import sentences, violation_words
from enclaves.tags import Owner, Tag


def walks(graph: FlowGraph, start: str) -> Iterator[tuple[Edge, ...]]:
    """Every walk from `start` that uses no edge twice."""
    stack: list[tuple[str, tuple[Edge, ...]]] = [(start, ())]
    while stack:
        name, walked = stack.pop()
        if walked:
            yield walked
        for edge in graph.edges:
            if edge.source == name and edge not in walked:
                stack.append((edge.target, (*walked, edge)))


def raw_after(graph: FlowGraph, tag: str, walk: tuple[Edge, ...]) -> bool:
    """Whether data of `tag` is still unreleased at the end of `walk`.

    A gate releases it unless the receiver is an enclave that may hold it anyway.
    """
    return not any(
        tag in graph.releases(edge)
        and (graph.node(edge.target).leaves or tag not in graph.node(edge.target).secrecy)
        for edge in walk
    )


def leaking_walks(graph: FlowGraph, tag: str) -> list[tuple[Edge, ...]]:
    """The walks on which raw `tag` gets from one who may hold it to a sink that may not."""
    return [
        walk
        for node in graph.nodes
        if tag in node.secrecy and node.kind is Kind.ENCLAVE
        for walk in walks(graph, node.name)
        if graph.node(walk[-1].target).leaves
        and tag not in graph.node(walk[-1].target).secrecy
        and raw_after(graph, tag, walk)
    ]


@given(graphs())
def test_a_graph_the_proof_accepts_has_no_leaking_walk(graph: FlowGraph) -> None:
    proof = prove(graph)
    if not any(violation.rule is Rule.SECRECY for violation in proof.violations):
        assert not any(leaking_walks(graph, tag) for tag in TAGS)


@given(graphs())
def test_every_leaking_walk_has_a_violation_on_it(graph: FlowGraph) -> None:
    blamed = {(v.tag, v.edge) for v in prove(graph).violations if v.rule is Rule.SECRECY}
    for tag in TAGS:
        for walk in leaking_walks(graph, tag):
            assert any((tag, edge) in blamed for edge in walk)


@given(graphs())
def test_a_blamed_leak_is_a_real_walk_and_a_shortest_one(graph: FlowGraph) -> None:
    for violation in prove(graph).violations:
        if violation.rule is not Rule.SECRECY:
            continue
        pairs = [(edge.source, edge.target) for edge in graph.edges]
        assert all(step in pairs for step in zip(violation.path, violation.path[1:], strict=False))
        assert (violation.edge.source, violation.edge.target) in zip(
            violation.path, violation.path[1:], strict=False
        )
        if violation.sink is None:
            assert violation.path[-1] == violation.edge.target
            continue
        tails = [
            walk
            for walk in walks(graph, violation.edge.source)
            if walk[0] == violation.edge
            and walk[-1].target != violation.edge.source
            and graph.node(walk[-1].target).leaves
            and violation.tag not in graph.node(walk[-1].target).secrecy
            and raw_after(graph, violation.tag, walk)
        ]
        tail = len(violation.path) - 1 - violation.path.index(violation.edge.source)
        assert min(map(len, tails)) == tail


@given(graphs())
def test_exposures_are_exactly_the_sinks_that_data_can_reach(graph: FlowGraph) -> None:
    proof = prove(graph)
    if proof.violations:
        return
    for tag in TAGS:
        makers = [n for n in graph.nodes if tag in n.makes]
        origins = makers or [n for n in graph.nodes if tag in n.secrecy and n.kind is Kind.ENCLAVE]
        reached = {
            walk[-1].target
            for origin in origins
            for walk in walks(graph, origin.name)
            if graph.node(walk[-1].target).leaves
        }
        exposed = {e.sink for e in proof.exposures if e.tag == tag}
        assert exposed == reached
        for exposure in proof.exposures:
            if exposure.tag == tag and exposure.gate is None:
                assert tag in graph.node(exposure.sink).secrecy


@given(graphs(), st.data())
def test_one_more_tag_at_a_sink_never_makes_a_legal_graph_illegal(
    graph: FlowGraph, data: st.DataObject
) -> None:
    sink = data.draw(st.sampled_from([n for n in graph.nodes if n.kind is Kind.SINK]))
    wider = replace(sink, secrecy=sink.secrecy | label(TAGS))
    nodes = tuple(wider if n is sink else n for n in graph.nodes)
    before = {(v.tag, v.edge) for v in prove(graph).violations}
    after = {(v.tag, v.edge) for v in prove(replace(graph, nodes=nodes)).violations}
    assert after <= before


ALICE = Tag("alice/health", "Alice's heart rate", (Owner("alice", bytes(32)),))
HEALTH = label([ALICE.name])
DIARY = FlowGraph(
    (ALICE,),
    (
        Node("sensor", Kind.ENCLAVE, HEALTH, makes=HEALTH),
        Node("diary", Kind.ENCLAVE, HEALTH),
        Node("coach", Kind.ENCLAVE, HEALTH),
        Node("uplink", Kind.ENCLAVE),
        Node("usb", Kind.SINK),
    ),
    (Gate("coach.weekly", "coach", HEALTH, label([]), BUDGET),),
    (
        Edge("sensor", "diary"),
        Edge("diary", "coach"),
        Edge("coach", "uplink", "coach.weekly"),
        Edge("uplink", "usb"),
    ),
)


def test_the_heart_diary_lets_data_leave_through_its_gate_only() -> None:
    proof = prove(DIARY)
    assert proof.legal
    (exposure,) = proof.exposures
    assert exposure.path == ("sensor", "diary", "coach", "uplink")
    assert exposure.gate == "coach.weekly"
    assert sentences(DIARY, proof) == [
        "Alice's heart rate can leave by USB only as coach.weekly, at most 16 bytes once a minute."
    ]


def test_one_channel_too_many_is_named_with_the_whole_path() -> None:
    leaky = replace(DIARY, edges=(*DIARY.edges, Edge("diary", "uplink")))
    (violation,) = prove(leaky).violations
    assert violation.path == ("sensor", "diary", "uplink", "usb")
    what, mend = violation_words(leaky, violation)
    assert what == (
        "alice/health (Alice's heart rate) leaks by USB: sensor -> diary -> uplink -> usb"
    )
    assert mend.startswith("remove the channel diary -> uplink or send it through a gate of diary")


def test_of_two_ways_out_the_shorter_is_blamed() -> None:
    nodes = (*DIARY.nodes, Node("far", Kind.ENCLAVE), Node("lte", Kind.SINK))
    ways = (Edge("uplink", "far"), Edge("far", "lte"), Edge("diary", "uplink"))
    for edges in ((*DIARY.edges, *ways), (*ways, *DIARY.edges)):
        (violation,) = prove(replace(DIARY, nodes=nodes, edges=edges)).violations
        assert violation.path == ("sensor", "diary", "uplink", "usb")


def test_what_a_gate_gives_to_one_who_may_hold_it_is_still_raw() -> None:
    nodes = tuple(
        replace(n, secrecy=HEALTH) if n.name in ("uplink", "usb") else n for n in DIARY.nodes
    )
    (exposure,) = prove(replace(DIARY, nodes=nodes)).exposures
    assert (exposure.sink, exposure.gate) == ("usb", None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"edges": (Edge("diary", "uplink", "coach.weekly"),)},
        {"edges": (Edge("diary", "nobody"),)},
        {"nodes": (Node("sensor", Kind.ENCLAVE, label([]), makes=HEALTH),)},
        {"nodes": (*DIARY.nodes, Node("x", Kind.ENCLAVE, label(["bob/steps"])))},
        {"nodes": (*DIARY.nodes, Node("usb", Kind.SINK))},
        {"gates": (Gate("x.y", "nobody", HEALTH, label([]), BUDGET),)},
    ],
    ids=[
        "another's gate",
        "no such end",
        "makes unseen",
        "no such tag",
        "twice",
        "no such enclave",
    ],
)
def test_a_graph_that_does_not_hold_together_is_refused(wrong: dict[str, Any]) -> None:
    changed: dict[str, Any] = {"gates": (), "edges": (), **wrong}
    if "coach.weekly" in str(wrong):
        changed["gates"] = DIARY.gates
    with pytest.raises(ValueError, match=r"."):
        replace(DIARY, **changed)


def test_a_gate_does_not_help_when_it_releases_another_tag() -> None:
    (gate,) = DIARY.gates
    wrong = replace(DIARY, gates=(replace(gate, releases=label([])),))
    (violation,) = prove(wrong).violations
    assert violation.edge.gate == "coach.weekly"


def test_who_trusts_must_hear_from_the_vouched_only() -> None:
    tag = Tag("checked", "checked data", ())
    nodes = (
        Node("meter", Kind.ENCLAVE),
        Node("doctor", Kind.ENCLAVE, integrity=label(["checked"])),
    )
    gate = Gate("meter.seal", "meter", label([]), label(["checked"]), BUDGET)
    plain = FlowGraph((tag,), nodes, (gate,), (Edge("meter", "doctor"),))
    (violation,) = prove(plain).violations
    assert (violation.rule, violation.path) == (Rule.INTEGRITY, ("meter", "doctor"))
    assert prove(replace(plain, edges=(Edge("meter", "doctor", "meter.seal"),))).legal
