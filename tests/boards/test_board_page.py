# SPDX-License-Identifier: Apache-2.0
"""The table of docs/boards.md is that of the boards there are."""

from __future__ import annotations

from pathlib import Path

import pytest

import boards
from benchmarks.board_table import PAGE, ROOT, made, measured, replaced, row, rows_of


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_every_board_has_its_row_and_says_where_it_was_run() -> None:
    rows = {cells[0].strip("`"): cells for cells in rows_of(page())}
    assert tuple(rows) == boards.names()
    for name, cells in rows.items():
        assert cells[-1] == boards.load(name).run_on


def test_page_says_what_nobody_has_shown() -> None:
    text = page()
    assert replaced(text, made(rows_of(text))) == text, "python -m benchmarks.board_table --write"


def test_a_new_board_is_one_folder_of_at_most_150_lines() -> None:
    """As docs/porting.md says of mps2-an386: facts, no C, and no other file that knows its name."""
    name = "mps2-an386"
    (facts,) = (ROOT / "boards" / name).iterdir()
    assert facts.name == "board.toml"
    assert len(facts.read_text(encoding="utf-8").splitlines()) <= 150
    sources = ("attest", "boards", "enclaves", "examples", "firmware", "flasher")
    paths = [path for source in sources for path in (ROOT / source).rglob("*") if path.is_file()]
    read = [path for path in paths if path.suffix in {".py", ".c", ".h", ".S", ".toml"}]
    assert len(read) > 300
    knows = [path for path in read if name.encode() in path.read_bytes()]
    assert knows == [facts]


@pytest.mark.all
@pytest.mark.parametrize("name", boards.names())
def test_figures_are_those_of_today(name: str, tmp_path: Path) -> None:
    board = boards.load(name)
    assert row(board, measured(board, tmp_path)) in rows_of(page())
