# SPDX-License-Identifier: Apache-2.0
"""Each kind of assertion of `policy.toml` holds, breaks with what breaks it, and names its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from graphs import TAGS, graphs
from hypothesis import given
from hypothesis import strategies as st
from test_widening import BASE

from boards.errors import USAGE
from enclaves.assertions import Reach
from enclaves.graph import FlowGraph
from firmware.appliance.assertion_file import parse_assertions
from firmware.appliance.problems import ApplianceError

FILE = Path("policy.toml")

HOLDS = [
    '[[reach]]\ntag = "a"\nto = "usb"\nonly_through = "coach"',
    '[[reach]]\ntag = "a"\nto = ["usb", "uplink"]\nonly_through = ["coach.weekly"]',
    '[[reach]]\nowner = "alice"\nto = "usb"\nonly_through = ["coach"]',
    '[[reach]]\ntag = "a"\nto = "i2c0"',  # where it comes from
    '[[drive]]\ndevice = "i2c0"\nonly = "sensor"',
    '[[send]]\nto = "usb"\nonly = ["uplink"]',
    '[[send]]\nto = "uplink"\nonly = ["coach.weekly"]',
    '[[apart]]\ntags = ["a", "ok"]',
    '[[spend]]\ntag = "a"\nbytes = 16\nper = "week"',
    '[[spend]]\ntag = "a"\nbytes = 16\nper = "second"',
    "",
]

BREAKS = [
    ('[[reach]]\ntag = "a"\nto = "usb"', "a reaches usb: sensor.checked -> coach.weekly -> uplink"),
    ('[[reach]]\nowner = "alice"\nto = "coach"', "a reaches coach: sensor.checked -> coach"),
    ('[[drive]]\ndevice = "i2c0"\nonly = []', "sensor drives i2c0"),
    ('[[send]]\nto = "usb"\nonly = "coach"', "uplink -> usb is a channel"),
    (
        '[[spend]]\ntag = "a"\nbytes = 15\nper = "day"',
        "16 bytes may pass (coach.weekly 16), not 15",
    ),
    ('[[spend]]\nowner = "alice"\nbytes = 9\nper = "hour"', "16 bytes may pass"),
]

MALFORMED = [
    ("[[reach]]\nto = 'usb'", "needs either `tag` or `owner`"),
    ("[[reach]]\ntag = 'a'", "field required"),
    ("[[raech]]\ntag = 'a'", "did you mean `reach`?"),
    ("[reach]\ntag = 'a'", "write [[reach]]"),
    ("[[drive]]\ndevice = 'i2c0'\nonly = 'x'\nmore = 1", "extra inputs are not permitted"),
    ("[[spend]]\ntag = 'a'\nbytes = 1\nper = 'year'", "must be one of second, minute"),
    ("[[apart]]\ntags = ['a']", "at least 2"),
    ("[[send]\n", "policy"),
    ("says = 'x'", "known are: reach, drive, send, apart, spend"),
]

UNKNOWN = [
    ('[[reach]]\ntag = "b"\nto = "usb"', "reach[0].tag: there is no tag 'b'"),
    ('[[reach]]\ntag = "a"\nto = "ubs"', "did you mean `usb`?"),
    ('[[reach]]\nowner = "bob"\nto = "usb"', "there is no owner of a tag 'bob'"),
    (
        '[[reach]]\ntag = "a"\nto = "usb"\nonly_through = "coach.weakly"',
        "did you mean `coach.weekly`?",
    ),
    ('[[drive]]\ndevice = "usb"\nonly = []', "there is no device driven by an enclave 'usb'"),
]


def problems(text: str, graph: FlowGraph = BASE) -> list[str]:
    return [str(p) for p in parse_assertions(text.encode(), FILE).problems(graph)]


@pytest.mark.parametrize("text", HOLDS)
def test_what_holds_is_silent(text: str) -> None:
    assert problems(text) == []


@pytest.mark.parametrize(("text", "why"), BREAKS)
def test_what_breaks_is_named_with_its_line_and_what_it_is_for(text: str, why: str) -> None:
    head, _, rest = text.partition("\n")
    (line,) = problems(f'# a comment\n{head}\nsays = "this matters"\n{rest}')
    assert line.startswith(f"policy.toml:2: {head.strip('[]')}[0]: this matters: ")
    assert why in line


@pytest.mark.parametrize(("text", "why"), MALFORMED)
def test_a_malformed_file_exits_2(text: str, why: str) -> None:
    with pytest.raises(ApplianceError) as caught:
        parse_assertions(text.encode(), FILE)
    assert caught.value.exit_code == USAGE
    assert why in caught.value.message


@pytest.mark.parametrize(("text", "why"), UNKNOWN)
def test_a_misspelt_name_does_not_hold_for_ever(text: str, why: str) -> None:
    (line,) = problems(text)
    assert why in line


def test_two_tags_in_one_enclave_are_not_apart() -> None:
    graph = FlowGraph(
        BASE.tags,
        tuple(
            type(n)(n.name, n.kind, frozenset({"a", "ok"}) if n.name == "coach" else n.secrecy)
            for n in BASE.nodes[:3]
        ),
    )
    (line,) = problems('[[apart]]\ntags = ["ok", "a"]', graph)
    assert "coach sees a and ok" in line


def paths(graph: FlowGraph, name: str, seen: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield seen
    if graph.node(name).leaves:
        return
    for edge in graph.edges:
        if edge.source == name and edge.target not in seen:
            yield from paths(graph, edge.target, (*seen, str(edge.gate), edge.target))


@given(graphs(), st.sampled_from(TAGS), st.data())
def test_only_through_means_that_every_path_passes_it(
    graph: FlowGraph, tag: str, data: st.DataObject
) -> None:
    """Against all simple paths, one by one."""
    names = [node.name for node in graph.nodes] + [gate.name for gate in graph.gates]
    through = frozenset(data.draw(st.lists(st.sampled_from(names), max_size=2)))
    to = data.draw(st.sampled_from([n.name for n in graph.nodes]))
    makers = [n.name for n in graph.nodes if tag in n.makes]
    makers = makers or [n.name for n in graph.nodes if tag in n.secrecy and not n.leaves]
    around = any(
        path[-1] == to and not through & set(path)
        for maker in makers
        for path in paths(graph, maker, (maker,))
    )
    assert bool(list(Reach((tag,), (to,), tuple(through)).broken(graph))) == around
