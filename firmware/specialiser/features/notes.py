# SPDX-License-Identifier: Apache-2.0
"""What a reader of one module says: a switch is needed at a line, a construct cannot be built."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from firmware.appliance.problems import shown
from firmware.specialiser.features.catalogue import ATTRIBUTES, METHODS
from firmware.specialiser.features.evaluation import Evaluator
from firmware.specialiser.features.needs import Needs, Reason, Refusal
from firmware.specialiser.features.program import Program


class ModuleNotes:
    """Fills `needs` with what is noted of one module of a program."""

    def __init__(self, program: Program, name: str, evaluator: Evaluator, needs: Needs) -> None:
        self.program = program
        self.evaluator = evaluator
        self.needs = needs
        self.name = name
        self.file = shown(program.sources[name].path)

    def reason(self, node: ast.AST, what: str) -> Reason:
        """A reason at a node's line."""
        return Reason(self.file, getattr(node, "lineno", 0), what)

    def need(self, switches: Iterable[str], node: ast.AST, what: str) -> None:
        """Switches are needed because of a node."""
        self.needs.add(switches, self.reason(node, what))

    def refuse(self, node: ast.AST, what: str, mend: str) -> None:
        """The node cannot be built."""
        source = self.program.sources[self.name]
        line = getattr(node, "lineno", 1)
        self.needs.refuse(Refusal(source.path, line, self.name, what, mend))

    def attribute(self, node: ast.AST, name: str) -> None:
        """An attribute of an unknown object is read."""
        if name in ATTRIBUTES:
            self.need(ATTRIBUTES[name], node, f"the attribute `{name}`")

    def every_attribute(self, node: ast.AST, what: str) -> None:
        """A name only known at run time: keeps whatever an attribute can need."""
        for switches in (*ATTRIBUTES.values(), *METHODS.values()):
            self.need(switches, node, f"{what}: cannot be decided, so kept")

    def define(self, node: ast.AST, name: str) -> None:
        """A class, or something else, gets an attribute of that name."""
        if name in METHODS:
            self.need(METHODS[name], node, f"`{name}` is defined")
        if name == "__exit__" and self.program.os_errors:
            self.need(("PY_ERRNO",), node, "`__exit__` sees exceptions, perhaps an OSError")

    def dynamic_class(self, node: ast.AST, what: str) -> None:
        """A class is made at run time: whatever its methods can need."""
        self.need(("MULTIPLE_INHERITANCE",), node, f"{what}: cannot be decided, so kept")
        for switches in METHODS.values():
            self.need(switches, node, f"{what}: cannot be decided, so kept")
