# SPDX-License-Identifier: Apache-2.0
"""The demo: the whole story once, and that it cannot say "as told" when something was not."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from rich.console import Console

import flasher.demo
from flasher.demo import acts
from flasher.demo.forgery import flip_bit, strip_signature
from flasher.demo.narrator import Narrator
from flasher.demo.stage import NotAsToldError, Outcome, Stage
from tests.flasher.fake_application import image
from tests.qemu import needs_qemu

ROOT = Path(__file__).parents[2]


def _demo(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The verb, with its temporary directory inside `folder`."""
    environment = os.environ | {"TMPDIR": str(folder)}
    command = [sys.executable, "-m", "coffret", "demo", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.all
@needs_qemu
def test_everything_happens_as_told_and_nothing_is_left_behind(tmp_path: Path) -> None:
    done = _demo(tmp_path, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert told["ok"]
    assert [act["act"] for act in told["acts"]] == [name for name, _, _ in acts.ACTS]
    assert all(act["ok"] for act in told["acts"])
    assert list(tmp_path.iterdir()) == []
    assert "\x1b" not in done.stderr
    for words in ("security counter is lower", "not signed", "do not match its SHA-256", "policy"):
        assert words in done.stderr


def _acts_seen(monkeypatch: pytest.MonkeyPatch, *story: acts.Act) -> None:
    monkeypatch.setattr(acts, "ACTS", tuple((f"act {n}", "text", a) for n, a in enumerate(story)))


def _good(_: acts.Play) -> str:
    return "as it must be"


def _bad(_: acts.Play) -> str:
    raise NotAsToldError("it went otherwise", ["what was seen"])


def test_an_act_that_goes_otherwise_ends_the_demo_with_no(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    played: list[str] = []

    def late(_: acts.Play) -> str:
        played.append("late")
        return "never"

    _acts_seen(monkeypatch, _good, _bad, late)
    assert flasher.demo.play(as_json=True) is False
    told = json.loads(capsys.readouterr().out)
    assert [act["ok"] for act in told["acts"]] == [True, False]
    assert told["ok"] is False
    assert played == []


def test_a_good_demo_says_yes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _acts_seen(monkeypatch, _good)
    assert flasher.demo.play(as_json=False) is True
    assert "as told: 1 acts" in capsys.readouterr().out


def test_a_document_without_what_an_act_looks_for_is_not_as_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def looks(_: acts.Play) -> str:
        return {"another": "key"}["verdict"]

    _acts_seen(monkeypatch, looks)
    assert flasher.demo.play(as_json=True) is False
    assert "verdict" in json.loads(capsys.readouterr().out)["acts"][0]["said"]


class _FakeStage(Stage):
    """Answers every command with one outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome

    def run(self, *_: str) -> Outcome:
        return self.outcome


def _play(outcome: Outcome) -> acts.Play:
    return acts.Play(_FakeStage(outcome), Narrator(Console(file=io.StringIO())))


REFUSED_OTHERWISE = Outcome(1, "", "error: /dev/pts/1: no answer\nmend: wait\n")
ACCEPTED = Outcome(0, "{}", "")
NO_BOARD = Outcome(3, "", "error: there is no board\n")
TRUSTED = Outcome(0, json.dumps({"verdict": "trusted", "claims": []}), "")
UNTRUSTED_ELSEWHERE = Outcome(
    1,
    json.dumps({"verdict": "untrusted", "claims": [{"claim": "boot", "ok": False, "why": "x"}]}),
    "",
)


@pytest.mark.parametrize("outcome", [REFUSED_OTHERWISE, ACCEPTED, NO_BOARD])
def test_a_refusal_for_another_reason_is_not_as_told(outcome: Outcome) -> None:
    play = _play(outcome)
    with play.stage, pytest.raises(NotAsToldError):
        acts.older_version(play)


@pytest.mark.parametrize("outcome", [UNTRUSTED_ELSEWHERE, REFUSED_OTHERWISE, ACCEPTED])
def test_a_good_board_that_is_not_trusted_is_not_as_told(outcome: Outcome) -> None:
    play = _play(outcome)
    with play.stage, pytest.raises((NotAsToldError, KeyError)):
        acts.trusted(play)


def test_a_verdict_with_the_wrong_exit_status_is_not_as_told() -> None:
    play = _play(Outcome(1, TRUSTED.out, ""))
    with play.stage, pytest.raises(NotAsToldError, match="exit status 1"):
        acts.trusted(play)


def test_the_board_and_the_directory_are_gone_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), Stage() as stage:
        folder = stage.folder
        assert folder.is_dir()
        raise ZeroDivisionError
    assert not folder.exists()


def test_the_demos_keys_are_not_the_users() -> None:
    with Stage() as stage:
        done = stage.run("keys", "new", "operator", "--json")
        assert done.code == 0, done.err
        assert Path(str(done.document["file"])).is_relative_to(stage.folder)


@needs_qemu
def test_a_demo_that_is_killed_takes_its_board_with_it(tmp_path: Path) -> None:
    """SIGKILL at a moment when the board runs: nothing of it may go on."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "coffret", "demo"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as demo:
        try:
            _wait(lambda: bool(_mentioning(tmp_path, "qemu")), 300)  # it builds first
        finally:
            demo.kill()
    _wait(lambda: not _mentioning(tmp_path, "qemu"), 120)
    _wait(lambda: not _mentioning(tmp_path, "--state"), 120)


def _wait(done, seconds: float) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _mentioning(folder: Path, word: str) -> list[int]:
    """Processes that have `word` in their command line and work in or with `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            where = str((entry / "cwd").readlink())
        except OSError:
            continue
        if word in command and (str(folder) in command or str(folder) in where):
            found.append(int(entry.name))
    return found


def test_a_flipped_bit_is_one_bit_of_the_body() -> None:
    good = image(0, (1, 0, 0), b"code" * 8)
    forged = flip_bit(good)
    differing = [index for index in range(len(good)) if good[index] != forged[index]]
    assert len(differing) == 1
    assert 32 <= differing[0] < 32 + 32
    assert (good[differing[0]] ^ forged[differing[0]]).bit_count() == 1


def test_a_stripped_image_has_everything_but_its_signature() -> None:
    plain = image(0, (1, 0, 0))
    tlvs = len(plain) - 36
    signature = b"\x22\x00\x08\x00" + b"s" * 8
    signed = (
        plain[: tlvs - 4] + b"\x07\x69" + (40 + 12).to_bytes(2, "little") + plain[tlvs:] + signature
    )
    assert strip_signature(signed) == plain
    assert strip_signature(plain) == plain


def test_the_temporary_directory_is_private() -> None:
    with Stage() as stage:
        assert stage.folder.stat().st_mode & 0o077 == 0
        assert stage.folder.parent == Path(tempfile.gettempdir())
