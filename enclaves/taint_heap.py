# SPDX-License-Identifier: Apache-2.0
"""The heap of the taint check: what each variable, object and result may be, and why."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from enclaves.taint_scopes import Scopes
from enclaves.taint_values import (
    MAKERS,
    NEXT_MESSAGE,
    NOTHING,
    Atom,
    Data,
    Grade,
    Key,
    Maker,
    Module,
    Taker,
    Thing,
    Value,
)

RAISED: Key = ("attr", "<raised>")
ANY_ATTRIBUTE: Key = ("attr", "<any>")
ANY_NAME: Key = ("in", "<globals>")
SPECIAL: Key = ("attr", "<special methods>")


class Heap:
    """Of one enclave; `modules` by import name, the main one first. It only ever grows."""

    def __init__(self, modules: Mapping[str, ast.Module], inputs: tuple[str, ...]) -> None:
        self.modules = modules
        self.scopes = Scopes(modules)
        self.everything: Value = frozenset(Data(name, Grade.MESSAGE) for name in inputs)
        self.guessing = False  # the second pass: names that are still unknown may be any
        self.frozen: set[int | str] = set()  # tuples: nothing is put into them later
        self.store: dict[Key, set[Atom]] = defaultdict(set)
        self.changed = False
        self.recording = False  # what is read and written for what
        self.released: dict[tuple[int, str], tuple[ast.Call, set[Atom], set[ast.expr]]] = {}
        self._writers: dict[Key, set[ast.expr]] = defaultdict(set)
        self._reads: dict[ast.expr, set[Key]] = defaultdict(set)
        self._reading: list[ast.expr] = []

    def load(self, key: Key) -> Value:
        """What may be in `key`."""
        if self.recording:
            for node in self._reading:
                self._reads[node].add(key)
        return frozenset(self.store[key])

    def add(self, key: Key, value: Value, node: ast.expr | None = None) -> None:
        """`value` may be in `key`, because of the expression `node`."""
        held = self.store[key]
        if not value <= held:
            held |= value
            self.changed = True
        if self.recording:
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

    @contextmanager
    def reading_for(self, node: ast.expr) -> Iterator[None]:
        """What is read meanwhile is read for `node`."""
        self._reading.append(node)
        try:
            yield
        finally:
            self._reading.pop()

    def behind(self, roots: set[ast.expr]) -> Iterator[ast.expr]:
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
