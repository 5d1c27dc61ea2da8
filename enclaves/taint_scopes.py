# SPDX-License-Identifier: Apache-2.0
"""Whose a name is: the scopes of the modules of an enclave, and what functions they have."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping

from enclaves.taint_values import MAKERS, NEXT_MESSAGE

_Def = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
# Decorators that change how code is compiled, not who calls it.
_HARMLESS = ("native", "viper", "bytecode", "asm_thumb")
_CALLED_PLAINLY = ("__init__",)


class Scopes:
    """A scope is a module's name, or the id of a function or class node.

    `functions` by site; `methods` by name; `open`: functions called by code that is not seen;
    `special`: those called by operators.
    """

    def __init__(self, modules: Mapping[str, ast.Module]) -> None:
        self.functions: dict[int, _Def] = {}
        self.parameters: dict[int, tuple[str, ...]] = {}
        self.methods: dict[str, list[int]] = defaultdict(list)
        self.open: set[int] = set()
        self.special: set[int] = set()
        self.generators: set[int] = set()
        self.names: dict[int | str, set[str]] = defaultdict(set)
        self._outer: dict[int, int | str] = {}
        self._declared: set[tuple[int | str, str]] = set()  # global and nonlocal
        self._module: dict[ast.AST, str] = {}
        self._stars: list[tuple[int | str, str]] = []
        for name, tree in modules.items():
            for node in ast.walk(tree):
                self._module[node] = name
            self._visit(tree, name, None)
        for scope, module in self._stars:  # now that every module's names are known
            self.names[scope] |= set(self.exported(module))

    def enclosing(self, scope: int | str) -> int | str:
        """The scope around a function or class."""
        return self._outer[scope] if isinstance(scope, int) else scope

    def around(self, scope: int | str) -> Iterator[int | str]:
        """`scope` and every scope around it."""
        yield scope
        while isinstance(scope, int):
            scope = self._outer[scope]
            yield scope

    def stored_in(self, scope: int | str, name: str) -> list[int | str]:
        """Where an assignment to `name` in `scope` may go."""
        if (scope, name) in self._declared:
            return list(self.around(scope))
        return [scope]

    def bound(self, scope: int | str, name: str) -> list[int | str]:
        """The scopes around `scope` that bind `name`. Empty for a builtin."""
        return [place for place in self.around(scope) if name in self.names[place]]

    def exported(self, module: str) -> list[str]:
        """What `from module import *` gives."""
        return [*MAKERS, NEXT_MESSAGE] if module == "enclave" else sorted(self.names[module])

    def module_of(self, node: ast.AST) -> str:
        """The module in which `node` stands."""
        return self._module[node]

    def _visit(self, node: ast.AST, scope: int | str, owner: ast.ClassDef | None) -> None:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                    self._enter(child, scope, owner)
                case ast.ClassDef(name=name):
                    self.names[scope].add(name)
                    self._outer[id(child)] = scope
                    self._visit(child, id(child), child)
                case ast.Global(names=names) | ast.Nonlocal(names=names):
                    for name in names:
                        self._declared.add((scope, name))
                        for place in self.around(scope):
                            self.names[place].add(name)
                case ast.ImportFrom(module=module, names=[ast.alias(name="*")]):
                    self._stars.append((scope, module or ""))
                case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                    # `import a.b` binds a
                    self.names[scope] |= {a.asname or a.name.partition(".")[0] for a in aliases}
                case ast.Name(id=name, ctx=ast.Store()):
                    self.names[scope].add(name)
                case ast.ExceptHandler(name=str() as name):
                    self.names[scope].add(name)
                    self._visit(child, scope, owner)
                case ast.Yield() | ast.YieldFrom() if isinstance(scope, int):
                    self.generators.add(scope)
                    self._visit(child, scope, owner)
                case _:
                    self._visit(child, scope, owner)

    def _enter(self, node: _Def, scope: int | str, owner: ast.ClassDef | None) -> None:
        site = id(node)
        arguments = node.args
        extra = [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra]
        self.functions[site] = node
        self.parameters[site] = tuple(argument.arg for argument in every)
        self.names[site] |= set(self.parameters[site])
        self._outer[site] = scope
        if not isinstance(node, ast.Lambda):
            self.names[scope].add(node.name)
            if not all(_harmless(decorator) for decorator in node.decorator_list):
                self.open.add(site)
            if owner is not None and scope == id(owner):
                self.methods[node.name].append(site)
                if node.name.startswith("__") and node.name not in _CALLED_PLAINLY:
                    self.open.add(site)
                    self.special.add(site)
        self._visit(node, site, None)


def _harmless(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Attribute) and decorator.attr in _HARMLESS
