# SPDX-License-Identifier: Apache-2.0
"""A use of `globals()` of which it is known what is done with it.

MicroPython's `_asyncio.Task` takes the globals of asyncio's core and looks three names up in them
(extmod/modasyncio.c); it changes nothing and gives them to nobody.
"""

from __future__ import annotations

import ast

from firmware.specialiser.features.scopes import all_bindings

LOOKED_UP = frozenset(("CancelledError", "_task_queue", "cur_task"))


def contexts(tree: ast.Module) -> frozenset[ast.AST]:
    """The names `globals` in calls `Task(coroutine, globals())` of that very class."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    theirs = [
        alias
        for node in imports
        for alias in node.names
        if node.module == "_asyncio" and node.level == 0 and alias.name == "Task"
    ]
    bindings = all_bindings(tree)
    plain = len(theirs) == len(bindings.get("Task", ())) and "globals" not in bindings
    if not theirs or not plain or any(alias.asname for alias in theirs):
        return frozenset()
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Name(id="Task"),
                args=[_, ast.Call(func=ast.Name(id="globals") as name, args=[], keywords=[])],
                keywords=[],
            ):
                found.add(name)
    return frozenset(found)
