# SPDX-License-Identifier: Apache-2.0
"""What reaches the gates of an enclave: a taint check of its Python source.

Every message that `input(...).receive()` or `next_message` gives is *raw*, and stays raw wherever
it, a part of it or another encoding of it may get to: aliases, slices, containers, attributes,
arguments, results, closures, `+`, `*`, `%`, bit operations, formatting, and every call whose code
is not seen. It counts as *computed* only behind `-`, `/`, `//`, `**`, a comparison, `len`, `sum`,
`any`, `all`, `bool`, `isinstance`, or `min` and `max` over numbers of a collection. Branches are
not followed: what a decision tells is not data. The answer errs on one side: it may call raw what
is not.

`taint_engine` does the work; this module has the question and the answer as values.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

UNKNOWN = "?"  # an input or gate whose name is not a constant


@dataclass(frozen=True, slots=True)
class Source:
    """One module of the enclave: import name and source, as text or as the file's bytes."""

    name: str
    text: str | bytes


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """An expression: its module, its first line, its text on one line."""

    module: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Release:
    """One place where data may leave through `gate`, and what may be in it.

    `raw` and `computed` name inputs; `reaches` has every expression whose value may become a part
    of what is released, in the order of the source.
    """

    gate: str
    place: Place
    raw: tuple[str, ...]
    computed: tuple[str, ...]
    reaches: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Privileged:
    """An enclave that holds a gate: its lines of code are trusted. `lines` by module."""

    enclave: str
    gates: tuple[str, ...]
    lines: Mapping[str, int]
    releases: tuple[Release, ...]


def trace(sources: Iterable[Source], inputs: Iterable[str]) -> tuple[Release, ...]:
    """Every release in `sources`, the main module first. `inputs`: the names of its channels.

    Raises SyntaxError for what is not Python.
    """
    from enclaves.taint_engine import Engine  # noqa: PLC0415 - it imports this module

    engine = Engine({s.name: ast.parse(s.text) for s in sources}, tuple(inputs))
    return engine.run()


def code_lines(text: str | bytes) -> int:
    """How many lines have code: no blank lines, comments or docstrings."""
    tree = ast.parse(text)
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not _is_docstring(node):
            for inner in ast.walk(node):
                if isinstance(inner, ast.expr):
                    lines |= {inner.lineno, inner.end_lineno or inner.lineno}
            lines.add(node.lineno)
    docstrings = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and _is_docstring(node)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return len(lines - docstrings)


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
