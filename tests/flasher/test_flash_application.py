# SPDX-License-Identifier: Apache-2.0
"""`coffret flash` against an application, honest and otherwise: what runs in the end."""

from pathlib import Path

import pytest

from flasher import flash as flashing
from flasher.bundle import Bundle, ImageFile, parse_image
from flasher.errors import BadAnswerError, NoAnswerError, RefusedError
from flasher.flash import flash
from flasher.reasons import Reason
from tests.flasher.fake_application import Application, image
from tests.flasher.fake_board import WRITE

OLD, NEW = (1, 0, 0), (1, 1, 0)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    for slot, name in enumerate(("slot_a.bin", "slot_b.bin")):
        (tmp_path / name).write_bytes(image(slot, NEW, b"new code"))
    files = {"slot_a": tmp_path / "slot_a.bin", "slot_b": tmp_path / "slot_b.bin"}
    return Bundle(tmp_path, "diary", "1.1.0", "mps2-an385", files)


def _flash(application: Application, source: Bundle) -> flashing.Flashed:
    with application.board() as board:
        return flash(board.port, source, lambda _: None, lambda _done, _total: None)


@pytest.mark.parametrize("running", [0, 1])
def test_an_update_goes_to_the_slot_that_does_not_run_and_is_confirmed(
    bundle: Bundle, running: int
) -> None:
    slots: list[bytes | None] = [None, None]
    slots[running] = image(running, OLD)
    application = Application(slots, running=running, active=running)
    done = _flash(application, bundle)
    other = 1 - running
    assert done.changed
    assert (done.slot, done.version, done.previous) == ("AB"[other], "1.1.0", "1.0.0")
    assert application.slots[other] == image(other, NEW, b"new code")
    assert application.slots[running] == image(running, OLD)
    assert (application.running, application.active) == (other, other)
    assert application.resets == 1


def test_where_no_delta_starts_from_what_runs_all_of_it_is_sent(bundle: Bundle) -> None:
    application = Application([image(0, OLD), None])
    asked, said = [], []

    def deltas(wanted: ImageFile, running: bytes) -> None:
        asked.append((wanted.digest, running))

    with application.board() as board:
        done = flash(board.port, bundle, said.append, lambda _done, _total: None, deltas=deltas)
    new, old = (parse_image(data).digest for data in (image(1, NEW, b"new code"), image(0, OLD)))
    assert asked == [(new, old)]
    assert "no delta starts from what runs there" in said
    assert (done.changed, done.saved) == (True, 0)
    assert application.slots[1] == image(1, NEW, b"new code")


def test_an_image_is_confirmed_only_after_it_ran(bundle: Bundle) -> None:
    application = Application([image(0, OLD), None])
    with application.board() as board:
        flash(board.port, bundle, lambda _: None, lambda _done, _total: None)
        writes = [
            (group, command, asked) for op, group, command, asked in board.asked if op == WRITE
        ]
    order = [
        "reset" if (group, command) == (0, 5) else "confirm" if asked.get("confirm") else "test"
        for group, command, asked in writes
        if (group, command) in ((0, 5), (1, 0))
    ]
    assert order == ["test", "reset", "confirm"]


def test_what_runs_already_is_left_alone(bundle: Bundle) -> None:
    application = Application([image(0, NEW), None])
    application.slots[0] = image(0, NEW, b"new code")
    done = _flash(application, bundle)
    assert not done.changed
    assert application.resets == 0
    assert application.slots[1] is None


def test_a_trial_that_was_never_confirmed_is_confirmed_by_flashing_again(bundle: Bundle) -> None:
    slots = [image(0, OLD), image(1, NEW, b"new code")]
    application = Application([*slots], running=1, active=0)
    done = _flash(application, bundle)
    assert not done.changed
    assert application.active == 1


def test_a_board_that_goes_back_is_reported_with_its_reason(bundle: Bundle) -> None:
    application = Application([image(0, OLD), None], reverts=True)
    with pytest.raises(RefusedError, match=r"went back to 1\.0\.0.*not confirmed") as refused:
        _flash(application, bundle)
    assert refused.value.reason is Reason.NOT_CONFIRMED
    assert refused.value.exit_code == 1
    assert application.active == 0


def test_a_board_that_ends_in_recovery_is_reported(bundle: Bundle) -> None:
    application = Application([image(0, OLD), None], falls_into_recovery=True)
    with pytest.raises(RefusedError, match="in recovery"):
        _flash(application, bundle)


def test_the_session_before_the_reset_is_not_taken_for_the_one_after(bundle: Bundle) -> None:
    application = Application([image(0, OLD), None], lingers_s=0.6)
    assert _flash(application, bundle).slot == "B"


def test_a_board_that_never_comes_back_is_reported(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flashing, "BACK_S", 0.5)
    application = Application([image(0, OLD), None], lingers_s=60)
    with pytest.raises(NoAnswerError):
        _flash(application, bundle)


def test_a_confirmation_that_did_not_happen_is_not_believed(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flashing, "BACK_S", 0.5)
    application = Application([image(0, OLD), None], forgets_to_confirm=True)
    with pytest.raises(BadAnswerError, match="confirm"):
        _flash(application, bundle)


def test_a_single_image_is_sent_as_it_is(bundle: Bundle) -> None:
    application = Application([image(0, OLD), None])
    source = parse_image(bundle.files["slot_b"].read_bytes())
    with application.board() as board:
        done = flash(board.port, source, lambda _: None, lambda _done, _total: None)
    assert done.slot == "B"
