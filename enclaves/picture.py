# SPDX-License-Identifier: Apache-2.0
"""The flows as one picture: SVG that is a function of the policy alone, byte for byte.

From left to right: devices that data comes from, enclaves, sinks. A box of an enclave lists the
tags it may hold, each with a mark of its own colour and its name; a gate is a bar across the arrow
it opens. Colours only repeat what words and shapes say. Light and dark follow the reader's choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from enclaves.graph import Edge, FlowGraph, Kind
from enclaves.picture_layout import (
    BOX_WIDTH,
    CHIP,
    HEAD,
    MARGIN,
    Box,
    Layout,
    Line,
    box_rows,
    gate_height,
    lay_out,
    wrapped,
)
from enclaves.policy import Policy
from enclaves.proof import prove
from enclaves.report import NO_DATA, Consent, device_words, sentences

# Okabe and Ito, *Color Universal Design* (2008): told apart by most eyes, on light and on dark.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#b8a900", "#8c8c8c")
_LINE = 20
_STYLE = """\
text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--ink) }
.title { font-size: 18px; font-weight: 600 }
.name { font-size: 14px; font-weight: 600 }
.small { font-size: 12px; fill: var(--soft) }
.box { fill: var(--box); stroke: var(--line); stroke-width: 1.5 }
.sink { fill: var(--end); stroke-width: 3 }
.device { fill: var(--end); stroke-dasharray: 5 3 }
.flow { fill: none; stroke: var(--line); stroke-width: 1.5 }
.head { fill: var(--line) }
.open { stroke: var(--gate) }
.gate { fill: var(--gate-box); stroke: var(--gate); stroke-width: 2 }
.bad { stroke: var(--bad); stroke-width: 3; stroke-dasharray: 2 4 }
.no { fill: var(--bad); font-weight: 600 }
.paper { fill: var(--paper) }"""
_LIGHT = (
    "--paper: #ffffff; --box: #f4f6f8; --end: #e8ecf1; --ink: #1b1f24; --soft: #4d5762; "
    "--line: #5b6673; --gate: #8a5300; --gate-box: #fff3dd; --bad: #b3261e"
)
_DARK = (
    "--paper: #14181d; --box: #20262d; --end: #2a323b; --ink: #eef1f4; --soft: #b6c0ca; "
    "--line: #98a4b0; --gate: #f0b45a; --gate-box: #3a2d16; --bad: #ff8a80"
)


def draw(policy: Policy, consents: Mapping[str, Consent] | None = None) -> str:
    """The document. `consents` by gate name adds who granted it."""
    graph = policy.graph
    layout = lay_out(graph)
    proof = prove(graph)
    said = sentences(graph, proof, consents) or [NO_DATA]
    words = [line for text in said for line in wrapped(text, layout.width - 2 * MARGIN)]
    height = layout.height + _LINE * len(words) + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {layout.width} {height}" '
            f'width="{layout.width}" height="{height}" role="img" aria-labelledby="t d">',
            f'<title id="t">Flows of {escape(policy.appliance)}</title>',
            f'<desc id="d">{escape(" ".join(said))}</desc>',
            "<style>",
            f":root {{ {_LIGHT} }}",
            f"@media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}",
            _STYLE,
            "</style>",
            f'<rect class="paper" width="{layout.width}" height="{height}"/>',
            _text(MARGIN, 34, policy.appliance, "title"),
            *_headings(layout),
            *(part for line in layout.lines for part in _flow(graph, line)),
            *(part for box in layout.boxes for part in _box(graph, box)),
            *(part for line in layout.lines for part in _gate(graph, line)),
            *(
                _text(MARGIN, layout.height + _LINE * number, line)
                for number, line in enumerate(words)
            ),
            "</svg>",
            "",
        ]
    )


def _headings(layout: Layout) -> Iterator[str]:
    for x, words in layout.headings:
        yield _text(x, HEAD - 14, words, "small")


def _box(graph: FlowGraph, box: Box) -> Iterator[str]:
    node = box.node
    kind = "" if node.kind is Kind.ENCLAVE else f" {node.kind}"
    corner = 10 if node.kind is Kind.ENCLAVE else 0
    yield (
        f'<rect class="box{kind}" x="{box.x}" y="{box.y}" width="{BOX_WIDTH}" '
        f'height="{box.height}" rx="{corner}"/>'
    )
    name = device_words(node.name) if node.leaves else node.name
    yield _text(box.x + 12, box.y + 22, name, "name")
    yield _text(box.x + BOX_WIDTH - 12, box.y + 22, str(node.kind), "small", end=True)
    y = box.y + 22
    for words, tags in box_rows(node):
        y += CHIP
        yield _text(box.x + 12, y, words, "small")
        for tag in tags:
            y += CHIP
            yield from _chip(graph, box.x + 12, y, tag)


def _chip(graph: FlowGraph, x: int, y: int, tag: str) -> Iterator[str]:
    number = [known.name for known in graph.tags].index(tag)
    colour = _COLOURS[number % len(_COLOURS)]
    yield _mark(x + 6, y - 4, number // len(_COLOURS), colour)
    yield _text(x + 18, y, tag)


def _mark(x: int, y: int, shape: int, colour: str) -> str:
    """A disc, a square, a diamond: eight tags each, then the names alone tell them apart."""
    if shape == 0:
        return f'<circle cx="{x}" cy="{y}" r="5.5" fill="{colour}"/>'
    if shape == 1:
        return f'<rect x="{x - 5}" y="{y - 5}" width="10" height="10" fill="{colour}"/>'
    points = f"{x},{y - 6} {x + 6},{y} {x},{y + 6} {x - 6},{y}"
    return f'<polygon points="{points}" fill="{colour}"/>'


def _flow(graph: FlowGraph, line: Line) -> Iterator[str]:
    illegal = _illegal(graph, line.edge)
    kind = " bad" if illegal else " open" if line.edge.gate else ""
    yield f'<path class="flow{kind}" d="{line.path}"/>'
    x, y = line.end
    yield f'<polygon class="head" points="{x},{y} {x - 9},{y - 5} {x - 9},{y + 5}"/>'
    if illegal:
        above = gate_height(graph.gate(line.edge.gate)) // 2 if line.edge.gate else 0
        yield _text(line.middle[0], line.middle[1] - above - 8, "ILLEGAL", "no", middle=True)


def _gate(graph: FlowGraph, line: Line) -> Iterator[str]:
    if line.edge.gate is None:
        return
    gate = graph.gate(line.edge.gate)
    x, y = line.middle
    tags = sorted(gate.releases) or sorted(gate.vouches)
    verb = "releases" if gate.releases else "vouches for"
    rate = f"{gate.budget.size} bytes, {gate.budget.rate}"
    rows = [gate.name, rate, *(["as it came"] if gate.raw else [])]
    height = gate_height(gate)
    left, top = x - line.gate_width // 2, y - height // 2
    yield (
        f'<rect class="gate" x="{left}" y="{top}" width="{line.gate_width}" '
        f'height="{height}" rx="4"/>'
    )
    at = top + 18
    yield _text(left + 10, at, gate.name, "name")
    yield _text(left + 10, at + 17, verb, "small")
    for number, tag in enumerate(tags):
        yield from _chip(graph, left + 10, at + 17 * (number + 2), tag)
    for number, row in enumerate(rows[1:]):
        yield _text(left + 10, at + 17 * (len(tags) + 2 + number), row, "small")


def _illegal(graph: FlowGraph, edge: Edge) -> bool:
    return bool(graph.leaked(edge) or graph.unvouched(edge))


def _text(
    x: int, y: int, words: str, kind: str = "", *, end: bool = False, middle: bool = False
) -> str:
    anchor = ' text-anchor="end"' if end else ' text-anchor="middle"' if middle else ""
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x}" y="{y}"{anchor}>{escape(words)}</text>'
