# SPDX-License-Identifier: Apache-2.0
"""A whole policy in lines that a person reads and `diff` compares: one capability, one line."""

from __future__ import annotations

from collections.abc import Iterator

from enclaves.graph import Edge, FlowGraph, Gate, Kind, Life, Node, Way
from enclaves.labels import Label
from enclaves.policy import Message, Policy

_LIVES = {
    Life.WORKER: "is wiped when nothing is left for it",
    Life.SUMMONED: "is started for one message and wiped",
}


def policy_lines(policy: Policy, *, digests: bool = True) -> Iterator[str]:
    """Everything in the policy document, in its order. Without `digests` code and keys are not."""
    graph, code, grants = policy.graph, dict(policy.code), dict(policy.grants)
    yield f"appliance {policy.appliance}"
    for tag in graph.tags:
        yield f"tag {tag.name}: {tag.says}"
        for owner in tag.owners:
            key = f", key {owner.key_digest.hex()}" if digests else ""
            yield f"  may be granted by {owner.name}{key}"
    for node in graph.nodes:
        yield f"{node.kind} {node.name}"
        yield from (f"  {line}" for line in _node(graph, node))
        if digests and node.name in code:
            yield f"  code {code[node.name].hex()}"
    for gate in graph.gates:
        yield f"gate {gate.name} of {gate.enclave}"
        yield from (f"  {line}" for line in _gate(gate))
        if digests:
            yield from (f"  grant {digest.hex()}" for digest in grants.get(gate.name, ()))
    for edge, message in zip(graph.channels, policy.messages, strict=True):
        yield f"channel {_channel(edge, message)}"


def _node(graph: FlowGraph, node: Node) -> Iterator[str]:
    if node.kind is Kind.ENCLAVE:
        yield from _tags("makes", node.makes)
        yield from _tags("sees", node.secrecy - node.makes)
        yield from _tags("has integrity", node.integrity)
        if node.life is not Life.ALWAYS:
            yield _LIVES[node.life]
        if node.slice_ms:
            yield f"has a fixed slice of {node.slice_ms} ms"
        for edge in graph.edges:
            if edge.way is Way.GRANT and edge.source == node.name:
                yield f"drives {edge.target}"
        return
    yield from _tags("gives", node.makes)
    yield from _tags("accepts", node.secrecy)
    yield from _tags("has integrity", node.integrity)


def _gate(gate: Gate) -> Iterator[str]:
    yield from _tags("releases", gate.releases)
    yield from _tags("vouches for", gate.vouches)
    yield gate.budget.words()
    if gate.raw:
        yield "may pass messages on as they came"


def _channel(edge: Edge, message: Message) -> str:
    least, most = message.min_size, message.max_size
    size = f"{most} bytes" if least == most else f"{least} to {most} bytes"
    match message.kind:
        case "call":
            return f"{edge}: {size}, calls, and gets at most {message.reply} bytes back"
        case "emit":
            return f"{edge}: {size}, {message.depth} waiting, silent"
        case "faults":
            return f"{edge}: reports of its faults, {message.depth} waiting"
    return f"{edge}: {size}, {message.depth} waiting"


def _tags(verb: str, tags: Label) -> Iterator[str]:
    yield from (f"{verb} {tag}" for tag in sorted(tags))
