# SPDX-License-Identifier: Apache-2.0
"""Imports of one module: of the virtual machine's own modules, of the appliance's, and of none."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from firmware.specialiser.features.catalogue import NAMES
from firmware.specialiser.features.evaluation import Outside
from firmware.specialiser.features.library import ABSENT, LIBRARY, REFUSED_MODULES
from firmware.specialiser.features.needs import Source
from firmware.specialiser.features.notes import ModuleNotes
from firmware.specialiser.features.scopes import all_bindings

_NO_SUCH = "a sealed image has MicroPython's builtin modules and those its appliance.toml lists"
_CAUGHT = frozenset(("ImportError", "Exception", "BaseException"))


class Imports:
    """Which names of a module stand for modules."""

    def __init__(self, tree: ast.Module, sources: Mapping[str, Source], outside: Outside) -> None:
        self._frozen = frozenset(sources)
        # A module of the appliance hides one of the library, but not one that is the library's own.
        own = {name for name, source in sources.items() if not source.upstream}
        self._library = {name: module for name, module in LIBRARY.items() if name not in own}
        self._guarded = frozenset(_guarded(tree))
        self._stored = outside.stored
        self._aliases = _aliases(tree, outside)
        self._members = dict(_from_imports(tree))

    def is_module(self, name: str) -> bool:
        """Whether a name can only be a module."""
        return name in self._aliases

    def member_of(self, node: ast.expr) -> tuple[str, str] | None:
        """(module, member) if an expression names a library module's member."""
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in self._aliases:
                return self._aliases[name], attribute
            case ast.Name(id=name) if name in self._members:
                return self._members[name]
        return None

    def import_(self, notes: ModuleNotes, node: ast.Import) -> None:
        """`import a, b as c`."""
        for alias in node.names:
            self._import(notes, node, alias.name)
            name = alias.asname or alias.name
            if not self.is_module(name) and alias.name in self._library:
                self.whole_module(notes, node, alias.name, f"`{name}` is bound to other things too")

    def import_from(self, notes: ModuleNotes, node: ast.ImportFrom) -> None:
        """`from a import b`."""
        if node.level or node.module is None:
            notes.refuse(node, "a relative import", "import the module by its name")
            return
        if not self._import(notes, node, node.module):
            return
        for alias in node.names:
            if alias.name == "*":
                self.whole_module(notes, node, node.module, "a star import")
            else:
                self.member(notes, node, node.module, alias.name, loaded=True)

    def dynamic(self, notes: ModuleNotes, node: ast.Call) -> None:
        """`__import__(name)`."""
        match node.args:
            case [ast.Constant(value=str() as name), *_]:
                self._import(notes, node, name)
                self.whole_module(notes, node, name, "`__import__` gives a module as a value")
            case _:
                notes.refuse(
                    node, "`__import__` with a computed name", "write a plain import of each module"
                )

    def member(
        self, notes: ModuleNotes, node: ast.AST, name: str, member: str, loaded: bool
    ) -> None:
        """`module.member` is used; `name` is an alias or the module's own name."""
        module = self._library.get(self._aliases.get(name, name))
        if module is None:
            return
        if module.name == "builtins":
            if not loaded:
                notes.need(("CAN_OVERRIDE_BUILTINS",), node, f"builtins.{member} is replaced")
            else:
                notes.need(NAMES.get(member, ()), node, f"`builtins.{member}`")
            return
        needed = module.members.get(member)
        if needed is None and member.startswith("__"):
            notes.attribute(node, member)
        elif needed is None or ABSENT in needed:
            offered = ", ".join(sorted(_offered(module.members)))
            notes.refuse(node, f"`{module.name}.{member}`", f"{module.name} has {offered}")
        else:
            notes.need(needed, node, f"`{module.name}.{member}`")

    def offers(self, notes: ModuleNotes, node: ast.AST, alias: str, member: str) -> bool | None:
        """Whether a module of the library has a member, which then is needed; None: not known."""
        module = self._library.get(self._aliases.get(alias, ""))
        if module is None or module.name == "builtins" or member in self._stored:
            return None
        offered = member in _offered(module.members)
        if offered:
            self.member(notes, node, alias, member, loaded=True)
        return offered

    def whole_module(self, notes: ModuleNotes, node: ast.AST, name: str, what: str) -> None:
        """Every member of a module may be used."""
        module = self._library.get(self._aliases.get(name, name))
        if module is None:
            return
        members = NAMES if module.name == "builtins" else module.members
        for needed in members.values():
            if ABSENT not in needed:
                notes.need(needed, node, f"{what}: all of {module.name} is kept")

    def _import(self, notes: ModuleNotes, node: ast.stmt | ast.Call, name: str) -> bool:
        if name in self._library:
            notes.need(self._library[name].switches, node, f"`import {name}`")
            return True
        if name in self._frozen:
            return True
        if node not in self._guarded:
            top = name.partition(".")[0]
            mend = REFUSED_MODULES.get(name, REFUSED_MODULES.get(top, _NO_SUCH))
            notes.refuse(node, f"`import {name}`: no such module on the board", mend)
        return False


def _offered(members: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    return (member for member, needed in members.items() if ABSENT not in needed)


def _aliases(tree: ast.Module, outside: Outside) -> dict[str, str]:
    modules: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                modules.setdefault(alias.asname or alias.name, set()).add(alias.name)
    bindings = all_bindings(tree)
    return {
        name: next(iter(found))
        for name, found in modules.items()
        if len(found) == 1
        and name not in outside.stored
        and not outside.anything
        and all(binding.how == "import" for binding in bindings.get(name, ()))
    }


def _from_imports(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str() as module, names=names) if module in LIBRARY:
                for alias in names:
                    yield alias.asname or alias.name, (module, alias.name)


def _guarded(tree: ast.Module) -> Iterator[ast.AST]:
    """Imports whose failure the program catches."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(_catches(handler) for handler in node.handlers):
            for statement in node.body:
                yield from ast.walk(statement)


def _catches(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(isinstance(node, ast.Name) and node.id in _CAUGHT for node in ast.walk(handler.type))
