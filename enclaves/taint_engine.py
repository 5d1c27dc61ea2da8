# SPDX-License-Identifier: Apache-2.0
"""The fixpoint of the taint check: statements, until the heap grows no more.

Andersen's points-to analysis (*Program Analysis and Specialization for the C Programming
Language*, 1994, chapter 4): insensitive to order, calls and fields but for attribute names. Every
statement only ever adds to what a variable, an object or a function's result may be, and all are
read again until nothing is added, so no order of execution is left out.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from enclaves.releases import Place, Release
from enclaves.taint_calls import Calls
from enclaves.taint_heap import RAISED, SPECIAL, Heap
from enclaves.taint_values import Atom, Class, Data, Function, Grade, Module, Value


class Engine:
    """One run over the modules of one enclave; `modules` by import name, the main one first."""

    def __init__(self, modules: Mapping[str, ast.Module], inputs: tuple[str, ...]) -> None:
        self._heap = Heap(modules, inputs)
        self._calls = Calls(self._heap)

    def run(self) -> tuple[Release, ...]:
        """The releases, by module and line."""
        for self._heap.guessing in (False, True):
            self._heap.changed = True
            while self._heap.changed:
                self._heap.changed = False
                self._pass()
        self._heap.recording = (
            True  # nothing changes any more: see what was read and written for what
        )
        self._pass()
        found = [self._release(gate, *entry) for (_, gate), entry in self._heap.released.items()]
        order = {name: index for index, name in enumerate(self._heap.modules)}
        return tuple(sorted(found, key=lambda r: (order[r.place.module], r.place.line, r.gate)))

    # Statements.

    def _pass(self) -> None:
        for name, tree in self._heap.modules.items():
            self._body(tree.body, name)
        for site, function in self._heap.scopes.functions.items():
            self._function(site, function)

    def _function(
        self, site: int, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    ) -> None:
        arguments = node.args
        parameters = self._heap.scopes.parameters[site]
        scope = self._heap.scopes.enclosing(site)
        defaults = [*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)]
        for default in defaults:
            value = self._calls.evaluate(default, scope)
            for name in parameters:
                self._heap.add(("name", site, name), value, default)
        if site in self._heap.scopes.open:  # who calls it, and with what, is not seen
            for name in parameters:
                self._heap.add(("name", site, name), self._heap.everything)
        if isinstance(node, ast.Lambda):
            self._heap.add(("result", site), self._calls.evaluate(node.body, site), node.body)
            return
        self._body(node.body, site)
        if site in self._heap.scopes.special:
            self._heap.add(SPECIAL, self._heap.load(("result", site)))

    def _body(self, body: list[ast.stmt], scope: int | str) -> None:
        for statement in body:
            self._statement(statement, scope)

    def _statement(  # noqa: PLR0912 - one case a kind of node
        self, node: ast.stmt, scope: int | str
    ) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for decorator in node.decorator_list:
                    self._calls.evaluate(decorator, scope)
                self._heap.add_name(node.name, scope, self._defined(node))
                return
            case ast.ClassDef():
                self._class(node, scope)
                return
            case ast.Import() | ast.ImportFrom():
                self._import(node, scope)
            case ast.Assign(targets=targets, value=value):
                given = self._calls.evaluate(value, scope)
                for target in targets:
                    self._calls.assign(target, given, value, scope)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._calls.assign(target, self._calls.evaluate(value, scope), value, scope)
            case ast.AugAssign(target=target, op=op, value=value):
                before = self._calls.evaluate(target, scope)
                given = self._calls.evaluate(value, scope)
                self._heap.put(before, self._heap.items(given), value)  # a list takes the items in
                self._calls.assign(target, self._calls.operation(op, before, given), value, scope)
            case ast.For(target=target, iter=iterated) | ast.AsyncFor(target=target, iter=iterated):
                items = self._heap.items(self._calls.evaluate(iterated, scope))
                self._calls.assign(target, items, iterated, scope)
            case ast.With(items=withs) | ast.AsyncWith(items=withs):
                for item in withs:
                    given = self._calls.evaluate(item.context_expr, scope) | self._heap.load(
                        SPECIAL
                    )
                    if item.optional_vars is not None:
                        self._calls.assign(item.optional_vars, given, item.context_expr, scope)
            case ast.Return(value=ast.expr() as value):
                self._heap.add(("result", scope), self._calls.evaluate(value, scope), value)
            case ast.Raise(exc=ast.expr() as value):
                self._heap.add(RAISED, self._heap.deep(self._calls.evaluate(value, scope)), value)
            case _:
                # Conditions, bare expressions: calls in them count, their values do not.
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self._calls.evaluate(child, scope)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                self._statement(child, scope)
            elif isinstance(child, ast.ExceptHandler):
                if child.name:  # the text of an error may quote what caused it
                    self._heap.add_name(
                        child.name, scope, self._heap.load(RAISED) | self._heap.everything
                    )
                self._body(child.body, scope)

    def _defined(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Value:
        own: Value = frozenset({Function(id(node))})
        return (
            own | self._heap.load(("result", id(node)))
            if id(node) in self._heap.scopes.open
            else own
        )

    def _class(self, node: ast.ClassDef, scope: int | str) -> None:
        for outer in (*node.bases, *(k.value for k in node.keywords), *node.decorator_list):
            self._calls.evaluate(outer, scope)
        self._body(node.body, id(node))
        for name in self._heap.scopes.names[id(node)]:
            self._heap.add(("attr", name), self._heap.load(("name", id(node), name)))
        self._heap.add_name(node.name, scope, frozenset({Class(id(node))}))

    def _import(self, node: ast.Import | ast.ImportFrom, scope: int | str) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                named = Module(alias.name if alias.asname else top)
                self._heap.add_name(alias.asname or top, scope, frozenset({named}))
            return
        module = node.module or ""
        for alias in node.names:
            names = [alias.name] if alias.name != "*" else self._heap.scopes.exported(module)
            for name in names:
                self._heap.add_name(alias.asname or name, scope, self._heap.member(module, name))

    # The answer.

    def _release(
        self, gate: str, call: ast.Call, value: set[Atom], roots: set[ast.expr]
    ) -> Release:
        data = [atom for atom in self._heap.deep(frozenset(value)) if isinstance(atom, Data)]
        raw = {atom.input for atom in data if atom.grade is not Grade.COMPUTED}
        places = {self._place(node) for node in self._heap.behind(roots)}
        return Release(
            gate=gate,
            place=self._place(call),
            raw=tuple(sorted(raw)),
            computed=tuple(sorted({atom.input for atom in data} - raw)),
            reaches=tuple(sorted(places)),
        )

    def _place(self, node: ast.expr) -> Place:
        text = " ".join(ast.unparse(node).split())
        return Place(self._heap.scopes.module_of(node), node.lineno, text)
