# SPDX-License-Identifier: Apache-2.0
"""What operators ask for, by what their operands can be."""

from __future__ import annotations

import ast

from firmware.specialiser.features import formats
from firmware.specialiser.features.catalogue import FLOAT, LONGINT
from firmware.specialiser.features.notes import ModuleNotes
from firmware.specialiser.features.values import FLOAT as FLOATS
from firmware.specialiser.features.values import OTHER, TEXT


def operator(
    notes: ModuleNotes,
    node: ast.AST,
    kind: ast.operator,
    operands: tuple[ast.expr, ast.expr],
    small: bool,
) -> None:
    """What `left kind right` asks for; `small`: its result surely has at most 31 bits."""
    left, right = operands
    if not small:
        notes.need((LONGINT,), node, "arithmetic may exceed 31 bits")
    a, b = notes.evaluator.value(left), notes.evaluator.value(right)
    match kind:
        case ast.Div():
            notes.need((FLOAT,), node, "a division")
        case ast.Mod() if a.may(TEXT):
            _percent(notes, node, left)
        case ast.BitOr() if a.may(OTHER) and b.may(OTHER):
            notes.need(("CPYTHON_COMPAT",), node, "`|` may join dictionaries")
        case ast.Pow():
            if b.may(OTHER) or b.may(FLOATS) or b.low < 0:
                notes.need((FLOAT,), node, "a power may have a negative exponent")
            if b.may(FLOATS) and not _is_whole(right) and (a.low < 0 or a.may(FLOATS)):
                notes.need(("PY_BUILTINS_COMPLEX",), node, "a root may be of a negative number")


def _percent(notes: ModuleNotes, node: ast.AST, left: ast.expr) -> None:
    modulo = ("PY_BUILTINS_STR_OP_MODULO",)
    match left:
        case ast.Constant(value=str() as text):
            notes.need((*modulo, *formats.percent(text)), node, "a string formatted with `%`")
        case ast.Constant(value=bytes() as data):
            text = data.decode("latin-1")
            notes.need((*modulo, *formats.percent(text)), node, "a string formatted with `%`")
        case _ if notes.program.has_percent:
            what = "`%` may format a string"
            notes.need((*modulo, *notes.program.percent_needs), node, what)


def _is_whole(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=float() as number):
            return number.is_integer()
    return False
