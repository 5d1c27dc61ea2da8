# SPDX-License-Identifier: Apache-2.0
"""The fixpoint of the taint check: statements and the heap.

Andersen's points-to analysis (*Program Analysis and Specialization for the C Programming
Language*, 1994, chapter 4): insensitive to order, calls and fields but for attribute names. Every
statement only ever adds to what a variable, an object or a function's result may be, and all are
read again until nothing is added, so no order of execution is left out.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from enclaves.taint import Place, Release
from enclaves.taint_scopes import Scopes
from enclaves.taint_values import (
    MAKERS,
    NEXT_MESSAGE,
    NOTHING,
    Atom,
    Class,
    Data,
    Function,
    Grade,
    Maker,
    Module,
    Taker,
    Thing,
    Value,
)

# Where a value is kept: ("name", scope, name), ("in", site), ("result", site), ("attr", name).
Key: TypeAlias = tuple[str, int | str, str] | tuple[str, int | str]
RAISED: Key = ("attr", "<raised>")
ANY_ATTRIBUTE: Key = ("attr", "<any>")
ANY_NAME: Key = ("in", "<globals>")
SPECIAL: Key = ("attr", "<special methods>")


class Engine:
    """One run over the modules of one enclave; `modules` by import name, the main one first."""

    def __init__(self, modules: Mapping[str, ast.Module], inputs: tuple[str, ...]) -> None:
        from enclaves.taint_calls import Calls  # noqa: PLC0415 - it imports this module

        self.modules = modules
        self.scopes = Scopes(modules)
        self.everything: Value = frozenset(Data(name, Grade.MESSAGE) for name in inputs)
        self.guessing = False  # the second pass: names that are still unknown may be any
        self.frozen: set[int | str] = set()  # tuples: nothing is put into them later
        self.store: dict[Key, set[Atom]] = defaultdict(set)
        self.changed = False
        self.released: dict[tuple[int, str], tuple[ast.Call, set[Atom], set[ast.expr]]] = {}
        self._writers: dict[Key, set[ast.expr]] = defaultdict(set)
        self._reads: dict[ast.expr, set[Key]] = defaultdict(set)
        self._reading: list[ast.expr] = []
        self._recording = False
        self.calls = Calls(self)

    def run(self) -> tuple[Release, ...]:
        """The releases, by module and line."""
        for self.guessing in (False, True):
            self.changed = True
            while self.changed:
                self.changed = False
                self._pass()
        self._recording = True  # nothing changes any more: see what was read and written for what
        self._pass()
        found = [self._release(gate, *entry) for (_, gate), entry in self.released.items()]
        order = {name: index for index, name in enumerate(self.modules)}
        return tuple(sorted(found, key=lambda r: (order[r.place.module], r.place.line, r.gate)))

    # What is known, and who made it so.

    def load(self, key: Key) -> Value:
        """What may be in `key`."""
        if self._recording:
            for node in self._reading:
                self._reads[node].add(key)
        return frozenset(self.store[key])

    def add(self, key: Key, value: Value, node: ast.expr | None = None) -> None:
        """`value` may be in `key`, because of the expression `node`."""
        held = self.store[key]
        if not value <= held:
            held |= value
            self.changed = True
        if self._recording:
            for writer in (node,) if node is not None else self._reading[-1:]:
                self._writers[key].add(writer)

    def inside(self, value: Value) -> Value:
        """What the objects of `value` hold: items and attributes."""
        found: set[Atom] = set()
        for atom in value:
            if isinstance(atom, Thing):
                found |= self.load(("in", atom.site))
        return frozenset(found)

    def deep(self, value: Value) -> Value:
        """`value`, what it holds, what that holds, and so on."""
        found = set(value)
        waiting = [atom.site for atom in value if isinstance(atom, Thing)]
        while waiting:
            new = self.load(("in", waiting.pop())) - found
            found |= new
            waiting += [atom.site for atom in new if isinstance(atom, Thing)]
        return frozenset(found)

    def items(self, value: Value) -> Value:
        """What iteration or an index may give: an item of an object, or a part of data."""
        own: Value = frozenset(atom for atom in value if not isinstance(atom, Thing))
        if len(own) < len(value):
            own |= self.load(SPECIAL)
        return own | self.inside(value)

    def put(self, value: Value, item: Value, node: ast.expr | None = None) -> None:
        """`item` may be put into each object of `value`."""
        for atom in value:
            if isinstance(atom, Thing) and atom.site not in self.frozen:
                self.add(("in", atom.site), item - {atom}, node)

    def evaluate(self, node: ast.expr, scope: int | str) -> Value:
        """What `node` may be; remembers what was read for it."""
        self._reading.append(node)
        try:
            return self.calls.expression(node, scope)
        finally:
            self._reading.pop()

    # Statements.

    def _pass(self) -> None:
        for name, tree in self.modules.items():
            self._body(tree.body, name)
        for site, function in self.scopes.functions.items():
            self._function(site, function)

    def _function(
        self, site: int, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    ) -> None:
        arguments = node.args
        parameters = self.scopes.parameters[site]
        scope = self.scopes.enclosing(site)
        defaults = [*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)]
        for default in defaults:
            value = self.evaluate(default, scope)
            for name in parameters:
                self.add(("name", site, name), value, default)
        if site in self.scopes.open:  # who calls it, and with what, is not seen
            for name in parameters:
                self.add(("name", site, name), self.everything)
        if isinstance(node, ast.Lambda):
            self.add(("result", site), self.evaluate(node.body, site), node.body)
            return
        self._body(node.body, site)
        if site in self.scopes.special:
            self.add(SPECIAL, self.load(("result", site)))

    def _body(self, body: list[ast.stmt], scope: int | str) -> None:
        for statement in body:
            self._statement(statement, scope)

    def _statement(  # noqa: PLR0912 - one case a kind of node
        self, node: ast.stmt, scope: int | str
    ) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for decorator in node.decorator_list:
                    self.evaluate(decorator, scope)
                self.add_name(node.name, scope, self._defined(node))
                return
            case ast.ClassDef():
                self._class(node, scope)
                return
            case ast.Import() | ast.ImportFrom():
                self._import(node, scope)
            case ast.Assign(targets=targets, value=value):
                given = self.evaluate(value, scope)
                for target in targets:
                    self.assign(target, given, value, scope)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, self.evaluate(value, scope), value, scope)
            case ast.AugAssign(target=target, op=op, value=value):
                before = self.evaluate(target, scope)
                given = self.evaluate(value, scope)
                self.put(before, self.items(given), value)  # a list takes the items in
                self.assign(target, self.calls.operation(op, before, given), value, scope)
            case ast.For(target=target, iter=iterated) | ast.AsyncFor(target=target, iter=iterated):
                items = self.items(self.evaluate(iterated, scope))
                self.assign(target, items, iterated, scope)
            case ast.With(items=withs) | ast.AsyncWith(items=withs):
                for item in withs:
                    given = self.evaluate(item.context_expr, scope) | self.load(SPECIAL)
                    if item.optional_vars is not None:
                        self.assign(item.optional_vars, given, item.context_expr, scope)
            case ast.Return(value=ast.expr() as value):
                self.add(("result", scope), self.evaluate(value, scope), value)
            case ast.Raise(exc=ast.expr() as value):
                self.add(RAISED, self.deep(self.evaluate(value, scope)), value)
            case _:
                # Conditions, bare expressions: calls in them count, their values do not.
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.evaluate(child, scope)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                self._statement(child, scope)
            elif isinstance(child, ast.ExceptHandler):
                if child.name:  # the text of an error may quote what caused it
                    self.add_name(child.name, scope, self.load(RAISED) | self.everything)
                self._body(child.body, scope)

    def _defined(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Value:
        own: Value = frozenset({Function(id(node))})
        return own | self.load(("result", id(node))) if id(node) in self.scopes.open else own

    def _class(self, node: ast.ClassDef, scope: int | str) -> None:
        for outer in (*node.bases, *(k.value for k in node.keywords), *node.decorator_list):
            self.evaluate(outer, scope)
        self._body(node.body, id(node))
        for name in self.scopes.names[id(node)]:
            self.add(("attr", name), self.load(("name", id(node), name)))
        self.add_name(node.name, scope, frozenset({Class(id(node))}))

    def _import(self, node: ast.Import | ast.ImportFrom, scope: int | str) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                named = Module(alias.name if alias.asname else top)
                self.add_name(alias.asname or top, scope, frozenset({named}))
            return
        module = node.module or ""
        for alias in node.names:
            names = [alias.name] if alias.name != "*" else self.scopes.exported(module)
            for name in names:
                self.add_name(alias.asname or name, scope, self.member(module, name))

    def member(self, module: str, name: str) -> Value:
        """The attribute `name` of a module."""
        if module == "enclave":
            if name == NEXT_MESSAGE:
                return frozenset({Taker()})
            return frozenset({Maker(name)}) if name in MAKERS else NOTHING
        found = self.load(("name", module, name)) | self.load(("attr", name))
        if f"{module}.{name}" in self.modules:
            found |= {Module(f"{module}.{name}")}
        # A module that is not ours may keep something there that can be changed: `sys.path`.
        return found if module in self.modules else found | {Thing(f"{module}.{name}")}

    def add_name(
        self, name: str, scope: int | str, value: Value, node: ast.expr | None = None
    ) -> None:
        """`name` may be `value` in `scope`, or in those around it when it says global."""
        for place in self.scopes.stored_in(scope, name):
            self.add(("name", place, name), value, node)

    def assign(self, target: ast.expr, value: Value, node: ast.expr, scope: int | str) -> None:
        """`target = value`; `node` is where the value is from."""
        match target:
            case ast.Name(id=name):
                self.add_name(name, scope, value, node)
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                for element in elements:
                    self.assign(element, self.items(value), node, scope)
            case ast.Starred(value=inner):
                thing = Thing(id(target))
                self.add(("in", thing.site), value, node)
                self.assign(inner, frozenset({thing}), node, scope)
            case ast.Attribute(value=owner, attr=name):
                held = self.evaluate(owner, scope)
                self.add(("attr", name), value, node)
                self.put(held, value, node)
                for atom in held:
                    if isinstance(atom, Module):
                        self.add(("name", atom.name, name), value, node)
            case ast.Subscript(value=owner, slice=index):
                held = self.evaluate(owner, scope)
                key = self.evaluate(index, scope)
                self.put(held, value | key, node)

    # The answer.

    def _release(
        self, gate: str, call: ast.Call, value: set[Atom], roots: set[ast.expr]
    ) -> Release:
        data = [atom for atom in self.deep(frozenset(value)) if isinstance(atom, Data)]
        raw = {atom.input for atom in data if atom.grade is not Grade.COMPUTED}
        places = {self._place(node) for node in self._behind(roots)}
        return Release(
            gate=gate,
            place=self._place(call),
            raw=tuple(sorted(raw)),
            computed=tuple(sorted({atom.input for atom in data} - raw)),
            reaches=tuple(sorted(places)),
        )

    def _behind(self, roots: set[ast.expr]) -> Iterator[ast.expr]:
        """The expressions whose values may become part of `roots`, the outermost of each place.

        Constants and plain names are left out: they add nothing to what is listed.
        """
        seen, keys = set(roots), set[Key]()
        waiting = list(roots)
        while waiting:
            for key in self._reads[waiting.pop()] - keys:
                keys.add(key)
                waiting += self._writers[key] - seen
                seen |= self._writers[key]
        inner = {part for node in seen for part in ast.walk(node) if part is not node}
        for node in seen - inner:
            named = any(isinstance(part, ast.Name) for part in ast.walk(node))
            if named and not isinstance(node, ast.Name):
                yield node

    def _place(self, node: ast.expr) -> Place:
        text = " ".join(ast.unparse(node).split())
        return Place(self.scopes.module_of(node), node.lineno, text)
