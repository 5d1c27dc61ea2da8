# SPDX-License-Identifier: Apache-2.0
"""Bounds of every name and expression of a module, found by iteration to a fixed point.

One environment a module: a name stands for all values it is ever bound to, in whatever scope. That
is coarse but simple, and errs on the safe side. What comes from outside (parameters, attributes,
other modules) may be anything, though its integers are small (see `values`).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from firmware.specialiser.features.catalogue import words
from firmware.specialiser.features.scopes import Binding, all_bindings
from firmware.specialiser.features.values import (
    ANY,
    ANY_FLOAT,
    ANY_INT,
    ANY_OTHER,
    ANY_TEXT,
    INT,
    LENGTH_MAX,
    NOTHING,
    OTHER,
    SMALL_MAX,
    SMALL_MIN,
    TEXT,
    TRUTH,
    Value,
    binary,
    integer,
    join,
    unary,
)

_ROUNDS_BEFORE_WIDENING = 4
_TEXT_CALLS = frozenset(words("bin bytearray bytes chr hex oct repr str"))
_OTHER_CALLS = frozenset(
    words(
        """
        dict enumerate filter frozenset list map object print range reversed set sorted
        tuple zip
        """
    )
)
_TRUTH_CALLS = frozenset(words("all any bool callable hasattr isinstance issubclass"))


@dataclass(frozen=True, slots=True)
class Outside:
    """What a module must expect of the rest of the program."""

    stored: frozenset[str] = (
        frozenset()
    )  # attribute names stored to anywhere: may rebind our globals
    anything: bool = False  # globals() or setattr with a computed name: any name may be rebound
    overloaded: bool = False  # a class defines operators, or may
    long_lengths: bool = False  # a range object escapes or a class has __len__: len() may be large


class Evaluator:
    """Values of the names and expressions of one module."""

    def __init__(self, tree: ast.Module, outside: Outside) -> None:
        self._bindings = all_bindings(tree)
        self._outside = outside
        # A star import may bind any name.
        self._anything = outside.anything or "*" in self._bindings
        self._names: dict[str, Value] = dict.fromkeys(self._bindings, NOTHING)
        self._settle()

    def value(self, node: ast.expr) -> Value:
        """What an expression may be worth, as an operand of something else."""
        return self.result(node).clamped()

    def result(self, node: ast.expr) -> Value:  # noqa: PLR0911, PLR0912 (one a kind of expression)
        """The same, with integers as the operation gives them, perhaps larger than small."""
        match node:
            case ast.Constant(value=constant):
                return _constant(constant)
            case ast.Name(id=name):
                return self._name(name)
            case ast.BinOp(left=left, op=operator, right=right):
                return self._binary(operator, self.value(left), self.value(right))
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)):
                return integer(-number, -number)
            case ast.UnaryOp(op=sign, operand=operand):
                return unary(sign, self.value(operand), overloaded=self._outside.overloaded)
            case ast.BoolOp(values=values):
                return join(*(self.value(value) for value in values))
            case ast.IfExp(body=body, orelse=orelse):
                return join(self.value(body), self.value(orelse))
            case ast.NamedExpr(value=value):
                return self.value(value)
            case ast.Compare(left=left, comparators=comparators):
                operands = [self.value(part) for part in (left, *comparators)]
                other = any(operand.may(OTHER) for operand in operands)
                return ANY if other and self._outside.overloaded else TRUTH
            case ast.JoinedStr():
                return ANY_TEXT
            case ast.Call():
                return self._call(node)
            case ast.Subscript(value=value, slice=index):
                return self._element(self.value(value), isinstance(index, ast.Slice))
            case ast.List() | ast.Tuple() | ast.Dict() | ast.Set() | ast.Lambda():
                return ANY_OTHER
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                return ANY_OTHER
        return ANY

    def is_builtin(self, name: str) -> bool:
        """Whether a name can only mean Python's own."""
        return not self._anything and name not in self._bindings

    def arithmetic(self, node: ast.AugAssign) -> Value:
        """The result of `target op= value`."""
        target = self.value(node.target) if isinstance(node.target, ast.Name) else ANY
        return self._binary(node.op, target, self.value(node.value))

    def _binary(self, operator: ast.operator, left: Value, right: Value) -> Value:
        return binary(operator, left, right, overloaded=self._outside.overloaded)

    def _settle(self) -> None:
        rounds = 0
        while True:
            changed = False
            for name, bindings in self._bindings.items():
                before = self._names[name]
                after = join(before, *(self._bound(binding) for binding in bindings))
                if after == before:
                    continue
                if rounds >= _ROUNDS_BEFORE_WIDENING:
                    after = Value(
                        after.kinds,
                        SMALL_MIN if after.low < before.low else after.low,
                        SMALL_MAX if after.high > before.high else after.high,
                    )
                self._names[name] = after
                changed = True
            if not changed:
                return
            rounds += 1

    def _bound(self, binding: Binding) -> Value:
        value = binding.value
        if binding.how == "import":
            return ANY_OTHER
        if binding.how == "index":
            counted = isinstance(value, ast.Call) and len(value.args) == 1 and not value.keywords
            return integer(0, SMALL_MAX) if counted else ANY_INT
        if value is None:
            return ANY
        if binding.how == "augmented" and binding.operator is not None:
            before = self._name(binding.name)
            return self._binary(binding.operator, before, self.value(value)).clamped()
        if binding.how == "item":
            return self._item(value)
        return self.value(value)

    def _name(self, name: str) -> Value:
        if self._anything or name in self._outside.stored:
            return ANY
        known = self._names.get(name)
        return ANY if known is None else known

    def _element(self, sequence: Value, sliced: bool) -> Value:
        if sequence.only(TEXT):
            return ANY_TEXT if sliced else join(ANY_TEXT, integer(0, 255))
        return ANY

    def _item(self, iterable: ast.expr) -> Value:
        match iterable:
            case ast.Call(func=ast.Name(id="range"), args=arguments, keywords=[]) if (
                self.is_builtin("range")
            ):
                return self._range_item(arguments)
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements) if (
                not any(isinstance(element, ast.Starred) for element in elements)
            ):
                return join(*(self.value(element) for element in elements))
        return self._element(self.value(iterable), sliced=False)

    def _range_item(self, arguments: list[ast.expr]) -> Value:
        bounds = [self.value(argument) for argument in arguments]
        if any(isinstance(argument, ast.Starred) for argument in arguments) or not bounds:
            return ANY_INT
        if len(bounds) == 1:
            return integer(0, max(0, bounds[0].high - 1))
        start, stop = bounds[0], bounds[1]
        if len(bounds) == 2 or bounds[2].low > 0:
            return integer(start.low, max(start.high, stop.high - 1))
        return integer(min(start.low, stop.low), max(start.high, stop.high))

    def _call(self, node: ast.Call) -> Value:  # noqa: PLR0911, PLR0912 (one a builtin)
        if not isinstance(node.func, ast.Name):
            return ANY
        if node.func.id == "const" and len(node.args) == 1:
            # The compiler folds it, whoever defines the name.
            return self.value(node.args[0])
        if not self.is_builtin(node.func.id):
            return ANY
        name = node.func.id
        if any(isinstance(argument, ast.Starred) for argument in node.args):
            arguments: list[Value] = [ANY]
        else:
            arguments = [self.value(argument) for argument in node.args]
        if name in _TEXT_CALLS:
            return ANY_TEXT
        if name in _OTHER_CALLS:
            return ANY_OTHER
        if name in _TRUTH_CALLS:
            return TRUTH
        match name, arguments:
            case "len", _:
                return integer(0, SMALL_MAX if self._outside.long_lengths else LENGTH_MAX)
            case "ord", _:
                return integer(0, 0x10FFFF)
            case "float", _:
                return ANY_FLOAT
            case "abs", [argument] if argument.kinds == {INT}:
                largest = max(abs(argument.low), abs(argument.high))
                return integer(0, largest)
            case "int", [argument] if argument.only(INT):
                return argument
            case "int", _:
                return ANY_INT
            case "min", [_, _, *_] if not node.keywords and join(*arguments).only(INT):
                return integer(
                    min(argument.low for argument in arguments),
                    min(argument.high for argument in arguments),
                )
            case "max", [_, _, *_] if not node.keywords and join(*arguments).only(INT):
                return integer(
                    max(argument.low for argument in arguments),
                    max(argument.high for argument in arguments),
                )
            case (("min" | "max"), [_, _, *_]) if not node.keywords:
                return join(*arguments)
        return ANY


def _constant(constant: object) -> Value:
    if isinstance(constant, int):
        return integer(int(constant), int(constant))
    if isinstance(constant, float | complex):
        return ANY_FLOAT
    if isinstance(constant, str | bytes):
        return ANY_TEXT
    return ANY_OTHER


def evaluators(trees: Mapping[str, ast.Module], outside: Outside) -> Mapping[str, Evaluator]:
    """One evaluator a module, by module name."""
    return {name: Evaluator(tree, outside) for name, tree in trees.items()}
