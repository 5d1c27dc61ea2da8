# SPDX-License-Identifier: Apache-2.0
"""The abstract values of the taint check: sets of atoms, each one thing that a value may be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Grade(StrEnum):
    """How near data still is to the message it came from."""

    MESSAGE = "message"  # bytes of the message, or a part of them
    NUMBER = "number"  # one number of it, unchanged
    COMPUTED = "computed"


@dataclass(frozen=True, slots=True)
class Data:
    """Data of the channel `input`."""

    input: str
    grade: Grade


@dataclass(frozen=True, slots=True)
class Thing:
    """An object with contents: a container, an instance. `site` is the node that makes it.

    What code that is not seen has made is told apart by a text.
    """

    site: int | str


@dataclass(frozen=True, slots=True)
class Function:
    """A function or lambda of ours. `bound`: the site whose contents are its `self`, or None."""

    site: int
    bound: int | None = None


@dataclass(frozen=True, slots=True)
class Class:
    """A class of ours."""

    site: int


@dataclass(frozen=True, slots=True)
class Module:
    """An imported module."""

    name: str


# What makes the ends of channels, by which messages come in or are released.
MAKERS = ("input", "gate", "caller", "service")


# What gives the messages of the ends that it is called with, to a coroutine that awaits it.
NEXT_MESSAGE = "next_message"


@dataclass(frozen=True, slots=True)
class Taker:
    """`enclave.next_message` itself."""


@dataclass(frozen=True, slots=True)
class Maker:
    """`enclave.input` itself, or another of `MAKERS`."""

    kind: str


@dataclass(frozen=True, slots=True)
class End:
    """What a maker gives. `kind` as in `Maker`."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Verb:
    """A bound method of an end. `kind` is what it does: "take" a message (also the reply to a
    call), "release" one, or "serve" with a function that gets each."""

    kind: str
    name: str


Atom: TypeAlias = Data | Thing | Function | Class | Module | Maker | Taker | End | Verb
Value: TypeAlias = frozenset[Atom]
NOTHING: Value = frozenset()


def computed(value: Value) -> Value:
    """What a computation leaves of data: that it was there."""
    return frozenset(Data(a.input, Grade.COMPUTED) for a in value if isinstance(a, Data))


def numbers(value: Value) -> Value:
    """What a conversion to a number leaves of data: it is still that number."""
    return frozenset(
        Data(a.input, Grade.NUMBER) if a.grade is Grade.MESSAGE else a
        for a in value
        if isinstance(a, Data)
    )


def selected(value: Value) -> Value:
    """What `min` and `max` leave of the items of a collection: numbers count as computed."""
    return frozenset(
        Data(a.input, Grade.COMPUTED) if isinstance(a, Data) and a.grade is Grade.NUMBER else a
        for a in value
    )


# Where a value is kept: ("name", scope, name), ("in", site), ("result", site), ("attr", name).
Key: TypeAlias = tuple[str, int | str, str] | tuple[str, int | str]
