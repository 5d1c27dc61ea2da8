# SPDX-License-Identifier: Apache-2.0
"""The example as a person would check it: the right numbers, once a week, and nothing else."""

from __future__ import annotations

import ast
import json
import math
import struct
from itertools import pairwise
from pathlib import Path
from statistics import median_high

import pytest
from fake_enclave import Run, system_of

from boards.errors import NO
from enclaves.monitor_model import Answer, Monitor
from enclaves.policy import policy_digest
from firmware.appliance.flows import flow_policy
from firmware.appliance.manifest_file import load
from firmware.appliance.problems import ApplianceError
from firmware.appliance.verdict import check_appliance

EXAMPLES = Path(__file__).parents[2] / "examples"
DIARY = EXAMPLES / "heart_diary"
LEAKY = EXAMPLES / "heart_diary_leaky"


def mornings() -> list[list[int]]:
    tree = ast.parse((DIARY / "trace.py").read_text())
    assign = next(node for node in tree.body if isinstance(node, ast.Assign))
    return [list(morning) for morning in ast.literal_eval(assign.value)]


def expected_rate(beats: list[int]) -> float:
    """Beats a minute, from the median interval."""
    return 60_000 / median_high(beats)


def expected_rmssd(beats: list[int]) -> float:
    """Milliseconds. Beats that differ by over a fifth from the last normal one do not count."""
    squares, before, usable = [], beats[0], True
    for beat in beats[1:]:
        if abs(beat - before) / before > 0.2:
            usable = False
            continue
        if usable:
            squares.append((beat - before) ** 2)
        before, usable = beat, True
    return math.sqrt(sum(squares) / len(squares))


def test_the_recording_looks_like_a_resting_heart() -> None:
    days = mornings()
    assert [len(day) for day in days] == [48] * 7
    for day in days:
        assert 50 < expected_rate(day) < 70
        assert 15 < expected_rmssd(day) < 60
    early = [b for day in days for a, b in pairwise(day) if b < 0.8 * a]
    assert len(early) == 1  # the one early beat that the diary must leave out


def test_two_weeks_pass_and_one_line_leaves() -> None:
    run = Run(load(DIARY), end_ms=16_000)
    run.run()
    days = mornings()
    rate = sum(map(expected_rate, days)) / 7
    variability = sum(map(expected_rmssd, days)) / 7
    (line,) = run.monitor.left["usb"]
    words = line.decode().split()
    assert words[:4] == ["week", "1:", "7", "mornings,"]
    assert float(words[4]) == pytest.approx(rate, abs=0.1)
    assert float(words[-2]) == pytest.approx(variability, abs=0.1)
    assert run.monitor.log == ["released coach.weekly #1", "gate budget used up coach.weekly #2"]
    assert run.logged == [("uplink", "uplink ready"), ("uplink", "summary sent")]


def test_the_second_summary_leaves_when_the_week_is_over() -> None:
    """The coach asks every day; the monitor's week is a real one."""
    manifest = load(DIARY)
    monitor = Monitor(system_of(manifest))
    gate = next(n for n, c in enumerate(monitor.system.channels) if c.gate == "coach.weekly")
    week = 7 * 86_400 * 1_000_000
    day = week // 7
    answers = [monitor.send("coach", gate, bytes(16), n * day) for n in range(15)]
    assert [n for n, answer in enumerate(answers) if answer is Answer.OK] == [0, 7, 14]


def test_the_committed_grant_is_good_and_binds_the_code() -> None:
    policy = flow_policy(load(DIARY))
    assert policy.digest == policy_digest(policy.document)
    assert policy.consents["coach.weekly"].owners == ("alice",)


def test_the_diary_passes_and_the_leaky_one_is_refused_with_its_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(EXAMPLES.parent)
    check_appliance(DIARY, "mps2-an385")
    check_appliance(EXAMPLES / "hello", "mps2-an385")
    with pytest.raises(ApplianceError) as caught:
        check_appliance(LEAKY, "mps2-an385")
    assert caught.value.exit_code == NO
    (problem,) = caught.value.problems
    text = (LEAKY / "appliance.toml").read_text().splitlines()
    assert text[problem.line - 1 : problem.line + 3] == [
        *("[[channel]]", 'from = "diary"', 'to = "uplink"', 'message = "<HH"')
    ]
    assert problem.what == (
        "alice/health (Alice's heart rate) leaks by USB: sensor -> diary -> uplink -> usb"
    )
    assert problem.mend.startswith("remove the channel diary -> uplink")


def test_the_leaky_manifest_is_the_diarys_with_one_channel_more() -> None:
    diary, leaky = load(DIARY), load(LEAKY)
    assert leaky.channels[:-1] == diary.channels
    assert leaky.tags == diary.tags
    assert {n: m[0].digest for n, m in leaky.modules.items()} == {
        n: m[0].digest for n, m in diary.modules.items()
    }


def test_sixteen_bytes_are_what_the_summary_needs() -> None:
    assert struct.calcsize("<HHHHhhHH") == 16
    assert json.dumps(load(DIARY).gates[0].budget.words()) == '"at most 16 bytes once a week"'
