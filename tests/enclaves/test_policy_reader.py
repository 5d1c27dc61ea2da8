# SPDX-License-Identifier: Apache-2.0
"""A policy document says all of a policy, and nothing that is not one is read as one."""

from __future__ import annotations

import contextlib

import pytest
from graphs import graphs
from hypothesis import given
from hypothesis import strategies as st

from enclaves import cbor
from enclaves.graph import FlowGraph, Way
from enclaves.policy import Message, Policy, policy_document
from enclaves.policy_reader import PolicyError, read_policy


def policy_of(graph: FlowGraph) -> Policy:
    """A policy with `graph`, and something in every other place."""
    enclaves = [node.name for node in graph.nodes if not node.leaves]
    channels = [edge for edge in graph.edges if edge.way is Way.CHANNEL]
    return Policy(
        appliance="made",
        graph=graph,
        code=tuple((name, name.encode().ljust(32)) for name in enclaves),
        messages=tuple(Message(0, n + 1, 4) for n, _ in enumerate(channels)),
        grants=tuple((gate.name, (bytes(32),)) for gate in graph.gates),
    )


@given(graphs())
def test_what_is_written_is_read_back(graph: FlowGraph) -> None:
    policy = policy_of(graph)
    assert read_policy(policy_document(policy)) == policy


@given(graphs(), st.data())
def test_no_changed_document_is_taken_for_the_same(graph: FlowGraph, data: st.DataObject) -> None:
    document = bytearray(policy_document(policy_of(graph)))
    at = data.draw(st.integers(0, len(document) - 1))
    document[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(PolicyError):
        assert policy_document(read_policy(bytes(document))) == bytes(document)


@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused_with_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(PolicyError):
        read_policy(data)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"coffret": 2},
        {"coffret": 1, "appliance": 7},
        {"coffret": 1, "appliance": "x", "tags": 1},
        {"coffret": True},
    ],
)
def test_a_document_of_another_shape_is_refused(document: object) -> None:
    with pytest.raises(PolicyError):
        read_policy(cbor.encode(document))


@given(graphs(), st.sampled_from(["tags", "enclaves", "ends", "gates", "channels"]))
def test_an_unknown_key_anywhere_is_refused(graph: FlowGraph, section: str) -> None:
    document = cbor.decode(policy_document(policy_of(graph)))
    assert isinstance(document, dict)
    rows = document[section]
    assert isinstance(rows, list)
    for row in rows[:1]:
        assert isinstance(row, dict)
        row["more"] = 1
        with pytest.raises(PolicyError):
            read_policy(cbor.encode(document))
