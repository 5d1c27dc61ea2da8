# SPDX-License-Identifier: Apache-2.0
"""What calls of builtins and library functions ask for, by their arguments."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from firmware.specialiser.features import formats
from firmware.specialiser.features.catalogue import FLOAT, LONGINT
from firmware.specialiser.features.imports import Imports
from firmware.specialiser.features.notes import ModuleNotes
from firmware.specialiser.features.values import INT

# What a builtin may need when it is not called on the spot, so that its arguments are unknown.
_AS_VALUE: Mapping[str, tuple[str, ...]] = {
    "abs": (LONGINT,),
    "bytes": ("FULL_CHECKS",),
    "chr": (formats.UNICODE,),
    "divmod": (LONGINT,),
    "enumerate": ("CPYTHON_COMPAT",),
    "id": (LONGINT,),
    "int": (LONGINT,),
    "next": ("PY_BUILTINS_NEXT2",),
    "pow": (FLOAT, LONGINT, "PY_BUILTINS_COMPLEX", "PY_BUILTINS_POW3"),
    "round": (LONGINT, "PY_BUILTINS_ROUND_INT"),
    "sum": (LONGINT,),
}
_BY_NAME = frozenset(("getattr", "hasattr", "setattr", "delattr"))
_STRUCT_CALLS = frozenset(("pack", "pack_into", "unpack", "unpack_from", "calcsize"))


def as_value(notes: ModuleNotes, node: ast.Name) -> None:
    """A builtin is passed around: whatever arguments it can get, it may get."""
    name = node.id
    if name in _AS_VALUE:
        notes.need(_AS_VALUE[name], node, f"`{name}` is used as a value")
    if name in _BY_NAME:
        notes.every_attribute(node, f"`{name}` is used as a value")
    if name == "__import__":
        notes.refuse(node, "`__import__` is used as a value", "write plain import statements")


def builtin(notes: ModuleNotes, imports: Imports, node: ast.Call, name: str) -> None:
    """A call of a builtin function or type by its name."""
    arguments = node.args
    known = not any(isinstance(argument, ast.Starred) for argument in arguments) and not any(
        keyword.arg is None for keyword in node.keywords
    )
    keywords = {keyword.arg for keyword in node.keywords}
    if not known:
        unknown = ast.copy_location(ast.Name(id=name, ctx=ast.Load()), node)
        as_value(notes, unknown)
    match name:
        case "getattr" | "hasattr" | "setattr" | "delattr":
            _by_name(notes, node, name)
        case "__import__":
            imports.dynamic(notes, node)
        case "print" if "file" in keywords:
            notes.refuse(
                node,
                "`print` to a file",
                "print without `file` goes to the log; io.StringIO has write",
            )
        case "type" if len(arguments) != 1 or not known:
            notes.dynamic_class(node, "`type` makes a class")
        case "str" | "bytes" if keywords or len(arguments) > 1 or not known:
            notes.need(("CPYTHON_COMPAT", formats.UNICODE), node, f"`{name}` with an encoding")
        case "enumerate" if keywords:
            notes.need(("CPYTHON_COMPAT",), node, "`enumerate` with a keyword")
    if name == "bytes" and arguments:
        notes.need(("FULL_CHECKS",), node, "`bytes` of numbers that may not be bytes")
    if known and len(arguments) > 1:
        _more_arguments(notes, node, name)
    _numbers(notes, node, name)


def _more_arguments(notes: ModuleNotes, node: ast.Call, name: str) -> None:
    what = f"`{name}` with {len(node.args)} arguments"
    match name, len(node.args):
        case "next", 2:
            notes.need(("PY_BUILTINS_NEXT2",), node, what)
        case "round", 2:
            notes.need(("PY_BUILTINS_ROUND_INT", LONGINT), node, what)
        case "pow", 3:
            notes.need(("PY_BUILTINS_POW3",), node, what)


def _numbers(notes: ModuleNotes, node: ast.Call, name: str) -> None:
    """Integers a builtin makes out of others."""
    values = [notes.evaluator.value(argument) for argument in node.args]
    match name:
        case "int" if not all(value.only(INT) for value in values):
            notes.need((LONGINT,), node, "`int` of something else may exceed 31 bits")
        case "round" if not all(value.only(INT) for value in values):
            notes.need((LONGINT,), node, "`round` of a float may exceed 31 bits")
        case "id" | "sum" | "divmod":
            notes.need((LONGINT,), node, f"`{name}` may exceed 31 bits")
        case "abs" if not notes.evaluator.result(node).small() or not values[0].only(INT):
            notes.need((LONGINT,), node, "`abs` may exceed 31 bits")
        case "pow":
            notes.need((LONGINT, FLOAT), node, "a power may exceed 31 bits or be a fraction")
            if len(node.args) == 2:
                notes.need(("PY_BUILTINS_COMPLEX",), node, "a root may be of a negative number")
        case "chr" if not all(value.only(INT) and 0 <= value.high < 128 for value in values):
            notes.need((formats.UNICODE,), node, "`chr` of a number that may not be ASCII")


def _by_name(notes: ModuleNotes, node: ast.Call, name: str) -> None:
    match node.args:
        case [_, ast.Constant(value=str() as attribute), *_]:
            if name in ("getattr", "hasattr"):
                notes.attribute(node, attribute)
            else:
                notes.define(node, attribute)
        case _:
            notes.every_attribute(node, f"`{name}` with a computed name")


def library(notes: ModuleNotes, node: ast.Call, module: str, member: str) -> None:
    """A call of `module.member`."""
    if module not in ("array", "struct") or (module == "struct" and member not in _STRUCT_CALLS):
        return
    match node.args[:1]:
        case [ast.Constant(value=str() as codes)]:
            notes.need(formats.structure(codes), node, f"the format `{codes}`")
        case _:
            notes.need((FLOAT, LONGINT), node, "a binary format known at run time")
