# SPDX-License-Identifier: Apache-2.0
"""How small the monitor is: lines to read, flash, memory, and what an idle enclave costs."""

from __future__ import annotations

from pathlib import Path

import pytest

import boards
from firmware.appliance.manifest_file import load
from firmware.compiler.link import RUNTIME
from firmware.compiler.toolchain import CORES, CompileJob, zig_toolchain
from firmware.planning.monitor_features import EVERYTHING, LOG_BYTES, Feature
from firmware.planning.planner import make_plan
from tests.firmware.builds import HELLO
from tests.monitor.proper import HUBRIS_FLASH, HUBRIS_RAM, Size, compile_proper, size_of, sources
from tests.monitor.rig import board_roots

BOARD = boards.load("mps2-an385")
TASK_STATE = 128  # what the monitor remembers of it, at most
KIB = 1024


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Size:
    """The monitor proper with everything but what drives granted devices."""
    features = EVERYTHING - {Feature.DEVICES}
    return size_of(compile_proper(BOARD, tmp_path_factory.mktemp("whole"), features))


def test_it_has_fewer_than_2500_lines_of_c() -> None:
    """With its headers, the record store and the core's port; without drivers and services, and
    without comments and empty lines.
    """
    paths = {*sources(BOARD), *(RUNTIME / "monitor").glob("*.h"), *(RUNTIME / "store").glob("*.h")}
    texts = [path.read_text(encoding="utf-8") for path in paths]
    assert not any("/*" in text for text in texts), "comments are lines of their own here"
    lines = [line.strip() for text in texts for line in text.splitlines()]
    code = [line for line in lines if line and not line.startswith("//")]
    print(f"{len(code)} of {len(lines)} lines in {len(paths)} files")
    assert 1000 < len(code) < 2500


def test_with_everything_it_needs_no_more_flash_and_memory_than_hubris(whole: Size) -> None:
    """Memory: variables and stack, beside the log and what there is for each task and channel."""
    memory = whole.variables - LOG_BYTES + BOARD.memory.main_stack
    print(f"{whole.flash} bytes of flash, {memory} of memory")
    assert whole.flash <= HUBRIS_FLASH
    assert memory <= HUBRIS_RAM


def test_hellos_is_two_thirds_of_that(whole: Size, tmp_path: Path) -> None:
    hello = size_of(compile_proper(BOARD, tmp_path, frozenset()))
    print(f"{hello.flash} bytes of flash")
    assert hello.flash * 3 <= whole.flash * 2


def test_an_idle_enclave_costs_less_than_3_kib_above_its_heap_and_stack(tmp_path: Path) -> None:
    source = tmp_path / "size.c"
    check = f'_Static_assert(sizeof(struct task_state) <= {TASK_STATE}u, "");'
    source.write_text(f'#include "state.h"\n{check}\n', encoding="utf-8")
    roots, includes = board_roots(BOARD, tmp_path)
    zig_toolchain().compile([CompileJob(source, includes)], CORES[BOARD.core], roots)
    manifest = load(HELLO)
    task = make_plan(manifest, BOARD).task("hello")
    assert task.heap is not None
    asked = manifest.enclaves["hello"]
    assert task.heap.size >= asked.heap
    assert task.stack_size >= asked.stack
    above = task.memory.size - task.heap.size - task.stack_size + TASK_STATE
    print(f"{above} bytes")
    assert above <= 3 * KIB
