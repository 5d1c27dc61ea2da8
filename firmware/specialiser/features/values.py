# SPDX-License-Identifier: Apache-2.0
"""What an expression may be worth: which kinds of value, and how large an integer.

Used for two questions: can this `%`, `|` or `+` meet a string, a dictionary, a float; and can this
arithmetic leave the small integers of MicroPython (31 bits signed, two's complement) when every
integer it starts from is small. If no arithmetic of a program can, then by induction no integer of
it is ever large, and the image needs no long integers. Every answer errs towards "yes".
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SMALL_MIN, SMALL_MAX = -(1 << 30), (1 << 30) - 1
# An object's length: no heap is larger than its board's RAM, and no board has 16 MiB.
LENGTH_MAX = 1 << 24

INT, FLOAT, TEXT, OTHER = "int", "float", "text", "other"


@dataclass(frozen=True, slots=True)
class Value:
    """Kinds a value may have (text: str, bytes, bytearray; bool is an int) and the bounds of its
    integers.
    """

    kinds: frozenset[str]
    low: int = SMALL_MIN
    high: int = SMALL_MAX

    def may(self, kind: str) -> bool:
        """Whether the value can be of that kind."""
        return kind in self.kinds

    def only(self, kind: str) -> bool:
        """Whether the value is surely of that kind."""
        return self.kinds == {kind}

    def small(self) -> bool:
        """Whether its integers are surely small."""
        return not self.may(INT) or (self.low >= SMALL_MIN and self.high <= SMALL_MAX)

    def clamped(self) -> Value:
        """The same, as later arithmetic sees it: its sign is kept, its excess was reported where
        it arose.
        """
        low = min(max(self.low, SMALL_MIN), SMALL_MAX)
        return Value(self.kinds, low, min(max(self.high, SMALL_MIN), SMALL_MAX))


NOTHING = Value(frozenset(), SMALL_MAX, SMALL_MIN)
ANY = Value(frozenset((INT, FLOAT, TEXT, OTHER)))
ANY_FLOAT = Value(frozenset((FLOAT,)))
ANY_TEXT = Value(frozenset((TEXT,)))
ANY_INT = Value(frozenset((INT,)))
ANY_OTHER = Value(frozenset((OTHER,)))
TRUTH = Value(frozenset((INT,)), 0, 1)


def integer(low: int, high: int) -> Value:
    """An integer within bounds, both inclusive."""
    return Value(frozenset((INT,)), low, high)


def join(*values: Value) -> Value:
    """Either of them."""
    present = [value for value in values if value.kinds]
    if not present:
        return NOTHING
    kinds = frozenset().union(*(value.kinds for value in present))
    numbers = [value for value in present if value.may(INT)]
    if not numbers:
        return Value(kinds)
    return Value(kinds, min(value.low for value in numbers), max(value.high for value in numbers))


def _corners(left: Value, low: int, high: int) -> Value:
    products = [a * b for a in (left.low, left.high) for b in (low, high)]
    return integer(min(products), max(products))


def _add(left: Value, right: Value) -> Value:
    return integer(left.low + right.low, left.high + right.high)


def _subtract(left: Value, right: Value) -> Value:
    return integer(left.low - right.high, left.high - right.low)


def _multiply(left: Value, right: Value) -> Value:
    return _corners(left, right.low, right.high)


def _floor_divide(left: Value, right: Value) -> Value:
    if right.low > 0:
        return integer(min(left.low, 0), max(left.high, 0))
    largest = max(abs(left.low), abs(left.high))
    return integer(-largest, largest)


def _modulo(left: Value, right: Value) -> Value:
    del left
    return integer(min(0, right.low + 1), max(0, right.high - 1))


def _and(left: Value, right: Value) -> Value:
    tops = [value.high for value in (left, right) if value.low >= 0]
    return integer(0, min(tops)) if tops else ANY_INT


def _or(left: Value, right: Value) -> Value:
    if left.low >= 0 and right.low >= 0:
        return integer(0, (1 << max(left.high, right.high).bit_length()) - 1)
    return ANY_INT


def _shift_right(left: Value, right: Value) -> Value:
    del right
    return integer(min(left.low, 0), max(left.high, 0))


_HUGE = 1 << 62


def _shift_left(left: Value, right: Value) -> Value:
    most = min(max(right.high, 0), 62)
    return _corners(left, 1 << min(max(right.low, 0), 62), 1 << most)


def _power(left: Value, right: Value) -> Value:
    most = max(abs(left.low), abs(left.high))
    if most <= 1:
        return integer(-1, 1)
    if right.high > 62:
        return integer(-_HUGE, _HUGE)
    top = min(most ** max(right.high, 0), _HUGE)
    return integer(0 if left.low >= 0 else -top, top)


_INTEGER: Mapping[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: _add,
    ast.Sub: _subtract,
    ast.Mult: _multiply,
    ast.FloorDiv: _floor_divide,
    ast.Mod: _modulo,
    ast.BitAnd: _and,
    ast.BitOr: _or,
    ast.BitXor: _or,
    ast.LShift: _shift_left,
    ast.RShift: _shift_right,
    ast.Pow: _power,
}
_FLOAT_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.Pow, ast.Div)


def binary(operator: ast.operator, left: Value, right: Value, *, overloaded: bool = True) -> Value:
    """The result of `left operator right`; its integers may be large, which is for the caller to
    notice.
    """
    if not left.kinds or not right.kinds:
        return NOTHING
    results: list[Value] = []
    both = left.may(INT) and right.may(INT)
    numbers = {INT, FLOAT}
    if both and isinstance(operator, ast.Div):
        results.append(ANY_FLOAT)
    elif both:
        function = _INTEGER.get(type(operator))
        results.append(function(left, right) if function else ANY_INT)
        if isinstance(operator, ast.Pow) and right.low < 0:
            results.append(ANY_FLOAT)
    if (
        isinstance(operator, _FLOAT_OPERATORS)
        and left.kinds & numbers
        and right.kinds & numbers
        and (left.may(FLOAT) or right.may(FLOAT))
    ):
        results.append(ANY_FLOAT)
    if isinstance(operator, ast.Mod) and left.may(TEXT):
        results.append(ANY_TEXT)
    if isinstance(operator, ast.Add) and left.may(TEXT) and right.may(TEXT):
        results.append(ANY_TEXT)
    if isinstance(operator, ast.Mult) and (
        (left.may(TEXT) and right.may(INT)) or (right.may(TEXT) and left.may(INT))
    ):
        results.append(ANY_TEXT)
    if left.may(OTHER) or right.may(OTHER):
        # A class that overloads the operator may give anything; containers give containers.
        results.append(ANY if overloaded else Value(frozenset((TEXT, OTHER))))
    return join(*results)


def unary(operator: ast.unaryop, operand: Value, *, overloaded: bool = True) -> Value:
    """The result of a unary operator. `overloaded`: see `binary`."""
    if isinstance(operator, ast.Not):
        return TRUTH
    results: list[Value] = []
    if operand.may(INT):
        if isinstance(operator, ast.USub):
            results.append(integer(-operand.high, -operand.low))
        elif isinstance(operator, ast.Invert):
            results.append(integer(-operand.high - 1, -operand.low - 1))
        else:
            results.append(integer(operand.low, operand.high))
    if operand.may(FLOAT):
        results.append(ANY_FLOAT)
    if operand.may(OTHER) and overloaded:
        results.append(ANY)
    return join(*results)
