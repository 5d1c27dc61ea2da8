# SPDX-License-Identifier: Apache-2.0
"""Where everything in the picture goes: columns by distance from the data, whole pixels."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from enclaves.graph import Edge, FlowGraph, Gate, Kind, Node, Way

MARGIN = 28
HEAD = 78
CHIP = 19
BOX_WIDTH = 210
_GAP_X = 90
_GAP_Y = 34
_LETTER = 8  # pixels, the widest a letter of 13 px is on average
_MIN_WIDTH = 720


@dataclass(frozen=True, slots=True)
class Box:
    """A node in its place; pixels."""

    node: Node
    x: int
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Line:
    """An edge in its place. `gate_width` 0: it has no gate."""

    edge: Edge
    path: str
    middle: tuple[int, int]
    end: tuple[int, int]
    gate_width: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole picture but for the words under it; `headings` are (x, text)."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    headings: tuple[tuple[int, str], ...]
    width: int
    height: int


def wrapped(text: str, width: int) -> list[str]:
    """`text` in lines that fit `width` pixels."""
    return textwrap.wrap(text, max(20, width // _LETTER))


def lay_out(graph: FlowGraph) -> Layout:
    """The places of all nodes and edges of `graph`. Deterministic: the graph's own order."""
    columns = _columns(graph)
    flows = [edge for edge in graph.edges if _drawn(graph, edge)]
    numbers = {node.name: n for n, column in enumerate(columns) for node in column}
    lefts = _lefts(graph, columns, flows, numbers)
    heights = {node.name: _height(node) for node in graph.nodes}
    tallest = max(
        sum(heights[node.name] + _GAP_Y for node in column) - _GAP_Y for column in columns
    )
    gates = [gate_height(graph.gate(edge.gate)) for edge in flows if edge.gate]
    tallest = max([tallest, *gates])
    boxes: dict[str, Box] = {}
    for number, column in enumerate(columns):
        total = sum(heights[node.name] + _GAP_Y for node in column) - _GAP_Y
        y = HEAD + (tallest - total) // 2
        for node in column:
            boxes[node.name] = Box(node, lefts[number], y, heights[node.name])
            y += heights[node.name] + _GAP_Y
    low = HEAD + tallest  # nothing is below this yet
    free: dict[int, int] = {}  # the first free pixel under the gates of each gap
    drawn: dict[Edge, Line] = {}
    order = sorted(flows, key=lambda edge: numbers[edge.target] - numbers[edge.source] != 1)
    for edge in order:  # those that go around come last, and below all others
        ports = _ports(flows, edge)
        gate = graph.gate(edge.gate) if edge.gate else None
        width, height = (_gate_width(gate), gate_height(gate)) if gate else (0, 0)
        if numbers[edge.target] - numbers[edge.source] == 1:
            gap = numbers[edge.target]
            line = _across(edge, boxes, ports, width, free.get(gap, 0) + height // 2)
            if gate:
                free[gap] = line.middle[1] + height - height // 2 + 24
                low = max(low, free[gap])
        else:
            line = _around(edge, boxes, ports, width, low + 14 + max(12, height // 2))
            low = line.middle[1] + height // 2
        drawn[edge] = line
    lines = [drawn[edge] for edge in flows]
    headings = _headings(columns, lefts)
    width = max(_MIN_WIDTH, lefts[-1] + BOX_WIDTH + MARGIN)
    return Layout(tuple(boxes.values()), tuple(lines), headings, width, low + 44)


def _drawn(graph: FlowGraph, edge: Edge) -> bool:
    """A device and its enclave share one arrow: inwards if data comes from it."""
    if edge.way is Way.CHANNEL:
        return True
    inwards = graph.node(edge.source).leaves
    device = graph.node(edge.source if inwards else edge.target)
    return bool(device.makes) == inwards


def _columns(graph: FlowGraph) -> list[list[Node]]:
    """Devices that data comes from; enclaves, by the longest way to them; the other ends."""
    enclaves = [node for node in graph.nodes if node.kind is Kind.ENCLAVE]
    depth = dict.fromkeys((node.name for node in enclaves), 0)
    channels = [edge for edge in graph.edges if edge.target in depth and edge.source in depth]
    forward = _without_cycles(channels, list(depth))
    for _ in enclaves:  # longest ways: as many rounds as there are nodes
        for edge in forward:
            depth[edge.target] = max(depth[edge.target], depth[edge.source] + 1)
    first = [node for node in graph.nodes if node.kind is Kind.DEVICE and node.makes]
    last = [node for node in graph.nodes if node.leaves and node not in first]
    middle = [
        [node for node in enclaves if depth[node.name] == level]
        for level in range(max(depth.values(), default=0) + 1)
    ]
    return [column for column in (first, *middle, last) if column]


def _without_cycles(edges: list[Edge], names: list[str]) -> list[Edge]:
    """The edges but for those that close a cycle, in the order of a depth-first walk."""
    kept: list[Edge] = []
    done: set[str] = set()

    def visit(name: str, above: frozenset[str]) -> None:
        done.add(name)
        for edge in edges:
            if edge.source == name and edge.target not in above:
                kept.append(edge)
                if edge.target not in done:
                    visit(edge.target, above | {edge.target})

    for name in names:
        if name not in done:
            visit(name, frozenset({name}))
    order = {name: n for n, name in enumerate(names)}
    closing = [e for e in kept if _reaches(kept, e.target, e.source)]
    return [e for e in kept if e not in closing or order[e.source] < order[e.target]]


def _reaches(edges: list[Edge], start: str, goal: str) -> bool:
    found, waiting = {start}, [start]
    while waiting:
        name = waiting.pop()
        for edge in edges:
            if edge.source == name and edge.target not in found:
                found.add(edge.target)
                waiting.append(edge.target)
    return goal in found


def _lefts(
    graph: FlowGraph, columns: list[list[Node]], flows: list[Edge], numbers: dict[str, int]
) -> list[int]:
    """The left of each column: the gap before it has room for the gates that lie in it."""
    lefts = [MARGIN]
    for number in range(1, len(columns)):
        gap = _GAP_X
        for edge in flows:
            if edge.gate and numbers[edge.target] == number and numbers[edge.source] == number - 1:
                legs = 12 * max(_ports(flows, edge)[1], _ports(flows, edge)[3])
                gap = max(gap, _gate_width(graph.gate(edge.gate)) + 64 + legs)
        lefts.append(lefts[-1] + BOX_WIDTH + gap)
    return lefts


def _height(node: Node) -> int:
    rows = sum(1 + len(tags) for _, tags in box_rows(node))
    return 34 + CHIP * rows


def _gate_width(gate: Gate) -> int:
    words = [gate.name, f"{gate.budget.size} bytes, {gate.budget.rate}", "vouches for"]
    words += [f"   {tag}" for tag in gate.releases | gate.vouches]
    return max(len(text) for text in words) * _LETTER + 20


def box_rows(node: Node) -> list[tuple[str, list[str]]]:
    """What a box says of a node: a word, and the tags it is about."""
    if node.kind is Kind.ENCLAVE:
        seen = node.secrecy - node.makes
        rows = [("makes", sorted(node.makes)), ("sees", sorted(seen))]
        rows += [("trusts or vouched", sorted(node.integrity))]
        return [row for row in rows if row[1]] or [("nothing labelled", [])]
    rows = [("gives", sorted(node.makes)), ("accepts", sorted(node.secrecy - node.makes))]
    return [row for row in rows if row[1]] or [("accepts nothing labelled", [])]


def gate_height(gate: Gate) -> int:
    """Pixels: its name, what it does, its tags, its budget, and whether it may pass raw data."""
    return 12 + 17 * (3 + gate.raw + len(gate.releases or gate.vouches))


def _ports(flows: list[Edge], edge: Edge) -> tuple[int, int, int, int]:
    """(index, count) of the edge among those that leave its source and enter its target."""
    leaving = [other for other in flows if other.source == edge.source]
    entering = [other for other in flows if other.target == edge.target]
    return leaving.index(edge), len(leaving), entering.index(edge), len(entering)


def _across(
    edge: Edge, boxes: dict[str, Box], ports: tuple[int, int, int, int], width: int, least: int
) -> Line:
    """Across one gap, through the gate in its middle, whose centre is at `least` or lower."""
    (x1, y1), (x2, y2) = _ends(edge, boxes, ports)
    half = (x1 + x2) // 2
    if not width:
        path = f"M {x1} {y1} C {half} {y1} {half} {y2} {x2 - 8} {y2}"
        return Line(edge, path, (half, (y1 + y2) // 2), (x2, y2), 0)
    y = max((y1 + y2) // 2, least)
    left, right = half - width // 2, half + width // 2
    path = (
        f"M {x1} {y1} C {(x1 + left) // 2} {y1} {(x1 + left) // 2} {y} {left} {y} H {right} "
        f"C {(right + x2) // 2} {y} {(right + x2) // 2} {y2} {x2 - 8} {y2}"
    )
    return Line(edge, path, (half, y), (x2, y2), width)


def _around(
    edge: Edge, boxes: dict[str, Box], ports: tuple[int, int, int, int], width: int, y: int
) -> Line:
    """Around, below all boxes at `y`, when it skips a column or goes back."""
    (x1, y1), (x2, y2) = _ends(edge, boxes, ports)
    out, back = x1 + 12 + 6 * ports[0], x2 - 14 - 6 * ports[2]
    path = f"M {x1} {y1} H {out} V {y} H {back} V {y2} H {x2 - 8}"
    return Line(edge, path, ((out + back) // 2, y), (x2, y2), width)


def _ends(
    edge: Edge, boxes: dict[str, Box], ports: tuple[int, int, int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where it leaves its source, on the right, and enters its target, on the left."""
    source, target = boxes[edge.source], boxes[edge.target]
    y1 = source.y + source.height * (ports[0] + 1) // (ports[1] + 1)
    y2 = target.y + target.height * (ports[2] + 1) // (ports[3] + 1)
    return (source.x + BOX_WIDTH, y1), (target.x, y2)


def _headings(columns: list[list[Node]], lefts: list[int]) -> tuple[tuple[int, str], ...]:
    words: list[tuple[int, str]] = []
    named = False
    for x, column in zip(lefts, columns, strict=True):
        if column[0].kind is Kind.ENCLAVE:
            if not named:
                words.append((x, "inside: each sees only its own tags"))
            named = True
        else:
            words.append((x, "outside: what data comes from" if not named else "outside"))
    return tuple(words)
