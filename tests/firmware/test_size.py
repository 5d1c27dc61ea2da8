# SPDX-License-Identifier: Apache-2.0
"""Where the bytes of an image are: the tree adds up, and the picture shows it in proportion."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from coffret import coffret
from firmware import cli
from firmware.bundle.size_tree import Group
from firmware.bundle.sizes import PARTS
from firmware.bundle.treemap import Box, squarify, treemap

EXAMPLE = Path(__file__).parents[2] / "examples" / "heart_diary"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], Path]:
    """What `coffret build --size --json` says of heart_diary, and its picture."""
    folder = tmp_path_factory.mktemp("size")
    if "build" not in coffret.commands:
        cli.mount(coffret)
    picture = folder / "size.svg"
    arguments = ["build", str(EXAMPLE), "--board", "mps2-an385", "-o", str(folder / "bundle")]
    runner = CliRunner(env={"COFFRET_KEYS": str(folder / "keys")})
    result = runner.invoke(coffret, [*arguments, "--size", str(picture), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), picture


def test_the_tree_adds_up_to_the_image(built: tuple[dict[str, dict[str, int]], Path]) -> None:
    document, _ = built
    groups: list[dict[str, object]] = document["size"]  # type: ignore[assignment]
    for part in PARTS:
        mine = [group["bytes"] for group in groups if group["part"] == part]
        assert sum(mine) == document["sizes"][part]  # type: ignore[arg-type]


def test_modules_and_sources_are_named(built: tuple[dict[str, object], Path]) -> None:
    groups: list[dict[str, object]] = built[0]["size"]  # type: ignore[assignment]
    by_part = {part: {g["group"] for g in groups if g["part"] == part} for part in PARTS}
    assert {"sensor", "trace", "diary", "coach", "uplink"} <= by_part["bytecode"]
    assert {"py/vm.c", "py/gc.c", "vm/modenclave.c"} <= by_part["vm"]
    assert {"monitor/channel.c", "store/store.c", "services/manager.c"} <= by_part["monitor"]
    known = sum(
        g["bytes"]  # type: ignore[misc]
        for g in groups
        if g["group"] not in ("other", "strings and alignment")
    )
    assert known > 0.85 * sum(g["bytes"] for g in groups)  # type: ignore[misc]


def test_the_picture_is_a_document_that_names_every_group(
    built: tuple[dict[str, object], Path],
) -> None:
    document, picture = built
    root = ElementTree.parse(picture).getroot()
    titles = {each.text for each in root.iter("{http://www.w3.org/2000/svg}title")}
    for group in document["size"]:  # type: ignore[attr-defined]
        assert f"{group['group']}: {group['bytes']:,} bytes" in titles


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=60))
def test_areas_are_in_proportion_and_fill_the_box(sizes: list[int]) -> None:
    ordered = sorted(sizes, reverse=True)
    box = Box(3, 5, 640, 400)
    placed = squarify(ordered, box)
    scale = box.width * box.height / sum(ordered)
    for size, each in zip(ordered, placed, strict=True):
        assert each.width * each.height == pytest.approx(size * scale, rel=1e-6, abs=1e-3)
        assert box.x - 1e-6 <= each.x and each.x + each.width <= box.x + box.width + 1e-3
        assert box.y - 1e-6 <= each.y and each.y + each.height <= box.y + box.height + 1e-3


def test_the_picture_depends_on_the_sizes_alone() -> None:
    groups = [Group("vm", "b", {"x": 10, "y": 20}), Group("vm", "a<&", {"z": 30})]
    assert treemap("t", groups) == treemap("t", groups)
    assert "a&lt;&amp;" in treemap("t", groups)
