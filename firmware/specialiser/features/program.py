# SPDX-License-Identifier: Apache-2.0
"""The whole program: its syntax trees, and the facts that take all of them to know."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from boards.errors import CoffretError
from firmware.specialiser.features import formats
from firmware.specialiser.features.catalogue import FLOAT, METHODS, words
from firmware.specialiser.features.contexts import contexts
from firmware.specialiser.features.evaluation import Outside
from firmware.specialiser.features.needs import Source

# Builtins that only iterate over what they are given.
_ITERATING = frozenset(
    words(
        """
        all any bytearray bytes enumerate filter frozenset iter list map max min reversed
        set sorted sum tuple zip
        """
    )
)
_STREAMS = frozenset(("deflate", "io", "json", "machine"))


@dataclass(frozen=True, slots=True)
class Program:
    """Modules by import name, with what each must expect of the others."""

    sources: Mapping[str, Source]
    trees: Mapping[str, ast.Module]
    outside: Outside
    range_escapes: tuple[
        tuple[str, int], ...
    ]  # (module, line) where a range object becomes a value
    percent_needs: frozenset[str]  # what the program's strings need if used as `%` formats
    template_needs: frozenset[str]  # the same for `.format`
    has_percent: bool  # any string could be a `%` format at all
    os_errors: bool  # an OSError may be raised
    slice_objects: bool  # slices exist as values: `slice` is named, or a class subscripts itself


def parse(sources: Sequence[Source]) -> Program:
    """Reads every module. CoffretError (usage) with file and line if one is not Python."""
    trees: dict[str, ast.Module] = {}
    for source in sources:
        try:
            trees[source.name] = ast.parse(source.text, str(source.path))
        except SyntaxError as error:
            raise CoffretError(
                f"{source.path}:{error.lineno or 0}: not Python: {error.msg}", "mend the syntax"
            ) from None
        except ValueError as error:
            raise CoffretError(f"{source.path}: not Python: {error}", "save it as UTF-8") from None
    escapes = tuple(
        (name, node.lineno) for name, tree in trees.items() for node in _range_values(tree)
    )
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    known = frozenset().union(*map(contexts, trees.values()))
    strings = [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    ]
    texts = [text.decode("latin-1") if isinstance(text, bytes) else text for text in strings]
    return Program(
        {source.name: source for source in sources},
        trees,
        Outside(
            _stored(nodes),
            any(_rebinds_anything(node) for node in nodes if node not in known),
            any(_overloads(node) for node in nodes),
            bool(escapes) or any(_defines(node, "__len__") for node in nodes),
        ),
        escapes,
        frozenset(_percent_needs(texts)),
        frozenset(_template_needs(texts)),
        any("%" in text for text in texts),
        any(_raises_os_errors(node) for node in nodes),
        any(_makes_slices(node) for node in nodes),
    )


def _stored(nodes: Sequence[ast.AST]) -> frozenset[str]:
    names = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
    }
    for node in nodes:
        match node:
            case ast.Call(
                func=ast.Name(id="setattr"), args=[_, ast.Constant(value=str() as name), *_]
            ):
                names.add(name)
    return frozenset(names)


def _rebinds_anything(node: ast.AST) -> bool:
    match node:
        case ast.Name(id="globals" | "locals" | "__builtins__"):
            return True
        case ast.Attribute(attr="__dict__" | "__globals__"):
            return True
        case ast.Call(func=ast.Name(id="setattr"), args=[_, ast.Constant(value=str()), *_]):
            return False
        case ast.Call(func=ast.Name(id="setattr")):
            return True
    return False


def _raises_os_errors(node: ast.AST) -> bool:
    """Streams raise it, and so may the program."""
    match node:
        case ast.Name(id="OSError"):
            return True
        case ast.Import(names=names):
            return any(alias.name in _STREAMS for alias in names)
        case ast.ImportFrom(module=module):
            return module in _STREAMS
    return False


_OPERATORS = frozenset(METHODS) | {
    f"__{name}__" for name in words("add sub iadd isub lt le eq ne gt ge contains")
}


def _overloads(node: ast.AST) -> bool:
    """Whether a class defines an operator, or may: then its result is anything."""
    match node:
        case ast.FunctionDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
            return name in _OPERATORS
        case ast.Attribute(attr=name, ctx=ast.Store()):
            return name in _OPERATORS
        case ast.Call(func=ast.Name(id="setattr"), args=[_, ast.Constant(value=str() as name), *_]):
            return name in _OPERATORS
        case ast.Call(func=ast.Name(id="type"), args=arguments):
            return len(arguments) != 1
        case ast.Name(id="setattr"):
            return True
    return False


def _makes_slices(node: ast.AST) -> bool:
    if isinstance(node, ast.Name) and node.id == "slice":
        return True
    return any(_defines(node, f"__{method}item__") for method in ("get", "set", "del"))


def _defines(node: ast.AST, method: str) -> bool:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name == method
        case ast.Name(id=name, ctx=ast.Store()):
            return name == method
    return False


def _range_values(tree: ast.Module) -> Iterator[ast.Name]:
    """Uses of `range` other than to iterate over at once."""
    iterated: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.For(iter=ast.Call(func=ast.Name() as name)):
                iterated.add(name)
            case ast.comprehension(iter=ast.Call(func=ast.Name() as name)):
                iterated.add(name)
            case ast.Call(func=ast.Name(id=caller), args=arguments) if caller in _ITERATING:
                for argument in arguments:
                    match argument:
                        case ast.Call(func=ast.Name() as name):
                            iterated.add(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "range" and node not in iterated:
            yield node


def _percent_needs(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        yield from formats.percent(text)
        if text.endswith("%") and not text.endswith("%%"):
            # The rest of the conversion may be glued on.
            yield from (FLOAT, formats.UNICODE)


def _template_needs(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        if "{" not in text:
            continue
        try:
            yield from formats.template(text)
        except ValueError:
            yield from (FLOAT, formats.UNICODE)
