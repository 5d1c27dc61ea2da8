# SPDX-License-Identifier: Apache-2.0
"""Two flow policies with equal code: in the second, Alice's health may leave by BLE as well."""

from __future__ import annotations

from dataclasses import replace

from simulated_device import digest

from enclaves.budgets import Budget
from enclaves.graph import Edge, FlowGraph, Gate, Kind, Node
from enclaves.policy import Message, Policy, policy_digest, policy_document
from enclaves.tags import Owner, Tag

HEALTH = frozenset({"alice/health"})
SENSOR = Node("sensor", Kind.ENCLAVE, HEALTH, frozenset(), HEALTH)
COACH = Node("coach", Kind.ENCLAVE, HEALTH)
WEEKLY = Gate("coach.weekly", "coach", HEALTH, frozenset(), Budget(1, 604800, 16))

NARROW = Policy(
    appliance="heart-diary",
    graph=FlowGraph(
        tags=(Tag("alice/health", "Alice's heart rate", (Owner("alice", digest("alice")),)),),
        nodes=(SENSOR, COACH, Node("usb", Kind.SINK), Node("ble", Kind.SINK)),
        gates=(WEEKLY,),
        edges=(Edge("sensor", "coach"), Edge("coach", "usb", "coach.weekly")),
    ),
    code=(("sensor", digest("sensor")), ("coach", digest("coach"))),
    messages=(Message(0, 16, 4), Message(0, 16, 4)),
    grants=(("coach.weekly", (digest("grant"),)),),
)
_WIDER_EDGES = (*NARROW.graph.edges, Edge("coach", "ble", "coach.weekly"))
WIDE = replace(
    NARROW,
    graph=replace(NARROW.graph, edges=_WIDER_EDGES),
    messages=(*NARROW.messages, Message(0, 16, 4)),
)

NARROW_DOCUMENT, WIDE_DOCUMENT = policy_document(NARROW), policy_document(WIDE)
NARROW_DIGEST, WIDE_DIGEST = policy_digest(NARROW_DOCUMENT), policy_digest(WIDE_DOCUMENT)
