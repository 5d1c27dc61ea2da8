# SPDX-License-Identifier: Apache-2.0
"""A policy document read back: what an auditor has who holds a bundle and no source.

The bytes are hostile until everything in them was checked: `read_policy` accepts exactly what
`policy_document` writes.
"""

from __future__ import annotations

from collections.abc import Mapping

from enclaves import cbor
from enclaves.budgets import Budget
from enclaves.graph import Edge, FlowGraph, Gate, Kind, Life, Node, Way
from enclaves.labels import Label
from enclaves.policy import FORMAT, Message, Policy, policy_document
from enclaves.tags import Owner, Tag


class PolicyError(ValueError):
    """The bytes are no policy document of this format; says what is wrong."""


def read_policy(document: bytes) -> Policy:
    """The policy of a document. Raises PolicyError for anything `policy_document` cannot write."""
    try:
        top = _Row(cbor.decode(document), "the document")
        if top.number("coffret") != FORMAT:
            raise PolicyError(f"format {top.number('coffret')}, this version reads {FORMAT}")
        policy = _policy(top)
        again = policy_document(policy)
    except (cbor.CborError, KeyError, ValueError) as error:
        if isinstance(error, PolicyError):
            raise
        raise PolicyError(f"not a flow policy: {error}") from None
    # One comparison in place of many: unknown keys, other orders and unsorted labels all differ.
    if again != document:
        raise PolicyError("not a flow policy: it says more than this format has words for")
    return policy


class _Row:
    """A map whose values are asked for with their types. Raises PolicyError."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise PolicyError(f"{where} is not a map")
        self._items = value
        self._where = where

    def _get(self, key: str) -> object:
        if key not in self._items:
            raise PolicyError(f"{self._where} has no {key}")
        return self._items[key]

    def _wrong(self, key: str) -> PolicyError:
        return PolicyError(f"{self._where}: {key} is of another type")

    def text(self, key: str) -> str:
        value = self._get(key)
        if not isinstance(value, str):
            raise self._wrong(key)
        return value

    def number(self, key: str) -> int:
        value = self._get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(key)
        return value

    def data(self, key: str) -> bytes:
        value = self._get(key)
        if not isinstance(value, bytes) or len(value) != 32:
            raise self._wrong(key)
        return value

    def flag(self, key: str) -> bool:
        value = self._get(key)
        if not isinstance(value, bool):
            raise self._wrong(key)
        return value

    def optional_text(self, key: str) -> str | None:
        return None if self._get(key) is None else self.text(key)

    def items(self, key: str) -> list[object]:
        value = self._get(key)
        if not isinstance(value, list):
            raise self._wrong(key)
        return list(value)

    def rows(self, key: str) -> list[_Row]:
        return [_Row(item, f"{key}[{n}]") for n, item in enumerate(self.items(key))]

    def texts(self, key: str) -> list[str]:
        found = self.items(key)
        texts = [item for item in found if isinstance(item, str)]
        if len(texts) != len(found):
            raise self._wrong(key)
        return texts

    def label(self, key: str) -> Label:
        return frozenset(self.texts(key))

    def digests(self, key: str) -> tuple[bytes, ...]:
        found = self.items(key)
        digests = [item for item in found if isinstance(item, bytes) and len(item) == 32]
        if len(digests) != len(found):
            raise self._wrong(key)
        return tuple(digests)


_KINDS = ("send", "emit", "call", "faults")


def _policy(top: _Row) -> Policy:
    rows, ends = top.rows("enclaves"), top.rows("ends")
    channels, gates = top.rows("channels"), top.rows("gates")
    edges: list[Edge] = []
    for row in channels:
        kind = row.text("kind")
        if kind not in _KINDS:
            raise PolicyError(f"{kind} is no kind of channel")
        way = Way.FAULTS if kind == "faults" else Way.CHANNEL
        edges.append(Edge(row.text("from"), row.text("to"), row.optional_text("gate"), way))
        if kind == "call":
            edges.append(Edge(row.text("to"), row.text("from"), way=Way.REPLY))
    for row in rows:
        name = row.text("name")
        for device in row.texts("devices"):
            edges.append(Edge(name, device, way=Way.GRANT))
            edges.append(Edge(device, name, way=Way.GRANT))
    graph = FlowGraph(
        tags=tuple(_tag(row) for row in top.rows("tags")),
        nodes=(*(_enclave(row) for row in rows), *(_end(row) for row in ends)),
        gates=tuple(_gate(row) for row in gates),
        edges=tuple(edges),
    )
    return Policy(
        appliance=top.text("appliance"),
        graph=graph,
        code=tuple((row.text("name"), row.data("code")) for row in rows),
        messages=tuple(
            Message(
                r.number("min"),
                r.number("max"),
                r.number("depth"),
                r.text("kind"),
                r.number("reply"),
            )
            for r in channels
        ),
        grants=tuple((row.text("name"), row.digests("grants")) for row in gates),
    )


def _tag(row: _Row) -> Tag:
    owners = tuple(Owner(o.text("name"), o.data("key")) for o in row.rows("owners"))
    return Tag(row.text("name"), row.text("says"), owners)


def _enclave(row: _Row) -> Node:
    life = row.text("life")
    if life not in {*Life}:
        raise PolicyError(f"{life} is no life of an enclave")
    return Node(
        row.text("name"),
        Kind.ENCLAVE,
        row.label("secrecy"),
        row.label("integrity"),
        row.label("makes"),
        Life(life),
        row.number("slice_ms"),
    )


def _end(row: _Row) -> Node:
    name, kind, accepts = row.text("name"), Kind(row.text("kind")), row.label("accepts")
    if kind is Kind.DEVICE:
        return Node(name, kind, accepts, row.label("integrity"), row.label("makes"))
    if kind is Kind.SINK:
        return Node(name, kind, accepts)
    raise PolicyError(f"{name} is no end")


def _gate(row: _Row) -> Gate:
    return Gate(
        name=row.text("name"),
        enclave=row.text("enclave"),
        releases=row.label("releases"),
        vouches=row.label("vouches"),
        budget=Budget(row.number("messages"), row.number("window_s"), row.number("bytes")),
        raw=row.flag("raw"),
    )
