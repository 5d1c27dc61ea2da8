# SPDX-License-Identifier: Apache-2.0
"""Build profiles: what is for finding mistakes, and is in a `debug` image alone.

`release`: no `assert`, no `if __debug__:`, no `enclave.debug`, no line numbers (these go to the
symbol file). `debug`: all of it, and tracebacks with lines on the board.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Literal

Profile = Literal["release", "debug"]
DEFAULT: Profile = "release"
# The frames of a processor's fault: linked by the virtual machine, told by the monitor.
TELLS_FRAMES = "COFFRET_TELLS_FRAMES"

# Where these stand in a statement, what the function around it is or means would change with it.
_BINDING = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom),
    *(ast.Global, ast.Nonlocal, ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Await),
    *(ast.ExceptHandler, ast.AsyncFor, ast.AsyncWith, ast.Return, ast.Break, ast.Continue),
)


def profile_switches(profile: Profile) -> Mapping[str, str]:
    """Of the virtual machine; they are part of the measured runtime digest."""
    debug = str(int(profile == "debug"))
    return {"MICROPY_ENABLE_SOURCE_LINE": debug, TELLS_FRAMES: debug}


def without_debugging(text: bytes) -> bytes:
    """A module as the release profile compiles it, with as many lines.

    What is left standing, because it binds a name or makes a generator, the compiler drops: it is
    told the same.
    """
    try:
        tree = ast.parse(text)
        ast.parse(text.decode())
    except (SyntaxError, ValueError):
        return text
    if text.startswith(b"\xef\xbb\xbf"):
        return text
    lines = text.splitlines(keepends=True)
    for node in reversed(list(_outermost(tree))):
        _cut(node, lines)
    return b"".join(lines)


def _outermost(node: ast.AST) -> Iterator[ast.stmt]:
    """The statements to cut, in the order of the text; none within another."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt) and _is_debugging(child) and not _binds(child):
            yield child
        else:
            yield from _outermost(child)


def _is_debugging(node: ast.stmt) -> bool:
    match node:
        case ast.Assert():
            return True
        case ast.If(test=ast.Name(id="__debug__"), orelse=[]):
            return True
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Name(id="enclave"), attr="debug"))
        ):
            return True
    return False


def _binds(statement: ast.stmt) -> bool:
    for node in ast.walk(statement):
        if isinstance(node, _BINDING):
            return True
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            return True
    return False


def _cut(node: ast.stmt, lines: list[bytes]) -> None:
    """`pass` in its place."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    if lines[first][node.col_offset :].startswith(b"elif"):
        return  # a branch of another `if`, which begins with a word of its own
    before, after = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
    code_follows = after.strip() and not after.strip().startswith(b"#")
    end = b"\\\n" if code_follows else b"\n"
    lines[first : last + 1] = [before + b"pass" + end * (last - first) + after]
