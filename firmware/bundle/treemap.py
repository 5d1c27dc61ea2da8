# SPDX-License-Identifier: Apache-2.0
"""A picture of sizes: nested rectangles whose areas are bytes, as SVG.

Laid out by the squarified algorithm (Bruls, Huizing and van Wijk, *Squarified Treemaps*, 2000): a
row takes the next largest until its rectangles would grow longer again. The document is a function
of the sizes alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from firmware.bundle.size_tree import Group
from firmware.bundle.sizes import PARTS

WIDTH, HEIGHT = 1200.0, 760.0
_HEAD = 40.0
_LETTER = 6.4  # px, an average of the 12 px type
_PAD = 2.0
# Okabe and Ito, *Color Universal Design* (2008), thinned with white so that black text is readable.
_COLOURS = dict(zip(PARTS, ("#9ecae8", "#f6d28b", "#8fd3bb", "#e3b8cf"), strict=True))


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, in px."""

    x: float
    y: float
    width: float
    height: float

    def inside(self, pad: float) -> Box:
        """The same without a margin on each side."""
        width, height = max(self.width - 2 * pad, 0.0), max(self.height - 2 * pad, 0.0)
        return Box(self.x + pad, self.y + pad, width, height)


def squarify(sizes: Sequence[int], box: Box) -> list[Box]:
    """A rectangle for each size (positive, largest first); together they fill `box`."""
    scale = box.width * box.height / sum(sizes) if sizes else 0.0
    areas = [size * scale for size in sizes]
    boxes: list[Box] = []
    while areas:
        side = min(box.width, box.height)
        count = 1
        while count < len(areas) and _worst(areas[: count + 1], side) <= _worst(
            areas[:count], side
        ):
            count += 1
        row, areas = areas[:count], areas[count:]
        placed, box = _row(row, box)
        boxes += placed
    return boxes


def _worst(row: Sequence[float], side: float) -> float:
    """How far the longest rectangle of a row is from a square."""
    depth = sum(row) / side if side else 0.0
    if not depth:
        return float("inf")
    return max(max(depth * depth / area, area / (depth * depth)) for area in row)


def _row(row: Sequence[float], box: Box) -> tuple[list[Box], Box]:
    """The row's rectangles along the shorter side, and what is left of the box."""
    placed = []
    at = 0.0
    if box.width >= box.height:
        depth = sum(row) / box.height if box.height else 0.0
        for area in row:
            length = area / depth if depth else 0.0
            placed.append(Box(box.x, box.y + at, depth, length))
            at += length
        return placed, Box(box.x + depth, box.y, max(box.width - depth, 0.0), box.height)
    depth = sum(row) / box.width if box.width else 0.0
    for area in row:
        length = area / depth if depth else 0.0
        placed.append(Box(box.x + at, box.y, length, depth))
        at += length
    return placed, Box(box.x, box.y + depth, box.width, max(box.height - depth, 0.0))


def treemap(title: str, groups: Sequence[Group]) -> str:
    """The document: parts, in them groups, in them symbols (named in tool tips)."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" '
        f'role="img" aria-label="{escape(title, quote=True)}">',
        "<style>text{font:12px system-ui,'DejaVu Sans',sans-serif;fill:#14181d}"
        ".t{font-size:16px;font-weight:600}.p{fill:none;stroke:#14181d;stroke-width:1.5}"
        ".g{stroke:#14181d;stroke-width:.7}.s{fill:none;stroke:#14181d33;stroke-width:.5}</style>",
        f'<rect width="{WIDTH:.0f}" height="{HEIGHT:.0f}" fill="#ffffff"/>',
    ]
    total = sum(group.size for group in groups)
    lines.append(f'<text class="t" x="8" y="26">{escape(title)}: {total:,} bytes</text>')
    by_part = {part: [g for g in groups if g.part == part] for part in PARTS}
    parts = sorted(
        (part for part in PARTS if by_part[part]),
        key=lambda part: (-sum(g.size for g in by_part[part]), part),
    )
    sizes = [sum(group.size for group in by_part[part]) for part in parts]
    paper = Box(0, _HEAD, WIDTH, HEIGHT - _HEAD).inside(6)
    for part, size, box in zip(parts, sizes, squarify(sizes, paper), strict=True):
        lines.append(_rectangle(box.inside(_PAD), "p"))
        lines += _text(box, f"{part} {size:,}", 14)
        inner = Box(box.x, box.y + 18, box.width, max(box.height - 18, 0.0)).inside(2 * _PAD)
        lines += _groups(by_part[part], inner)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _groups(groups: Sequence[Group], box: Box) -> Iterator[str]:
    ordered = sorted(groups, key=lambda group: (-group.size, group.name))
    for group, place in zip(ordered, squarify([g.size for g in ordered], box), strict=True):
        yield f"<g><title>{escape(group.name)}: {group.size:,} bytes</title>"
        yield _rectangle(place, "g", _COLOURS[group.part])
        symbols = sorted(group.symbols.items(), key=lambda item: (-item[1], item[0]))
        for (name, size), spot in zip(
            symbols, squarify([size for _, size in symbols], place), strict=True
        ):
            if spot.width * spot.height >= 16:
                tip = f"<title>{escape(name or group.name)}: {size:,} bytes</title>"
                yield _rectangle(spot, "s").replace("/>", f">{tip}</rect>")
        yield from _text(place, f"{group.name} {group.size:,}", 14)
        yield "</g>"


def _rectangle(box: Box, kind: str, fill: str = "") -> str:
    colour = f' fill="{fill}"' if fill else ""
    return (
        f'<rect class="{kind}"{colour} x="{box.x:.1f}" y="{box.y:.1f}" '
        f'width="{box.width:.1f}" height="{box.height:.1f}"/>'
    )


def _text(box: Box, text: str, down: float) -> Iterator[str]:
    """A label, cut to what its box has room for."""
    room = int((box.width - 6) / _LETTER)
    if room < 4 or box.height < down + 2:
        return
    shown = text if len(text) <= room else f"{text[: room - 1]}…"
    yield f'<text x="{box.x + 5:.1f}" y="{box.y + down:.1f}">{escape(shown)}</text>'
