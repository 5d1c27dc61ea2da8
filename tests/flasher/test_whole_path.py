# SPDX-License-Identifier: Apache-2.0
"""An operator's day through the real verbs, on virtual boards under QEMU with real bundles."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flasher.bundle import read_bundle
from flasher.demo.forgery import flip_bit, strip_signature
from flasher.errors import NoAnswerError, NoPortError
from flasher.reasons import Reason
from flasher.run import board_of
from flasher.smp import Board, wait_for
from flasher.virtual import VirtualBoard
from tests.flasher.operators import Operator, running_image
from tests.qemu import needs_qemu

pytestmark = needs_qemu

ROOT = Path(__file__).parents[2]
OLD, NEW = "1.0.0", "1.1.0"


@pytest.fixture(
    scope="module",
    params=[
        "mps2-an385",
        pytest.param("mps2-an505", marks=pytest.mark.all),
        pytest.param("pyboard-v1.1", marks=pytest.mark.all),
        pytest.param("rpi-pico", marks=pytest.mark.all),
    ],
)
def operator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    someone = Operator.new(tmp_path_factory)
    for counter, version in enumerate((OLD, NEW), 1):
        source = someone.hello(version, f"security_counter = {counter}")
        someone.build(source, version, request.param)
    return someone


@pytest.fixture
def board(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[VirtualBoard]:
    """A board from the factory with the old version in slot A."""
    with operator.board(tmp_path / "board", monkeypatch) as running:
        yield running


def test_an_operators_day(operator: Operator, board: VirtualBoard) -> None:
    never = operator.document("attest", "--bundle", operator.bundle(OLD), code=1)
    assert "endorsement" in [c["claim"] for c in never["claims"] if not c["ok"]]

    done = operator.document("provision", "--name", "kitchen")
    assert (done["name"], done["changed"]) == ("kitchen", True)
    assert operator.document("provision")["changed"] is False
    good = operator.document("attest", "--bundle", operator.bundle(OLD))
    assert (good["device"], good["verdict"]) == (done["device"], "trusted")

    flashed = operator.document("flash", operator.bundle(NEW), "--port", board.port)
    assert (flashed["slot"], flashed["version"], flashed["previous"]) == ("B", NEW, OLD)
    assert running_image(board) == (NEW, True)
    assert operator.document("attest", "--bundle", operator.bundle(NEW))["verdict"] == "trusted"
    stale = operator.document("attest", "--bundle", operator.bundle(OLD), code=1)
    assert stale["verdict"] == "untrusted"
    assert "appliance" in [claim["claim"] for claim in stale["claims"] if not claim["ok"]]

    older = operator.coffret("flash", operator.bundle(OLD))
    assert older.returncode == 1
    assert Reason.COUNTER.words in older.stderr
    again = operator.document("flash", operator.bundle(NEW))
    assert again["changed"] is False
    board.power_cycle()
    wait_for(board.port, 60, lambda answering: answering.mode())
    assert running_image(board) == (NEW, True)
    assert operator.document("attest", "--bundle", operator.bundle(NEW))["verdict"] == "trusted"


def test_saved_evidence_verifies_later_and_only_for_its_nonce(
    operator: Operator, board: VirtualBoard, tmp_path: Path
) -> None:
    operator.document("provision", "--port", board.port)
    file = tmp_path / "evidence.cbor"
    verdict = operator.document("attest", "--bundle", operator.bundle(OLD), "--save", file)
    (nonce,) = [claim["found"] for claim in verdict["claims"] if claim["claim"] == "nonce"]
    words = ("verify", file, "--bundle", operator.bundle(OLD), "--nonce")
    assert operator.document(*words, nonce)["verdict"] == "trusted"
    other = operator.document(*words, "00" * 32, code=1)
    assert [claim["claim"] for claim in other["claims"] if not claim["ok"]] == ["nonce"]


@pytest.mark.parametrize("reason", [Reason.HASH, Reason.NO_SIGNATURE])
def test_a_forged_update_is_refused_and_the_board_goes_on(
    operator: Operator, board: VirtualBoard, tmp_path: Path, reason: Reason
) -> None:
    forge = {Reason.HASH: flip_bit, Reason.NO_SIGNATURE: strip_signature}[reason]
    image = read_bundle(operator.bundle(NEW)).slot_image(1).data
    (tmp_path / "forged.bin").write_bytes(forge(image))
    done = operator.coffret("flash", tmp_path / "forged.bin", "--port", board.port)
    assert done.returncode == 1
    assert reason.words in done.stderr
    assert running_image(board) == (OLD, True)


def test_the_other_slots_image_is_refused_in_words(operator: Operator, board: VirtualBoard) -> None:
    done = operator.coffret("flash", operator.bundle(NEW) / "slot_a.bin", "--port", board.port)
    assert done.returncode == 1
    assert Reason.SLOT_ADDRESS.words in done.stderr
    assert running_image(board) == (OLD, True)


def test_a_power_cut_during_the_upload_leaves_the_old_versionrunning_image(
    operator: Operator, board: VirtualBoard
) -> None:
    image = read_bundle(operator.bundle(NEW)).slot_image(1).data

    class CutError(Exception):
        pass

    def cut_at_half(done: int, total: int) -> None:
        if done > total // 2:
            raise CutError

    with Board.open(board.port, timeout_s=10) as uploading, pytest.raises(CutError):
        uploading.upload(image, cut_at_half)
    board.power_cycle()
    wait_for(board.port, 60, lambda answering: answering.mode())
    assert running_image(board) == (OLD, True)
    done = operator.document("flash", operator.bundle(NEW), "--port", board.port)
    assert done["version"] == NEW


def test_a_trial_that_nobody_confirms_is_undone_by_the_next_reset(
    operator: Operator, board: VirtualBoard
) -> None:
    image = read_bundle(operator.bundle(NEW)).slot_image(1)
    with Board.open(board.port, timeout_s=10) as answering:
        answering.upload(image.data)
        answering.mark_test(image.digest)
    board.power_cycle()
    wait_for(board.port, 60, lambda answering: answering.mode())
    assert running_image(board) == (NEW, False)
    board.power_cycle()
    wait_for(board.port, 60, lambda answering: answering.mode())
    assert running_image(board) == (OLD, True)
    with Board.open(board.port, timeout_s=10) as answering:
        refusal = answering.refusal()
    assert refusal is Reason.NOT_CONFIRMED


@pytest.mark.all
def test_a_trial_whose_manager_answers_outlives_the_watchdog(
    operator: Operator, board: VirtualBoard
) -> None:
    image = read_bundle(operator.bundle(NEW)).slot_image(1)
    with Board.open(board.port, timeout_s=10) as answering:
        answering.upload(image.data)
        answering.mark_test(image.digest)
    board.power_cycle()
    wait_for(board.port, 60, lambda answering: answering.mode())
    time.sleep(40)  # `trial_ms` of the virtual boards is 30 s
    assert running_image(board) == (NEW, False)
    with Board.open(board.port, timeout_s=10) as answering:
        assert answering.enclaves().uptime_ms > 30_000


def test_a_board_is_decommissioned_for_good_by_its_signing_key_alone(
    operator: Operator, board: VirtualBoard, tmp_path: Path
) -> None:
    device = operator.document("provision", "--port", board.port, "--name", "old one")["device"]
    other = operator.coffret("decommission", "00" * 33, "--port", board.port)
    assert (other.returncode, device in other.stderr) == (2, True)
    foreign = tmp_path / "foreign"
    assert operator.coffret("keys", "new", "signing", "--keys", foreign).returncode == 0
    stranger = next(foreign.glob("signing*.pem"))
    refused = operator.coffret("decommission", device, "--port", board.port, "--key", stranger)
    assert refused.returncode == 1, refused.stderr
    assert "did not take the order" in refused.stderr
    assert operator.document("attest", "--bundle", operator.bundle(OLD))["verdict"] == "trusted"

    done = operator.document("decommission", device, "--port", board.port)
    assert done == {"device": device, "changed": True}
    assert operator.document("decommission", device, "--port", board.port)["changed"] is False
    gone = operator.coffret("attest", "--bundle", operator.bundle(OLD), "--port", board.port)
    assert gone.returncode != 0
    board.power_cycle()
    wait_for(board.port, 60, lambda answering: answering.mode().value == "recovery" or None)
    with Board.open(board.port, timeout_s=10) as answering:
        identity = answering.identity()
        assert (identity.lifecycle, identity.instance_id) == (0x6000, bytes(33))
        assert answering.refusal() is Reason.DECOMMISSIONED


def test_a_blank_board_is_flashed_from_recovery(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(operator.folder / "run"))
    bundle = read_bundle(operator.bundle(OLD))
    with board_of(bundle, state=tmp_path / "blank", blank=True) as blank:
        done = operator.document("flash", operator.bundle(OLD), "--port", blank.port)
        assert (done["slot"], done["version"], done["previous"]) == ("A", OLD, None)
        assert running_image(blank) == (OLD, True)


def test_an_application_can_be_sent_into_recovery_and_back(
    operator: Operator, board: VirtualBoard
) -> None:
    with Board.open(board.port, timeout_s=10) as answering:
        answering.reset(into_recovery=True)
    time.sleep(0.3)
    wait_for(board.port, 60, lambda answering: answering.mode().value == "recovery" or None)
    done = operator.document("flash", operator.bundle(OLD), "--port", board.port)
    assert done["version"] == OLD


def test_two_boards_are_provisioned_apart(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(operator.folder / "run"))
    bundle = read_bundle(operator.bundle(OLD))
    with ExitStack() as stack:
        for name in ("left", "right"):
            stack.enter_context(board_of(bundle, state=tmp_path / name))
        found = [
            operator.document("provision", "--port", name, "--name", name)["device"]
            for name in ("left", "right")
        ]
        assert found[0] != found[1]
        without = operator.coffret("attest")
        assert without.returncode == 3
        assert "left" in without.stderr
        assert "right" in without.stderr


def test_the_ports_give_no_prompt_whatever_is_sent(board: VirtualBoard) -> None:
    before = running_image(board)
    for port in (board.port, *board.run.streams):
        fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        os.write(fd, b"\r\x03\x03\x01\x02\x04print(1)\r\n")
        time.sleep(0.5)
        try:
            said = os.read(fd, 4096)
        except BlockingIOError:
            said = b""
        os.close(fd)
        assert not re.search(rb">>>|raw REPL|MicroPython", said)
    assert running_image(board) == before


def test_a_board_that_is_switched_off_is_an_environment_error(
    operator: Operator, board: VirtualBoard
) -> None:
    port = board.port
    board.stop()
    done = operator.coffret("attest", "--port", port)
    assert done.returncode == 3
    assert "mend: " in done.stderr
    with pytest.raises((NoAnswerError, NoPortError)):
        Board.open(port, timeout_s=0.2)
