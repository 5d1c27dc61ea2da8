# SPDX-License-Identifier: Apache-2.0
"""The virtual board: its flash, its ports, its life and its end. Under QEMU with the real boot."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import boards
from flasher.answers import Mode
from flasher.bundle import Bundle
from flasher.errors import BadFileError, EmulatorError, NoPortError
from flasher.ports import choose, find
from flasher.run import board_of
from flasher.smp import Board
from flasher.state import FLASH_FILE, running, runtime_root
from flasher.virtual import UDS_BYTES, UDS_MAGIC, VirtualBoard, make_flash

pytestmark = pytest.mark.usefixtures("runtime")

BOARD = boards.load("mps2-an385")
ROOT = Path(__file__).parents[2]


@contextmanager
def _run(bundle: Bundle, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "coffret", "run", str(bundle.folder), "--json", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def _facts(process: subprocess.Popen[bytes]) -> dict[str, object]:
    assert process.stdout is not None
    text = b""
    while not text.endswith(b"}\n"):
        line = process.stdout.readline()
        assert line, "the verb ended before it said where the board is"
        text += line
    facts = json.loads(text)
    assert isinstance(facts, dict)
    return facts


def _gone(pid: int, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def _emulators(flash: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(flash).encode() in command and b"qemu" in command.split(b"\0")[0]:
                found.append(int(entry.name))
    return found


def test_a_new_flash_is_erased_but_for_the_secret_and_slot_a(tmp_path: Path) -> None:
    path = tmp_path / FLASH_FILE
    make_flash(BOARD, path, b"image")
    data = path.read_bytes()
    secrets = BOARD.flash.secrets.offset
    assert len(data) == BOARD.flash.size
    assert data[BOARD.flash.slot_a.offset :][:5] == b"image"
    assert data[secrets : secrets + len(UDS_MAGIC)] == UDS_MAGIC
    rest = data[5:secrets] + data[secrets + len(UDS_MAGIC) + UDS_BYTES :]
    assert rest == b"\xff" * len(rest)


def test_the_flash_of_a_board_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    make_flash(BOARD, tmp_path / FLASH_FILE, None)
    assert stat.S_IMODE((tmp_path / FLASH_FILE).stat().st_mode) == 0o600


def test_no_two_boards_have_the_same_secret(tmp_path: Path) -> None:
    make_flash(BOARD, tmp_path / "one", None)
    make_flash(BOARD, tmp_path / "two", None)
    offset = BOARD.flash.secrets.offset
    one, two = ((tmp_path / name).read_bytes()[offset:][:40] for name in ("one", "two"))
    assert one != two


def test_an_image_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match="slot A"):
        make_flash(BOARD, tmp_path / FLASH_FILE, bytes(BOARD.flash.slot_a.size + 1))


def test_a_blank_board_answers_from_recovery(blank_board: VirtualBoard) -> None:
    with Board.open(blank_board.port) as board:
        assert board.mode() is Mode.RECOVERY
        assert board.images() == ()
        assert board.identity().implementation_id.startswith(b"coffret/mps2-an385/")


def test_the_ports_are_links_in_the_state_directory(blank_board: VirtualBoard) -> None:
    assert (blank_board.state / "port0").readlink() == Path(blank_board.port)
    with Board.open(str(blank_board.state / "port0")) as board:
        assert board.echo("through the link") == "through the link"


def test_a_long_answer_comes_whole(blank_board: VirtualBoard) -> None:
    with Board.open(blank_board.port, timeout_s=10) as board:
        text = "x" * 1900
        for _ in range(3):
            assert board.echo(text) == text


def test_a_board_keeps_its_identity_through_reset_and_power_cut(
    blank_board: VirtualBoard,
) -> None:
    with Board.open(blank_board.port) as board:
        before = board.identity()
        board.reset(into_recovery=True)
    time.sleep(0.2)
    with Board.open(blank_board.port) as board:
        assert board.identity() == before
    blank_board.power_cycle()
    with Board.open(blank_board.port) as board:
        assert board.identity() == before


def test_boards_run_side_by_side_with_identities_of_their_own(payload_bundle: Bundle) -> None:
    with ExitStack() as stack:
        group = [stack.enter_context(board_of(payload_bundle, blank=True)) for _ in range(3)]
        assert [run.name for run in running()] == ["payload-1", "payload-2", "payload-3"]
        identities = set()
        for virtual in group:
            with Board.open(virtual.port) as board:
                identities.add(board.identity().instance_id)
        assert len(identities) == 3
        with pytest.raises(NoPortError, match="several boards") as several:
            choose(None)
        assert "payload-2" in several.value.message
        assert choose("payload-2") == group[1].port
    assert running() == ()
    assert list(runtime_root().iterdir()) == []


def test_the_only_board_needs_no_port(blank_board: VirtualBoard) -> None:
    assert choose(None) == blank_board.port
    assert [port.kind for port in find()].count("virtual") == 1


def test_a_state_directory_serves_one_board_at_a_time(
    payload_bundle: Bundle, tmp_path: Path
) -> None:
    state = tmp_path / "kept"
    with (
        board_of(payload_bundle, state=state, blank=True),
        pytest.raises(EmulatorError, match="already runs"),
        board_of(payload_bundle, state=state),
    ):
        pass


def test_a_kept_board_goes_on_and_is_found_by_name(payload_bundle: Bundle, tmp_path: Path) -> None:
    state = tmp_path / "kept"
    identities = []
    for blank in (True, False):
        with board_of(payload_bundle, state=state, blank=blank) as virtual:
            assert choose("kept") == virtual.port
            with Board.open(virtual.port) as board:
                identities.append(board.identity())
    assert identities[0] == identities[1]
    with (
        pytest.raises(BadFileError, match="cannot be blank"),
        board_of(payload_bundle, state=state, blank=True),
    ):
        pass


def test_a_state_left_by_a_crash_is_not_listed_and_can_be_used_again(
    payload_bundle: Bundle, tmp_path: Path
) -> None:
    state = tmp_path / "kept"
    with _run(payload_bundle, "--state", str(state), "--blank") as process:
        _facts(process)
        assert [run.name for run in running()] == ["kept"]
        process.kill()
        process.wait()
    assert running() == ()
    with board_of(payload_bundle, state=state):
        assert [run.name for run in running()] == ["kept"]


def test_a_throw_away_board_that_was_killed_is_cleared_by_the_next(payload_bundle: Bundle) -> None:
    with _run(payload_bundle, "--blank") as process:
        _facts(process)
        (state,) = runtime_root().iterdir()
        secret = (state / FLASH_FILE).read_bytes()
        process.kill()
        process.wait()
    with board_of(payload_bundle, blank=True) as board:
        assert board.state == state
        assert board.flash.read_bytes() != secret
    assert list(runtime_root().iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_emulator_outlives_the_verb(
    payload_bundle: Bundle, tmp_path: Path, how: signal.Signals
) -> None:
    state = tmp_path / "kept"
    with _run(payload_bundle, "--state", str(state), "--blank") as process:
        _facts(process)
        emulators = _emulators(state / FLASH_FILE)
        assert emulators
        process.send_signal(how)
        status = process.wait(120)
    assert status == (0 if how != signal.SIGKILL else -signal.SIGKILL)
    assert all(_gone(pid) for pid in emulators)


def test_an_emulator_that_ends_by_itself_ends_the_verb_with_status_3(
    payload_bundle: Bundle, tmp_path: Path
) -> None:
    state = tmp_path / "kept"
    with _run(payload_bundle, "--state", str(state), "--blank") as process:
        _facts(process)
        for pid in _emulators(state / FLASH_FILE):
            os.kill(pid, signal.SIGKILL)
        assert process.wait(120) == 3


def test_a_missing_emulator_is_named_with_its_package(
    payload_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(EmulatorError, match="qemu-system-arm is not installed") as missing,
        board_of(payload_bundle, blank=True),
    ):
        pass
    assert missing.value.exit_code == 3
    assert "apt install qemu-system-arm" in missing.value.mend


def test_a_runtime_directory_that_others_can_enter_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / f"coffret-{os.getuid()}").mkdir()
    (tmp_path / f"coffret-{os.getuid()}").chmod(0o755)
    with pytest.raises(EmulatorError, match="private"):
        runtime_root()


def test_a_run_file_of_somebody_else_is_not_believed() -> None:
    for name, text in (("a", "{"), ("b", "[]"), ("c", '{"name": 1}'), ("d", "x" * 100_000)):
        folder = runtime_root() / name
        folder.mkdir()
        (folder / "run.json").write_text(text)
    assert running() == ()
