# SPDX-License-Identifier: Apache-2.0
"""Which names a module binds, where, and to what they may be bound (Python reference, 4.2.1)."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_SCOPES = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.Lambda,
    ast.ClassDef,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


@dataclass(frozen=True, slots=True)
class Binding:
    """One way a name gets a value: `value` is assigned, or (`how` "item") taken out of it by
    iteration.
    """

    name: str
    how: str  # "value", "item", "augmented", "import", "other"
    value: ast.expr | None = None
    operator: ast.operator | None = None


def _targets(target: ast.expr, how: str, value: ast.expr | None) -> Iterator[Binding]:
    if isinstance(target, ast.Name):
        yield Binding(target.id, how, value)
    elif isinstance(target, ast.Starred):
        yield from _targets(target.value, "other", None)
    elif isinstance(target, ast.Tuple | ast.List):
        paired = (
            isinstance(value, ast.Tuple | ast.List)
            and how == "value"
            and len(value.elts) == len(target.elts)
            and not any(isinstance(part, ast.Starred) for part in (*value.elts, *target.elts))
        )
        for index, part in enumerate(target.elts):
            if paired and isinstance(value, ast.Tuple | ast.List):
                yield from _targets(part, "value", value.elts[index])
            elif how == "item" and index == 0 and _is_call(value, "enumerate"):
                yield from _targets(part, "index", value)
            else:
                yield from _targets(part, "other", None)


def _is_call(node: ast.expr | None, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def parameters(function: Function) -> Iterator[str]:
    """Names of a function's parameters."""
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        yield argument.arg
    for star in (arguments.vararg, arguments.kwarg):
        if star is not None:
            yield star.arg


def bindings_of(node: ast.AST) -> Iterator[Binding]:  # noqa: PLR0912 (one a kind of statement)
    """What this node itself binds, not its children."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _targets(target, "value", value)
        case ast.AnnAssign(target=target, value=value) if value is not None:
            yield from _targets(target, "value", value)
        case ast.NamedExpr(target=target, value=value):
            yield from _targets(target, "value", value)
        case ast.AugAssign(target=ast.Name(id=name), op=operator, value=value):
            yield Binding(name, "augmented", value, operator)
        case ast.For(target=target, iter=items) | ast.comprehension(target=target, iter=items):
            yield from _targets(target, "item", items)
        case ast.AsyncFor(target=target):
            yield from _targets(target, "other", None)
        case ast.withitem(optional_vars=ast.expr() as target):
            yield from _targets(target, "other", None)
        case ast.ExceptHandler(name=str() as name):
            yield Binding(name, "other")
        case ast.Import(names=names):
            for alias in names:
                yield Binding(alias.asname or alias.name.partition(".")[0], "import")
        case ast.ImportFrom(names=names):
            for alias in names:
                yield Binding(alias.asname or alias.name, "other")
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield Binding(name, "other")
        case ast.Delete(targets=targets):
            for target in targets:
                yield from _targets(target, "other", None)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        for name in parameters(node):
            yield Binding(name, "parameter")


def all_bindings(tree: ast.Module) -> Mapping[str, tuple[Binding, ...]]:
    """Every binding of every name anywhere in a module, whatever the scope."""
    found: dict[str, list[Binding]] = {}
    for node in ast.walk(tree):
        for binding in bindings_of(node):
            found.setdefault(binding.name, []).append(binding)
    return {name: tuple(bindings) for name, bindings in found.items()}


def _within(scope: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a scope, with the heads but not the bodies of the scopes inside it."""
    pending = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, _SCOPES):
            # An assignment expression in a comprehension binds outside it (PEP 572).
            if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
                pending += [inner for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)]
        else:
            pending += ast.iter_child_nodes(node)


def bound_in(scope: ast.AST) -> frozenset[str]:
    """Names local to a module, class, function or comprehension."""
    names: set[str] = set()
    outside: set[str] = set()
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        names |= set(parameters(scope))
    if isinstance(scope, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        for generator in scope.generators:
            names |= {binding.name for binding in bindings_of(generator)}
        return frozenset(names)
    for node in _within(scope):
        if isinstance(node, ast.Global | ast.Nonlocal):
            outside |= set(node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif not isinstance(node, ast.Lambda | ast.comprehension):
            names |= {binding.name for binding in bindings_of(node)}
    return frozenset(names - outside)


def module_names(tree: ast.Module) -> frozenset[str]:
    """Names that are global in a module: bound at its top level, or declared `global` in a
    function.
    """
    declared = {
        name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names
    }
    return bound_in(tree) | frozenset(declared)
