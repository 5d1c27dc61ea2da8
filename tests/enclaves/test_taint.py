# SPDX-License-Identifier: Apache-2.0
"""Whatever moves, cuts or re-encodes a message leaves it raw at the gate; computing does not."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from enclaves.taint import Source, code_lines, trace

HEAD = """\
import struct
import enclave
diary = enclave.input("diary")
other = enclave.input("other")
weekly = enclave.gate("weekly")
"""


def snippets(file: str) -> dict[str, str]:
    """The programs of a file, by name; the first lines say what they have in common."""
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    parts = (part.partition("\n") for part in text.split("\n## ")[1:])
    return {name: body for name, _, body in parts}


RAW = snippets("taint_raw.txt")
COMPUTED = snippets("taint_computed.txt")


def traced(body: str, helper: str = "") -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    sources = [Source("main", HEAD + textwrap.dedent(body))]
    if helper:
        sources.append(Source("helper", helper))
    return [(r.raw, r.computed) for r in trace(sources, ("diary", "other"))]


@pytest.mark.parametrize("body", RAW.values(), ids=RAW.keys())
def test_a_raw_message_is_raw_at_the_gate(body: str) -> None:
    found = traced(body)
    assert found
    raw = {name for names, _ in found for name in names}
    assert raw & {"diary", "?"}


@pytest.mark.parametrize("body", COMPUTED.values(), ids=COMPUTED.keys())
def test_what_is_computed_is_not_raw_but_is_told(body: str) -> None:
    assert traced(body) == [((), ("diary",))]


def test_constants_and_other_variables_are_clean() -> None:
    assert traced("m = diary.receive()\nx = b'1'\nweekly.release(x)") == [((), ())]
    assert traced("m = diary.receive()\nn = other.receive()\nweekly.release(n)") == [
        (("other",), ())
    ]


def test_a_message_is_followed_through_another_module() -> None:
    helper = "kept = []\ndef keep(m):\n    kept.append(m)\ndef last():\n    return kept[-1]\n"
    body = "import helper\nhelper.keep(diary.receive())\nweekly.release(helper.last())"
    assert traced(body, helper) == [(("diary",), ())]
    body = "from helper import *\nkeep(diary.receive())\nweekly.release(kept[0])"
    assert traced(body, helper) == [(("diary",), ())]


def test_every_expression_that_reaches_a_release_is_listed_and_no_other() -> None:
    body = """\
    def half(n):
        return n // 2
    n = struct.unpack("<H", diary.receive())[0]
    unrelated = other.receive()
    weekly.release(bytes([half(n)]))
    """
    (release,) = trace([Source("main", HEAD + textwrap.dedent(body))], ("diary", "other"))
    listed = {place.text for place in release.reaches}
    assert {"n // 2", "bytes([half(n)])", "struct.unpack('<H', diary.receive())[0]"} <= listed
    assert "other.receive()" not in listed
    assert release.place.line == 10


def test_lines_of_code_are_counted_without_comments_and_docstrings() -> None:
    text = (
        '"""Two\nlines."""\n\n# a comment\nx = (\n    1,\n)\n\ndef f():\n    "doc"\n    return x\n'
    )
    assert code_lines(text) == 5
