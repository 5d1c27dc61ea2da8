# SPDX-License-Identifier: Apache-2.0
"""The expressions of the taint check: what each may be, and what calls do."""

from __future__ import annotations

import ast

from enclaves.releases import UNKNOWN
from enclaves.taint_heap import ANY_ATTRIBUTE, ANY_NAME, Heap
from enclaves.taint_values import (
    NOTHING,
    Class,
    Data,
    End,
    Function,
    Grade,
    Key,
    Maker,
    Module,
    Taker,
    Thing,
    Value,
    Verb,
    computed,
    numbers,
    selected,
)

# Builtins whose result tells of data without being any of it.
_COMPUTING = frozenset({"len", "sum", "any", "all", "bool", "isinstance"})
_SELECTING = frozenset({"min", "max"})
_NUMBERS = frozenset({"int", "float", "ord", "abs", "round"})
_REFLECTING = frozenset({"globals", "locals", "vars"})
# Methods of the builtin containers: the container changes, what is given does not.
_KEEPING = frozenset(
    {"append", "add", "insert", "extend", "appendleft", "update", "setdefault", "get", "pop"}
)
# What a method does, by the kinds of ends that have it.
_VERBS = {
    "receive": ("take", ("input", "service")),
    "call": ("take", ("caller",)),
    "serve": ("serve", ("service",)),
    "release": ("release", ("gate",)),
}
_COMPUTING_OPERATORS = (ast.Sub, ast.Div, ast.FloorDiv, ast.Pow)


class Calls:
    """Evaluates expressions, and binds what is assigned to."""

    def __init__(self, heap: Heap) -> None:
        self._heap = heap
        self._scopes = heap.scopes

    def evaluate(self, node: ast.expr, scope: int | str) -> Value:
        """What `node` may be; the heap remembers what was read for it."""
        with self._heap.reading_for(node):
            return self.expression(node, scope)

    def assign(self, target: ast.expr, value: Value, node: ast.expr, scope: int | str) -> None:
        """`target = value`; `node` is where the value is from."""
        match target:
            case ast.Name(id=name):
                self._heap.add_name(name, scope, value, node)
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                for element in elements:
                    self.assign(element, self._heap.items(value), node, scope)
            case ast.Starred(value=inner):
                thing = Thing(id(target))
                self._heap.add(("in", thing.site), value, node)
                self.assign(inner, frozenset({thing}), node, scope)
            case ast.Attribute(value=owner, attr=name):
                held = self.evaluate(owner, scope)
                self._heap.add(("attr", name), value, node)
                self._heap.put(held, value, node)
                for atom in held:
                    if isinstance(atom, Module):
                        self._heap.add(("name", atom.name, name), value, node)
            case ast.Subscript(value=owner, slice=index):
                held = self.evaluate(owner, scope)
                key = self.evaluate(index, scope)
                self._heap.put(held, value | key, node)

    def expression(  # noqa: PLR0911, PLR0912 - one case a kind of node
        self, node: ast.expr, scope: int | str
    ) -> Value:
        """What `node` may be in `scope`."""
        heap = self._heap
        match node:
            case ast.Constant():
                return NOTHING
            case ast.Name(id=name):
                return self._name(name, scope)
            case ast.Attribute(value=owner, attr=name):
                return self._attribute(node, self.evaluate(owner, scope), name)
            case ast.Call():
                return self._call(node, scope)
            case ast.BinOp(left=left, op=op, right=right):
                return self.operation(op, self.evaluate(left, scope), self.evaluate(right, scope))
            case ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return computed(heap.deep(self._union(node, scope)))
            case ast.Lambda():
                return frozenset({Function(id(node))})
            case ast.Subscript(value=owner, slice=index):
                held = self.evaluate(owner, scope)
                self.evaluate(index, scope)
                whole = held if isinstance(index, ast.Slice) else NOTHING
                return whole | heap.items(held)
            case ast.List() | ast.Tuple() | ast.Set() | ast.Dict():
                return self._display(node, scope)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self._comprehension(node, scope)
            case ast.Starred(value=value):
                return heap.items(self.evaluate(value, scope))
            case ast.NamedExpr(target=target, value=value):
                given = self.evaluate(value, scope)
                self.assign(target, given, value, scope)
                return given
            case ast.JoinedStr() | ast.FormattedValue():
                return heap.deep(self._union(node, scope)) | heap.load(
                    ("attr", "<special methods>")
                )
            case ast.Yield() | ast.YieldFrom():
                return self._yield(node, scope)
        return self._union(node, scope)

    def operation(self, op: ast.operator, left: Value, right: Value) -> Value:
        """`left op right`. A set less another still has the items of the first."""
        both = left | right
        things = frozenset(atom for atom in both if isinstance(atom, Thing))
        special = self._heap.load(("attr", "<special methods>")) if things else NOTHING
        if isinstance(op, _COMPUTING_OPERATORS):
            return computed(both) | things | special
        return both | special

    def _union(self, node: ast.AST, scope: int | str) -> Value:
        found: Value = NOTHING
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                found |= self.evaluate(child, scope)
        return found

    def _name(self, name: str, scope: int | str) -> Value:
        found = self._heap.load(ANY_NAME)
        for place in self._scopes.bound(scope, name):
            found |= self._heap.load(("name", place, name))
        return found

    def _attribute(self, node: ast.expr, owner: Value, name: str) -> Value:
        heap = self._heap
        found = heap.load(("attr", name)) | heap.load(ANY_ATTRIBUTE)
        for atom in owner:
            match atom:
                case Module(name=module):
                    found |= heap.member(module, name)
                case Thing(site=site):
                    found |= heap.load(("in", site)) | heap.load(("attr", "<special methods>"))
                case Data():
                    found |= {atom}
        for site in self._scopes.methods.get(name, ()):
            heap.add(("in", id(node)), owner)
            found |= {Function(site, bound=id(node))}
            if site in self._scopes.open:  # a property: its result is the attribute
                found |= heap.load(("result", site))
        if name in _VERBS:
            found |= self._verbs(owner, *_VERBS[name])
        return found

    def _verbs(self, owner: Value, kind: str, of: tuple[str, ...]) -> Value:
        ends = [a for a in self._heap.deep(owner) if isinstance(a, End) and a.kind in of]
        found: Value = frozenset(Verb(kind, end.name) for end in ends)
        if not found and self._heap.guessing:
            return frozenset({Verb(kind, UNKNOWN)})
        return found

    def _display(self, node: ast.expr, scope: int | str) -> Value:
        heap, thing = self._heap, Thing(id(node))
        if isinstance(node, ast.Tuple):
            heap.frozen.add(thing.site)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                heap.add(("in", thing.site), self.evaluate(child, scope), child)
        if isinstance(node, ast.Dict) and None in node.keys:  # {**other}
            heap.put(frozenset({thing}), heap.inside(heap.load(("in", thing.site))))
        return frozenset({thing})

    def _comprehension(
        self,
        node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp,
        scope: int | str,
    ) -> Value:
        heap, thing = self._heap, Thing(id(node))
        for part in node.generators:
            items = heap.items(self.evaluate(part.iter, scope))
            self.assign(part.target, items, part.iter, scope)
            for condition in part.ifs:
                self.evaluate(condition, scope)
        elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        for element in elements:
            heap.add(("in", thing.site), self.evaluate(element, scope), element)
        return frozenset({thing})

    def _yield(self, node: ast.Yield | ast.YieldFrom, scope: int | str) -> Value:
        heap = self._heap
        if node.value is not None and isinstance(scope, int):
            value = self.evaluate(node.value, scope)
            if isinstance(node, ast.YieldFrom):
                value = heap.items(value)
            heap.add(("in", scope), value, node.value)
        return heap.load(("in", scope)) if isinstance(scope, int) else NOTHING

    # Calls.

    def _call(self, node: ast.Call, scope: int | str) -> Value:
        heap = self._heap
        callee = self.evaluate(node.func, scope)
        arguments = [(a, self.evaluate(a, scope)) for a in node.args]
        arguments += [(k.value, self.evaluate(k.value, scope)) for k in node.keywords]
        if any(k.arg is None for k in node.keywords):  # f(**other): its values
            arguments += [(a, heap.items(value)) for a, value in arguments]
        known = [a for a in callee if isinstance(a, Function | Class | Maker | Taker | Verb)]
        found: Value = NOTHING
        for atom in known:
            match atom:
                case Function():
                    found |= self._function(atom, node, arguments)
                case Class(site=site):
                    found |= self._instance(site, node, arguments)
                case Maker(kind=kind):
                    found |= {End(kind, _constant(node.args))}
                case Taker():
                    for _, value in arguments:
                        verbs = self._verbs(value, *_VERBS["receive"])
                        names = {verb.name for verb in verbs if isinstance(verb, Verb)}
                        found |= {Data(name, Grade.MESSAGE) for name in names}
                case Verb(kind="take", name=name):
                    found |= {Data(name, Grade.MESSAGE)}
                case Verb(kind="serve", name=name):
                    found |= self._serve(name, arguments)
                case Verb(name=name):
                    self._release(name, node, arguments)
        if not known or not all(
            isinstance(atom, Function | Class | Maker | Taker | Verb) for atom in callee
        ):
            found |= self._unseen(node, scope, callee, arguments)
        return found

    def _serve(self, name: str, arguments: list[tuple[ast.expr, Value]]) -> Value:
        """Every function that is given gets each message; whatever else it is may keep it."""
        message: Value = frozenset({Data(name, Grade.MESSAGE)})
        for argument, value in arguments:
            for atom in value:
                if isinstance(atom, Function):
                    for parameter in self._scopes.parameters[atom.site]:
                        self._heap.add(("name", atom.site, parameter), message, argument)
            self._heap.put(value, message, argument)
        return NOTHING

    def _release(self, gate: str, node: ast.Call, arguments: list[tuple[ast.expr, Value]]) -> None:
        _, held, roots = self._heap.released.setdefault((id(node), gate), (node, set(), set()))
        for argument, value in arguments:
            if not value <= held:
                held |= value
                self._heap.changed = True
            roots.add(argument)

    def _function(
        self, atom: Function, node: ast.Call, arguments: list[tuple[ast.expr, Value]]
    ) -> Value:
        """Binds arguments to parameters; loosely where they are not one to one."""
        heap, site = self._heap, atom.site
        names = list(self._scopes.parameters[site])
        function = self._scopes.functions[site]
        plain = not (
            function.args.vararg
            or function.args.kwarg
            or site in self._scopes.open
            or any(isinstance(a, ast.Starred) for a in node.args)
            or any(k.arg is None for k in node.keywords)
        )
        if atom.bound is not None and names:
            heap.add(("name", site, names[0]), heap.load(("in", atom.bound)), node.func)
            names = names[1:] if plain else names
        if not plain:
            thing = Thing(site ^ 1)  # *args and **kwargs: objects that hold arguments
            for argument, value in arguments:
                heap.add(("in", thing.site), value, argument)
                for name in names:
                    heap.add(("name", site, name), value | {thing}, argument)
        else:
            for (argument, value), name in zip(arguments[: len(node.args)], names, strict=False):
                heap.add(("name", site, name), value, argument)
            for keyword, (argument, value) in zip(
                node.keywords, arguments[len(node.args) :], strict=False
            ):
                if keyword.arg in names:
                    heap.add(("name", site, keyword.arg), value, argument)
        if site in self._scopes.generators:
            return frozenset({Thing(site)}) | heap.load(("result", site))
        return heap.load(("result", site))

    def _instance(
        self, site: int, node: ast.Call, arguments: list[tuple[ast.expr, Value]]
    ) -> Value:
        """A new object of a class of ours; one that inherits from elsewhere may keep arguments."""
        heap, thing = self._heap, Thing(id(node))
        for argument, value in arguments:
            heap.add(("in", thing.site), value, argument)
        self_site = site ^ 1
        heap.add(("in", self_site), frozenset({thing}))
        for initial in self._scopes.methods.get("__init__", ()):
            self._function(Function(initial, bound=self_site), node, arguments)
        return frozenset({thing})

    def _unseen(
        self,
        node: ast.Call,
        scope: int | str,
        callee: Value,
        arguments: list[tuple[ast.expr, Value]],
    ) -> Value:
        """A call of code that is not here: anything given may be in anything that holds."""
        heap = self._heap
        given: Value = NOTHING
        for _, value in arguments:
            given |= value
        name = self._builtin(node, scope)
        if name in _REFLECTING or name in ("getattr", "setattr"):
            return self._reflection(name, node, given, arguments)
        shallow, given = given, heap.deep(given)
        if name in _COMPUTING and (name != "sum" or len(arguments) == 1):
            return computed(given) | self._called_back(given, given)
        if name in _SELECTING and len(node.args) == 1:
            return selected(heap.items(shallow)) | self._called_back(given, given)
        keeping, holder = False, NOTHING
        if isinstance(node.func, ast.Attribute):
            keeping = node.func.attr in _KEEPING
            holder = self.evaluate(node.func.value, scope)
            holder = frozenset(atom for atom in holder if not isinstance(atom, Module))
        owner = heap.deep(holder)
        every = given | owner | frozenset(a for a in callee if isinstance(a, Data))
        every |= self._called_back(every, every)
        if keeping:
            heap.put(holder, shallow | heap.items(shallow))
        else:
            heap.put(owner, given)
            heap.put(given, every)
        if name in _NUMBERS or _unpacks_numbers(node):
            return numbers(every)
        result = Thing(id(node))
        heap.add(("in", result.site), every - {result})
        return every | {result} | heap.load(("attr", "<special methods>"))

    def _called_back(self, value: Value, every: Value) -> Value:
        """Functions among the arguments may be called with anything that was given."""
        heap, found = self._heap, NOTHING
        for atom in value:
            if isinstance(atom, Function):
                for name in self._scopes.parameters[atom.site]:
                    heap.add(("name", atom.site, name), every)
                found |= heap.load(("result", atom.site))
        return found

    def _builtin(self, node: ast.Call, scope: int | str) -> str:
        """The name of the builtin that is called, if nothing here has its name."""
        if isinstance(node.func, ast.Name) and not self._scopes.bound(scope, node.func.id):
            return node.func.id
        return ""

    def _reflection(
        self, name: str, node: ast.Call, given: Value, arguments: list[tuple[ast.expr, Value]]
    ) -> Value:
        """Names that are made at run time: every variable and attribute may be meant."""
        heap = self._heap
        constant = _constant(node.args[1:])
        if name == "getattr" and constant != UNKNOWN:
            rest = [value for _, value in arguments[2:]]
            return self._attribute(node, arguments[0][1], constant).union(*rest)
        if name == "setattr":
            place: Key = ANY_ATTRIBUTE if constant == UNKNOWN else ("attr", constant)
            for argument, value in arguments[2:]:
                heap.add(place, value, argument)
                heap.put(given, value, argument)
            return NOTHING
        thing: Value = frozenset({Thing(id(node))})
        found: Value = heap.deep(given)
        for key in list(heap.store):
            if key[0] in ("name", "attr"):
                found |= heap.load(key)
        for verb, ends in _VERBS.values():
            found |= self._verbs(NOTHING, verb, ends)
        for name_, sites in self._scopes.methods.items():
            found |= {Function(site, bound=id(node)) for site in sites if name_}
        heap.add(("in", id(node)), found - thing)
        # What is stored into globals() may be any name afterwards.
        heap.add(ANY_NAME, heap.load(("in", id(node))))
        return found | thing


def _constant(arguments: list[ast.expr]) -> str:
    """The first argument if it is a constant text, else UNKNOWN."""
    if arguments and isinstance(arguments[0], ast.Constant):
        value = arguments[0].value
        return value if isinstance(value, str) else UNKNOWN
    return UNKNOWN


def _unpacks_numbers(node: ast.Call) -> bool:
    """`struct.unpack` with a format that has no bytes in it, or `int.from_bytes`."""
    if not isinstance(node.func, ast.Attribute):
        return False
    if node.func.attr == "from_bytes":
        return True
    text = _constant(node.args)
    return (
        node.func.attr in ("unpack", "unpack_from")
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("struct", "ustruct")
        and text != UNKNOWN
        and not set("sp") & set(text)
    )
