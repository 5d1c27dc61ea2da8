# SPDX-License-Identifier: Apache-2.0
"""What every example may do stands in a file: one capability more or less is a line here.

A difference that is meant is accepted by writing the files again: COFFRET_WRITE_GOLDEN=1 pytest
tests/golden. Whoever reviews the change then reads what the example may newly do.
"""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from enclaves import report
from enclaves.picture import draw
from enclaves.policy_text import policy_lines
from enclaves.proof import prove
from firmware.appliance import privileges
from firmware.appliance.assertion_file import FILE_NAME, read_assertions
from firmware.appliance.subject import load_subject

HERE = Path(__file__).parent
EXAMPLES = sorted(path.parent for path in (HERE.parents[1] / "examples").glob("*/appliance.toml"))
WRITE = os.environ.get("COFFRET_WRITE_GOLDEN") == "1"


def audit_report(appliance: Path) -> str:
    """The flows, the policy, the assertions and the privileged code of an appliance."""
    subject = load_subject(appliance)
    graph = subject.policy.graph
    assert subject.manifest is not None
    asked = read_assertions(appliance / FILE_NAME)
    lines = ["# flows"]
    lines += report.sentences(graph, prove(graph), subject.consents) or [report.NO_DATA]
    lines += ["", "# policy", *policy_lines(subject.policy, digests=False)]
    lines += ["", "# assertions"]
    if asked is not None:
        lines += [f"{a.key[0]}: {a.table.says}" for a in asked.asked]
        lines += [f"BROKEN {problem.what}" for problem in asked.problems(graph)]
    lines += ["", "# privileged code"]
    for held in privileges.privileged(subject.manifest):
        lines += privileges.words(held)
    return "\n".join(lines) + "\n"


def compare(file: Path, found: str) -> None:
    if WRITE:
        file.write_text(found, encoding="utf-8")
    assert found.splitlines() == file.read_text(encoding="utf-8").splitlines()


def test_there_is_a_file_for_every_example_and_no_other() -> None:
    assert [path.name for path in EXAMPLES] == sorted(path.stem for path in HERE.glob("*.txt"))


@pytest.mark.parametrize("appliance", EXAMPLES, ids=lambda path: path.name)
def test_an_example_may_do_what_its_file_says_and_no_more(appliance: Path) -> None:
    compare(HERE / f"{appliance.name}.txt", audit_report(appliance))


@pytest.mark.parametrize("appliance", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_drawn_as_it_was(appliance: Path) -> None:
    subject = load_subject(appliance)
    picture = draw(subject.policy, subject.consents)
    ElementTree.fromstring(picture)
    compare(HERE / f"{appliance.name}.svg", picture)


CHANGES = {
    "a channel": (
        '[[channel]]\nfrom = "uplink"\nto = "usb"\nsize = 96\n',
        '[[channel]]\nfrom = "uplink"\nto = "usb"\nsize = 96\n'
        '[[channel]]\nfrom = "uplink"\nto = "diary"\nsize = 1\n',
        "+channel uplink -> diary: 0 to 1 bytes, 4 waiting, silent",
    ),
    "a byte": ("bytes = 16", "bytes = 17", "+  at most 17 bytes once a week"),
    "an accepted tag": ("accepts = []", 'accepts = ["alice/health"]', "+  accepts alice/health"),
    "a device": (
        'module = "uplink.py"',
        'module = "uplink.py"\ndevices = ["gpio0"]',
        "+  drives gpio0",
    ),
    "a label": ('sees = ["alice/health"]\nheap = "16K"', 'heap = "16K"', "-  sees alice/health"),
    "raw messages": (
        "bytes = 16",
        "bytes = 16\nraw = true",
        "+  may pass messages on as they came",
    ),
}


@pytest.mark.parametrize(("old", "new", "line"), CHANGES.values(), ids=CHANGES.keys())
def test_one_capability_more_or_less_is_a_readable_difference(
    old: str, new: str, line: str, tmp_path: Path
) -> None:
    source = HERE.parents[1] / "examples/heart_diary"
    for file in source.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            copy = tmp_path / "heart_diary" / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    manifest = tmp_path / "heart_diary/appliance.toml"
    text = manifest.read_text(encoding="utf-8")
    assert text.count(old) == 1
    manifest.write_text(text.replace(old, new), encoding="utf-8")
    found = audit_report(tmp_path / "heart_diary").splitlines()
    golden = (HERE / "heart_diary.txt").read_text(encoding="utf-8").splitlines()
    added = {f"+{text}" for text in found if found.count(text) > golden.count(text)}
    removed = {f"-{text}" for text in golden if golden.count(text) > found.count(text)}
    assert line in added | removed
    assert len(added | removed) < 8
