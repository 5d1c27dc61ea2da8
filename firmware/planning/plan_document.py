# SPDX-License-Identifier: Apache-2.0
"""A plan as JSON: to print, to keep, and to compare with another one line by line."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from enum import Enum

from boards.memory import Region
from boards.model import Board
from firmware.planning.plan import Plan

# Read as numbers of bytes or bits by people: in hexadecimal.
_HEXADECIMAL = frozenset({"queue", "window_save", "calls"})
_LABELS = frozenset({"secrecy", "integrity", "releases", "vouches", "accepts"})


def plan_document(plan: Plan) -> str:
    """The plan as JSON text. Equal plans give equal text; labels are written as tag names."""
    return json.dumps(_value("", plan, plan.tags), indent=2) + "\n"


def _value(name: str, value: object, tags: tuple[str, ...]) -> object:
    if isinstance(value, frozenset):
        return sorted(str(_leaf(name, item, tags)) for item in value)
    if isinstance(value, tuple):
        return [_value(name, item, tags) for item in value]
    if is_dataclass(value):
        return {f.name: _value(f.name, getattr(value, f.name), tags) for f in fields(value)}
    return _leaf(name, value, tags)


def _leaf(name: str, value: object, tags: tuple[str, ...]) -> object:
    shown = value
    match value:
        case Region():
            shown = f"{value.base:#010x}..{value.end:#010x}"
        case Board():
            shown = value.name
        case Enum():
            shown = value.name.lower()
        case bytes():
            shown = value.hex()
        case int() if name in _LABELS:
            shown = [tag for number, tag in enumerate(tags) if value >> number & 1]
        case int() if name in _HEXADECIMAL:
            shown = f"{value:#x}"
    return shown
