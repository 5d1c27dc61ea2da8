# SPDX-License-Identifier: Apache-2.0
"""What the little languages inside strings ask for: struct and array codes, `%` and `str.format`
specifications.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

from firmware.specialiser.features.catalogue import FLOAT, LONGINT

UNICODE = "PY_BUILTINS_STR_UNICODE"

# Integers of 32 bits and more do not fit a small integer. (`py/binary.c`)
_WIDE_CODES = frozenset("iIlLqQnNP")
_FLOAT_CODES = frozenset("efd")
_PERCENT = re.compile(r"%(?:\([^)]*\))?[-+ #0]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[hlL]?(?P<type>.)")
# MicroPython formats any number by these as a float.
_FLOAT_TYPES = frozenset("eEfFgG%")


def structure(codes: str) -> Iterator[str]:
    """Switches for a struct format or an array's type code."""
    if _FLOAT_CODES & set(codes):
        yield FLOAT
    if _WIDE_CODES & set(codes):
        yield LONGINT


def percent(text: str) -> Iterator[str]:
    """Switches for the conversions of a `%` format string."""
    for match in _PERCENT.finditer(text):
        kind = match["type"]
        if kind in _FLOAT_TYPES - {"%"}:
            yield FLOAT
        elif kind == "c":
            yield UNICODE


def specification(text: str) -> Iterator[str]:
    """Switches for one format specification, as after the colon in `{:...}`."""
    if text and text[-1] in _FLOAT_TYPES:
        yield FLOAT
    elif text.endswith("c"):
        yield UNICODE


def template(text: str) -> Iterator[str]:
    """Switches for the string a `.format` method is called on. ValueError if it is not one."""
    for _, _, spec, _ in string.Formatter().parse(text):
        if spec and "{" in spec:
            yield from (FLOAT, UNICODE)
        elif spec:
            yield from specification(spec)
