# SPDX-License-Identifier: Apache-2.0
"""Walks one module and notes what it needs, each with its line."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from firmware.specialiser.features import calls, formats, operators
from firmware.specialiser.features.catalogue import (
    BUILTIN_TYPES,
    FLOAT,
    LONGINT,
    NAMES,
    REFUSED_NAMES,
)
from firmware.specialiser.features.contexts import contexts
from firmware.specialiser.features.evaluation import Evaluator
from firmware.specialiser.features.imports import Imports
from firmware.specialiser.features.needs import Needs, Reason
from firmware.specialiser.features.notes import ModuleNotes
from firmware.specialiser.features.program import Program
from firmware.specialiser.features.scopes import Comprehension, Function, bound_in, module_names
from firmware.specialiser.features.values import OTHER, SMALL_MAX, SMALL_MIN


class Reader(ModuleNotes, ast.NodeVisitor):
    """Fills `needs` from one module of a program."""

    def __init__(self, program: Program, name: str, evaluator: Evaluator, needs: Needs) -> None:
        super().__init__(program, name, evaluator, needs)
        self.tree = program.trees[name]
        self.imports = Imports(self.tree, program.sources, program.outside)
        self._globals = module_names(self.tree)
        self._scopes: list[tuple[ast.AST, frozenset[str]]] = []
        # Builtin types that are called or asked about, which is harmless; anything else is a use
        # as a value.
        self._plain: set[ast.AST] = set()
        self._called: set[ast.AST] = set()
        self._contexts = contexts(self.tree)

    def read(self) -> None:
        """Visits the whole module."""
        if any(
            isinstance(node, ast.FunctionDef) and node.name == "__getattr__"
            for node in self.tree.body
        ):
            self.need(("MODULE_GETATTR",), self.tree.body[0], "a module-level __getattr__")
        for name, line in self.program.range_escapes:
            if name == self.name:
                # Then two ranges can be compared.
                reason = Reason(self.file, line, "a range becomes a value")
                self.needs.add(("PY_BUILTINS_RANGE_BINOP",), reason)
        self.visit(self.tree)

    # -- names --

    def is_builtin(self, name: str) -> bool:
        """Whether a name at the present place means Python's own."""
        return not self._is_local(name) and name not in self._globals

    def _is_local(self, name: str) -> bool:
        innermost = True
        for scope, names in reversed(self._scopes):
            if name in names and (innermost or not isinstance(scope, ast.ClassDef)):
                return True
            innermost = False
        return False

    def _inside(self, scope: ast.AST, parts: Iterable[ast.AST]) -> None:
        self._scopes.append((scope, bound_in(scope)))
        for part in parts:
            self.visit(part)
        self._scopes.pop()

    def visit_Name(self, node: ast.Name) -> None:
        name = node.id
        if not isinstance(node.ctx, ast.Load):
            self.define(node, name)
            return
        if self.imports.is_module(name):
            self.imports.whole_module(self, node, name, f"`{name}` is used as a value")
            return
        if self._is_local(name):
            return
        if name in REFUSED_NAMES and name not in self._globals:
            self.refuse(node, f"`{name}`", REFUSED_NAMES[name])
        if NAMES.get(name):
            self.need(NAMES[name], node, f"`{name}`")
        if node not in self._called:
            calls.as_value(self, node)
        if name in BUILTIN_TYPES and node not in self._plain:
            what = f"the type `{name}` is used as a value"
            self.need(("BUILTIN_METHOD_CHECK_SELF_ARG", "CPYTHON_COMPAT"), node, what)
            if name == "str":
                self.need((formats.UNICODE,), node, what)
            if name == "type":
                self.dynamic_class(node, what)
        if name in ("globals", "locals", "__builtins__") and node not in self._contexts:
            for switches in NAMES.values():
                self.need(switches, node, f"`{name}`: cannot be decided, so kept")
        if name == "dir":
            self.every_attribute(node, "`dir`")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and self.imports.is_module(node.value.id):
            loaded = isinstance(node.ctx, ast.Load)
            self.imports.member(self, node, node.value.id, node.attr, loaded)
            return
        if isinstance(node.ctx, ast.Load):
            self.attribute(node, node.attr)
            if node.attr == "format":
                self._format(node)
        else:
            self.define(node, node.attr)
        # Class methods take no self. `str.upper` as a function does, and counts as a use of the
        # type.
        if node.attr in ("from_bytes", "fromhex", "fromkeys"):
            self._plain.add(node.value)
        self.visit(node.value)

    def _format(self, node: ast.Attribute) -> None:
        match node.value:
            case ast.Constant(value=str() as text):
                try:
                    self.need(formats.template(text), node, "a format specification")
                except ValueError as error:
                    self.refuse(node, f"the format string: {error}", "mend the braces")
            case _:
                self.need(
                    self.program.template_needs, node, "`.format` on a string known at run time"
                )

    # -- definitions --

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.need(("PY_ASYNC_AWAIT",), node, "`async def`")
        self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._parameters(node)
        self._inside(node, [node.body])

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.define(node, node.name)
        for decorator in node.decorator_list:
            match decorator:
                case ast.Attribute(value=ast.Name(id="micropython"), attr="native" | "viper"):
                    self.need(("EMIT_THUMB",), decorator, "a function in machine code")
                case ast.Attribute(value=ast.Name(id="micropython"), attr=attr) if attr.startswith(
                    "asm_"
                ):
                    mend = "inline assembly is not built: write it in Python, natively if it is hot"
                    self.refuse(decorator, f"`@micropython.{attr}`", mend)
                case ast.Attribute(value=ast.Name(id="micropython"), attr="bytecode"):
                    pass
                case _:
                    self.visit(decorator)
        self._parameters(node)
        self._inside(node, node.body)

    def _parameters(self, node: Function) -> None:
        if node.args.posonlyargs:
            self.refuse(node, "positional-only parameters", "MicroPython has none: remove the `/`")
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if len(node.bases) > 1 or any(isinstance(base, ast.Starred) for base in node.bases):
            self.need(("MULTIPLE_INHERITANCE",), node, f"class `{node.name}` has several bases")
        for keyword in node.keywords:
            self.refuse(keyword, "a class keyword", "MicroPython has no metaclasses: remove it")
        # A base class is used as a type, its methods are bound to instances.
        self._plain |= {base for base in node.bases if isinstance(base, ast.Name)}
        for part in (*node.bases, *node.decorator_list):
            self.visit(part)
        self._inside(node, node.body)

    def _comprehension(self, node: Comprehension) -> None:
        self._inside(node, ast.iter_child_nodes(node))

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self.need(("PY_BUILTINS_SET",), node, "a set comprehension")
        self._comprehension(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        if node.is_async:
            self.need(("PY_ASYNC_AWAIT",), node.target, "`async for`")
        self.generic_visit(node)

    # -- statements --

    def visit_Expr(self, node: ast.Expr) -> None:
        # A string by itself is a comment: the compiler drops it.
        if not isinstance(node.value, ast.Constant):
            self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        # Annotations are not evaluated on the board.
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        result = self.evaluator.arithmetic(node)
        operators.operator(self, node, node.op, (node.target, node.value), result.small())
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        match self._offered(node.test):
            case None:
                pass
            case offered:
                for statement in node.body if offered else node.orelse:
                    self.visit(statement)
                return
        checking = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        self.visit(node.test)
        for statement in (*(() if checking else node.body), *node.orelse):
            self.visit(statement)

    def _offered(self, test: ast.expr) -> bool | None:
        """The answer of `hasattr(module, "name")` for a module of the library, if that is asked."""
        match test:
            case ast.Call(
                func=ast.Name(id="hasattr"),
                args=[ast.Name(id=module), ast.Constant(value=str() as name)],
                keywords=[],
            ) if self.is_builtin("hasattr"):
                return self.imports.offers(self, test, module, name)
        return None

    def visit_Import(self, node: ast.Import) -> None:
        self.imports.import_(self, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.imports.import_from(self, node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name is not None and self.program.os_errors and _looks_at(node):
            what = f"the exception `{node.name}` is looked at, and may be an OSError"
            self.need(("PY_ERRNO",), node, what)
        self.generic_visit(node)

    def visit_Match(self, node: ast.Match) -> None:
        self.refuse(node, "`match`", "MicroPython does not have it: use if and elif")

    def visit_TryStar(self, node: ast.TryStar) -> None:
        self.refuse(node, "`except*`", "MicroPython does not have it: use except")

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self.need(("PY_ASYNC_AWAIT",), node, "`async for`")
        self.generic_visit(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        # The compiler asks the exception for its class, by an attribute.
        self.need(("PY_ASYNC_AWAIT", "CPYTHON_COMPAT"), node, "`async with`")
        self.generic_visit(node)

    # -- expressions --

    def visit_Constant(self, node: ast.Constant) -> None:
        match node.value:
            case bool():
                pass
            case int() as number if not SMALL_MIN <= number <= SMALL_MAX:
                self.need((LONGINT,), node, f"the integer {number} has more than 31 bits")
            case float():
                self.need((FLOAT,), node, f"the number {node.value}")
            case complex():
                self.need(("PY_BUILTINS_COMPLEX",), node, f"the number {node.value}")
            case str() as text if not text.isascii():
                self.need((formats.UNICODE,), node, "a string that is not ASCII")

    def visit_FormattedValue(self, node: ast.FormattedValue) -> None:
        match node.format_spec:
            case ast.JoinedStr(values=[ast.Constant(value=str() as text)]):
                self.need(formats.specification(text), node, f"the format `{text}`")
            case ast.JoinedStr(values=[*_, ast.Constant(value=str() as text)]):
                self.need(formats.specification(text), node, f"the format `...{text}`")
            case ast.JoinedStr(values=[_, *_]):
                self.need((FLOAT, formats.UNICODE), node, "a format known at run time")
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        self.need(("PY_BUILTINS_SET",), node, "a set")
        self.generic_visit(node)

    def visit_Await(self, node: ast.Await) -> None:
        self.need(("PY_ASYNC_AWAIT",), node, "`await`")
        self.generic_visit(node)

    def visit_Slice(self, node: ast.Slice) -> None:
        self.need(("PY_BUILTINS_SLICE",), node, "a slice")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        # A slice object may also come from elsewhere, through a name, if there are any.
        sliced = isinstance(node.slice, ast.Slice) or (
            self.program.slice_objects and self.evaluator.value(node.slice).may(OTHER)
        )
        if sliced and not isinstance(node.ctx, ast.Load):
            self.need(("PY_ARRAY_SLICE_ASSIGN",), node, "an assignment to a slice")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)) if (
                -number == SMALL_MIN
            ):
                return  # the compiler folds it
        if not self.evaluator.result(node).small():
            self.need((LONGINT,), node, "arithmetic may exceed 31 bits")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        small = self.evaluator.result(node).small()
        operators.operator(self, node, node.op, (node.left, node.right), small)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and self.is_builtin(node.func.id):
            self._plain.add(node.func)
            self._called.add(node.func)
            calls.builtin(self, self.imports, node, node.func.id)
            if node.func.id in ("isinstance", "issubclass"):
                self._plain |= set(_names(node.args[1:]))
                self._called |= set(_names(node.args[1:]))
            elif node.func.id == "map" and len(node.args) == 2:
                self._plain |= set(_names(node.args[:1]))
        else:
            member = self.imports.member_of(node.func)
            if member is not None:
                calls.library(self, node, *member)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        # `type(x) is int` asks about a type.
        compared = set(_names((node.left, *node.comparators)))
        self._plain |= compared
        self.generic_visit(node)


def _names(parts: Sequence[ast.expr]) -> Iterable[ast.AST]:
    for part in parts:
        yield from (node for node in ast.walk(part) if isinstance(node, ast.Name))


def _looks_at(handler: ast.ExceptHandler) -> bool:
    """Whether a handler does more with its exception than raise it again."""
    raised = {
        node.exc
        for statement in handler.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Raise)
    }
    return any(
        isinstance(node, ast.Name) and node.id == handler.name and node not in raised
        for statement in handler.body
        for node in ast.walk(statement)
    )
