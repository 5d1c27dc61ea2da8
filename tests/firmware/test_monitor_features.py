# SPDX-License-Identifier: Apache-2.0
"""What of the monitor leaves an image, who may call it then, and how it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

import boards
from firmware.appliance.manifest_file import load
from firmware.appliance.problems import ApplianceError
from firmware.compiler.link import RUNTIME
from firmware.compiler.native import runtime_digest
from firmware.compiler.tables import Component, tables_c
from firmware.compiler.toolchain import CORES, CompileJob, ToolchainError, zig_toolchain
from firmware.planning.monitor_features import (
    EVERYTHING,
    Feature,
    constants,
    feature_reasons,
    image_config,
)
from firmware.planning.planner import make_plan
from firmware.planning.syscalls import Call
from tests.firmware.appliances import write_appliance
from tests.firmware.builds import HELLO
from tests.monitor.rig import board_roots

BOARD = boards.load("mps2-an385")


def test_hello_needs_nothing_that_can_be_left_out() -> None:
    assert not feature_reasons(load(HELLO))
    hello = make_plan(load(HELLO), BOARD).task("hello")
    left = {call for call in Call if hello.calls >> call & 1}
    assert left == {*(Call(n) for n in range(8)), Call.ACCOUNT} - {Call.SEND, Call.RECEIVE}


def test_the_log_is_larger_where_there_is_more_to_tell(tmp_path: Path) -> None:
    assert make_plan(load(HELLO), BOARD).log == 1024
    full = write_appliance(tmp_path)
    assert make_plan(load(full), BOARD).log == 2048
    manifest = full / "appliance.toml"
    text = manifest.read_text().replace('version = "1.2.3+4"', 'version = "1.2.3+4"\nlog = "SIZE"')
    manifest.write_text(text.replace("SIZE", "4K"))
    assert make_plan(load(full), BOARD).log == 4096
    for wrong in ("3K", "256", "32K"):
        manifest.write_text(text.replace("SIZE", wrong))
        with pytest.raises(ApplianceError, match="log"):
            load(full)


def test_each_feature_has_the_place_in_the_manifest_that_asks_for_it(tmp_path: Path) -> None:
    reasons = feature_reasons(load(write_appliance(tmp_path)))
    assert set(reasons) == {Feature.CHANNELS, Feature.SINKS, Feature.GATES, Feature.DEVICES} | (
        set(reasons) & {Feature.EMIT}
    )
    text = (tmp_path / "appliance.toml").read_text().splitlines()
    (device,) = reasons[Feature.DEVICES]
    assert text[device.line - 1] == 'devices = ["uart2"]'
    assert all(reason.line > 1 for found in reasons.values() for reason in found)


def test_every_constant_is_a_plain_condition_somewhere_in_c() -> None:
    folders = (RUNTIME / "monitor", Path(boards.__file__).parent)
    texts = "".join(path.read_text() for folder in folders for path in folder.rglob("*.[ch]"))
    for feature in Feature:
        assert feature.constant in texts
        assert f"ifdef {feature.constant}" not in texts


def test_the_runtimes_digest_tells_one_monitor_from_another() -> None:
    monitors = [constants(EVERYTHING - {each}) for each in Feature]
    monitors += [constants(EVERYTHING), constants(EVERYTHING, 2048)]
    digests = {runtime_digest(BOARD, "", monitor) for monitor in monitors}
    assert len(digests) == len(monitors)
    assert constants(set())[Feature.CALLS.constant] == "0"


def test_tables_that_the_monitor_has_no_code_for_do_not_compile(tmp_path: Path) -> None:
    """Should the analysis ever cut too much, it is noticed at the build."""
    plan = make_plan(load(write_appliance(tmp_path / "full")), BOARD)
    (tmp_path / "image_config.h").write_text(image_config(constants(EVERYTHING - {Feature.GATES})))
    roots, includes = board_roots(BOARD, tmp_path)
    source = tmp_path / "tables.c"
    source.write_text(tables_c(plan, 0, Component("runtime", "1", bytes(32))))
    with pytest.raises(ToolchainError, match="gates: not in this monitor"):
        zig_toolchain().compile([CompileJob(source, includes)], CORES[BOARD.core], roots)
