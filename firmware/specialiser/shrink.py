# SPDX-License-Identifier: Apache-2.0
"""What no module of an appliance can use leaves their source before it is compiled.

The whole program is known, so a function, a class or a constant at the top of a module that no
module ever names is never used; and a number that is given to a name once, and to no other, can
stand where the name stands (MicroPython's `const`). Lines keep their numbers: what goes leaves
blank lines, so that messages and tracebacks tell the truth. If a program can reach names that are
written nowhere (`globals()`, a computed `getattr`, a star import), nothing is changed.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from firmware.specialiser.features.contexts import LOOKED_UP, contexts
from firmware.specialiser.features.scopes import all_bindings

# Whoever has one of these can look at names that the program does not spell.
_LOOKS = frozenset({"dir", "globals", "locals", "vars", "__dict__", "__globals__", "modules"})
_BY_NAME = frozenset({"getattr", "hasattr", "setattr", "delattr", "__import__"})
_SMALL = 1 << 29  # a constant below it is one word, whatever is computed with it at compile time

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Removal:
    """A statement that went: what it defined, and where it stood."""

    module: str
    line: int
    name: str


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The texts by module, each with as many lines as before, and what went.

    `texts` are Python; in `compiled`, for MicroPython's compiler, constants are marked as such.
    """

    texts: Mapping[str, bytes]
    compiled: Mapping[str, bytes]
    removals: tuple[Removal, ...]


def shrink(texts: Mapping[str, bytes]) -> Shrunk:
    """Shrinks the modules of one program, given by import name; each must parse."""
    trees = {name: ast.parse(text) for name, text in texts.items()}
    if any(map(looks_at_names, trees.values())) or not all(map(_is_utf8, texts.values())):
        return Shrunk(dict(texts), dict(texts), ())
    removals: list[Removal] = []
    kept = {name: list(tree.body) for name, tree in trees.items()}
    lines = {name: text.splitlines(keepends=True) for name, text in texts.items()}
    while True:
        said = sum((spoken(body) for body in kept.values()), Counter[str]())
        if any(map(contexts, trees.values())):
            said.update(LOOKED_UP)
        going = [
            (name, node)
            for name, body in kept.items()
            for node in body
            if _is_unused(node, trees[name], said) and _has_its_lines(node, lines[name])
        ]
        if not going:
            break
        for name, node in going:
            kept[name].remove(node)
            removals.append(Removal(name, node.lineno, _defined(node)))
            _blank(node, lines[name])
    plain = {name: b"".join(text) for name, text in lines.items()}
    replaced = frozenset(name for tree in trees.values() for name in _stored_attributes(tree))
    for name, tree in trees.items():
        for node in _constants(tree, kept[name], said, replaced):
            _make_const(node, lines[name])
    compiled = {name: b"".join(text) for name, text in lines.items()}
    ordered = sorted(removals, key=lambda each: (each.module, each.line))
    return Shrunk(plain, compiled, tuple(ordered))


def _is_utf8(text: bytes) -> bool:
    """Whether a statement's place, which Python counts in bytes of UTF-8, is one in the file."""
    try:
        return ast.parse(text.decode()) is not None and not text.startswith(b"\xef\xbb\xbf")
    except (UnicodeDecodeError, SyntaxError):
        return False


def _stored_attributes(tree: ast.Module) -> Iterator[str]:
    """Names that somebody may change from outside a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            yield node.attr


def looks_at_names(tree: ast.Module) -> bool:
    """Whether a module can reach names that it does not spell."""
    plain = set(contexts(tree))
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[_, ast.Constant(value=str()), *_]):
                if name in _BY_NAME:
                    plain.add(node.func)
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) if name in _LOOKS | _BY_NAME and node not in plain:
                return True
            case ast.Attribute(attr=name) if name in _LOOKS:
                return True
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                return True
    return False


def spoken(body: Sequence[ast.stmt]) -> Counter[str]:
    """How often each name is said otherwise than by defining it. Text counts as names, too."""
    found: Counter[str] = Counter()
    for statement in body:
        for node in ast.walk(statement):
            match node:
                case ast.Name(id=name, ctx=ast.Load() | ast.Del()):
                    found[name] += 1
                case ast.Attribute(attr=name) | ast.keyword(arg=str() as name):
                    found[name] += 1
                case ast.Global(names=names) | ast.Nonlocal(names=names):
                    found.update(names)
                case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                    found.update(alias.name for alias in aliases)
                case ast.Constant(value=str() as text) if text.isidentifier():
                    found[text] += 1
    return found


def _defined(node: ast.stmt) -> str:
    """The one name that a statement defines, or nothing."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
            return name
    return ""


def _is_unused(node: ast.stmt, tree: ast.Module, said: Counter[str]) -> bool:
    """Whether nothing but the statement itself says its name, and running it does nothing else."""
    name = _defined(node)
    if not name or (name.startswith("__") and name.endswith("__")):
        return False
    if len(all_bindings(tree)[name]) != 1:
        return False
    return said[name] == spoken([node])[name] and _is_inert(node)


def _is_inert(node: ast.stmt) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            arguments = node.args
            defaults = [*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)]
            return not node.decorator_list and all(map(_is_constant, defaults))
        case ast.ClassDef():
            plain = not node.decorator_list and not node.keywords
            bases = all(isinstance(base, ast.Name) for base in node.bases)
            return plain and bases and all(map(_is_inert, node.body))
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            return _is_constant(value)
        case ast.Expr(value=ast.Constant()) | ast.Pass():
            return True
    return False


def _is_constant(node: ast.expr) -> bool:
    return isinstance(_without_minus(node), ast.Constant)


def _without_minus(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return node.operand
    return node


def _has_its_lines(node: ast.stmt, lines: Sequence[bytes]) -> bool:
    """Whether no other statement shares the first or the last line."""
    assert node.end_lineno is not None and node.end_col_offset is not None
    before = lines[node.lineno - 1][: node.col_offset]
    after = lines[node.end_lineno - 1][node.end_col_offset :].strip()
    return not before.strip() and (not after or after.startswith(b"#"))


def _blank(node: ast.stmt, lines: list[bytes]) -> None:
    assert node.end_lineno is not None
    for number in range(node.lineno - 1, node.end_lineno):
        lines[number] = b"\n"


def _constants(
    tree: ast.Module, body: Sequence[ast.stmt], said: Counter[str], replaced: frozenset[str]
) -> Iterator[ast.Assign]:
    """Assignments of a small integer to a name that has no other meaning in the program."""
    bindings = all_bindings(tree)
    if len(bindings.get("const", ())) != sum(_imports_const(node) for node in ast.walk(tree)):
        return
    # `f(NAME=1)`: MicroPython would put the number there, too.
    named = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)} | replaced
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_small(value):
                # A name with _ in front would not be kept for other modules.
                hidden = name.startswith("_") and _said_elsewhere(name, tree, said)
                if len(bindings[name]) == 1 and name not in named and not hidden:
                    yield node


def _imports_const(node: ast.AST) -> bool:
    match node:
        case ast.ImportFrom(module="micropython", names=names):
            return any(alias.name == "const" and alias.asname is None for alias in names)
    return False


def _said_elsewhere(name: str, tree: ast.Module, said: Counter[str]) -> bool:
    here = sum(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        for node in ast.walk(tree)
    )
    return said[name] > here


def _is_small(node: ast.expr) -> bool:
    match _without_minus(node):
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            return value < _SMALL
    return False


def _make_const(node: ast.Assign, lines: list[bytes]) -> None:
    """`NAME = 5` becomes `NAME = const(5)`; only where it stands in one line."""
    value = node.value
    assert value.end_lineno is not None and value.end_col_offset is not None
    if node.lineno != node.end_lineno:
        return
    line = lines[value.lineno - 1]
    number = line[value.col_offset : value.end_col_offset]
    lines[value.lineno - 1] = (
        line[: value.col_offset] + b"const(" + number + b")" + line[value.end_col_offset :]
    )
