# SPDX-License-Identifier: Apache-2.0
"""What reaches the gates of an enclave: a taint check of its Python source.

Every message that `input(...).receive()` or `next_message` gives is *raw*, and stays raw wherever
it, a part of it or another encoding of it may get to: aliases, slices, containers, attributes,
arguments, results, closures, `+`, `*`, `%`, bit operations, formatting, and every call whose code
is not seen. It counts as *computed* only behind `-`, `/`, `//`, `**`, a comparison, `len`, `sum`,
`any`, `all`, `bool`, `isinstance`, or `min` and `max` over numbers of a collection. Branches are
not followed: what a decision tells is not data. The answer errs on one side: it may call raw what
is not.

`taint_engine` does the work; this module asks the question; `releases` has the answer as values.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from enclaves.releases import Release
from enclaves.taint_engine import Engine


@dataclass(frozen=True, slots=True)
class Source:
    """One module of the enclave: import name and source, as text or as the file's bytes."""

    name: str
    text: str | bytes


def trace(sources: Iterable[Source], inputs: Iterable[str]) -> tuple[Release, ...]:
    """Every release in `sources`, the main module first. `inputs`: the names of its channels.

    Raises SyntaxError for what is not Python.
    """
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
