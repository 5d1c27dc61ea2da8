# SPDX-License-Identifier: Apache-2.0
"""The flow policy as one document: deterministic CBOR whose SHA-256 is signed, measured, attested.

It holds everything that decides what the appliance can do with whose data, and nothing else: an
auditor who has this document and trusts the digest in the evidence needs no source. Names, not
numbers: numbers are the build's, and `firmware.image.audit` compares them by name.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from enclaves import cbor
from enclaves.graph import FlowGraph, Kind, Node, Way
from enclaves.labels import Label

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Message:
    """What one channel carries: sizes in bytes, depth in messages.

    `kind` is "send", "emit", "call" or "faults"; `reply` the most bytes of a call's reply.
    """

    min_size: int
    max_size: int
    depth: int
    kind: str = "send"
    reply: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """A graph with what makes it an appliance's policy.

    `code` gives each enclave's code digest, `messages` one entry for each of the graph's
    `channels` in its order, `grants` the digests of the verified grant files of each gate.
    """

    appliance: str
    graph: FlowGraph
    code: tuple[tuple[str, bytes], ...]
    messages: tuple[Message, ...]
    grants: tuple[tuple[str, tuple[bytes, ...]], ...]


def policy_document(policy: Policy) -> bytes:
    """The canonical document. The same policy gives the same bytes on any host."""
    graph, code, grants = policy.graph, dict(policy.code), dict(policy.grants)
    return cbor.encode(
        {
            "coffret": FORMAT,
            "appliance": policy.appliance,
            "tags": [
                {
                    "name": tag.name,
                    "says": tag.says,
                    "owners": [
                        {"name": owner.name, "key": owner.key_digest} for owner in tag.owners
                    ],
                }
                for tag in graph.tags
            ],
            "enclaves": [
                {
                    "name": node.name,
                    "secrecy": _names(node.secrecy),
                    "integrity": _names(node.integrity),
                    "makes": _names(node.makes),
                    "life": str(node.life),
                    "slice_ms": node.slice_ms,
                    "code": code[node.name],
                    "devices": [
                        edge.target
                        for edge in graph.edges
                        if edge.way is Way.GRANT and edge.source == node.name
                    ],
                }
                for node in graph.nodes
                if node.kind is Kind.ENCLAVE
            ],
            "ends": [_end(node) for node in graph.nodes if node.kind is not Kind.ENCLAVE],
            "gates": [
                {
                    "name": gate.name,
                    "enclave": gate.enclave,
                    "releases": _names(gate.releases),
                    "vouches": _names(gate.vouches),
                    "raw": gate.raw,
                    "bytes": gate.budget.size,
                    "messages": gate.budget.messages,
                    "window_s": gate.budget.window_s,
                    "grants": list(grants.get(gate.name, ())),
                }
                for gate in graph.gates
            ],
            "channels": [
                {
                    "from": edge.source,
                    "to": edge.target,
                    "gate": edge.gate,
                    "min": message.min_size,
                    "max": message.max_size,
                    "depth": message.depth,
                    "kind": message.kind,
                    "reply": message.reply,
                }
                for edge, message in zip(graph.channels, policy.messages, strict=True)
            ],
        }
    )


def policy_digest(document: bytes) -> bytes:
    """SHA-256 of the document: TLV 0xA0 of the image, component `policy` of the evidence."""
    return hashlib.sha256(document).digest()


def _end(node: Node) -> dict[str, object]:
    end: dict[str, object] = {
        "name": node.name,
        "kind": str(node.kind),
        "accepts": _names(node.secrecy),
    }
    if node.kind is Kind.DEVICE:  # data comes from it, too
        end |= {"makes": _names(node.makes), "integrity": _names(node.integrity)}
    return end


def _names(tags: Label) -> list[str]:
    return sorted(tags)
