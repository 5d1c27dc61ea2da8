# SPDX-License-Identifier: Apache-2.0
"""The SMP client against a board that behaves, and against boards that do not."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import cbor2
import pytest

from flasher.answers import Mode
from flasher.errors import BadAnswerError, NoAnswerError, NoPortError, RefusedError
from flasher.reasons import Reason
from flasher.smp import Board
from tests.flasher.fake_board import READ, WRITE, Command, FakeBoard, Handler, frame, reply

DIGEST = bytes(range(32))
SLOT = {"slot": 0, "version": "1.0.0", "hash": DIGEST, "active": True, "confirmed": True}


def _open(board: FakeBoard, timeout_s: float = 0.3) -> Board:
    return Board.open(board.port, timeout_s)


def _answering(command: Command, answer: dict[str, object]) -> dict[Command, Handler]:
    return {command: lambda _: answer}


def test_a_good_board_is_understood() -> None:
    handlers: dict[Command, Handler] = {
        (READ, 1, 0): lambda _: {"images": [SLOT]},
        (WRITE, 64, 0): lambda asked: {"token": b"token" + bytes(asked["nonce"]), "cert": b"cert"},
        (READ, 65, 0): lambda _: {
            "id": b"\x01" * 33,
            "key": b"\x02" * 64,
            "impl": b"\x03" * 32,
            "lifecycle": 0x3000,
            "boot": b"\x04" * 32,
        },
        (READ, 65, 1): lambda _: {"endorsement": b"signed"},
        (WRITE, 65, 1): lambda _: {},
        (READ, 66, 0): lambda asked: {"next": 7, "entries": [[asked["from"], 12, "coach", "hi"]]},
        (READ, 67, 0): lambda _: {
            "enclaves": [
                {"name": "coach", "state": 1, "faults": 2, "restarts": 1, "last": 3, "cpu_ms": 40},
            ],
            "slot": 1,
            "uptime_ms": 5000,
        },
    }
    with FakeBoard(handlers) as fake, _open(fake) as board:
        assert board.mode() is Mode.APPLICATION
        assert board.echo("hello") == "hello"
        (image,) = board.images()
        assert (image.slot, image.version, image.digest) == (0, "1.0.0", DIGEST)
        assert image.active and image.confirmed and not image.pending
        assert board.evidence(b"\x05" * 32).token == b"token" + b"\x05" * 32
        assert board.identity().lifecycle == 0x3000
        assert board.endorsement() == b"signed"
        board.endorse(b"new")
        assert board.log(6)[1][0].sequence == 6
        (enclave,) = board.enclaves().enclaves
        assert (enclave.state, enclave.cpu_ms, enclave.memory) == ("waiting", 40, 0)
        board.reset()
    assert (WRITE, 65, 1, {"endorsement": b"new"}) in fake.asked


def test_an_upload_arrives_byte_for_byte() -> None:
    image = os.urandom(5000)
    got = bytearray()

    def take(asked: dict[str, object]) -> dict[str, object]:
        offset, data = asked["off"], asked["data"]
        assert isinstance(offset, int) and isinstance(data, bytes)
        if offset == len(got):
            got.extend(data)
        return {"off": len(got)}

    seen: list[tuple[int, int]] = []
    with FakeBoard({(WRITE, 1, 1): take}) as fake, _open(fake) as board:
        board.upload(image, lambda done, total: seen.append((done, total)))
    assert bytes(got) == image
    assert seen[-1] == (5000, 5000)
    assert fake.asked[-1][3].keys() == {"off", "data"}
    first = next(payload for _, group, _, payload in fake.asked if group == 1)
    assert first["sha"] == hashlib.sha256(image).digest()


@pytest.mark.parametrize("offset", [-1, 5001, 1 << 40])
def test_an_upload_whose_offsets_make_no_sense_ends(offset: int) -> None:
    with (
        FakeBoard(_answering((WRITE, 1, 1), {"off": offset})) as fake,
        _open(fake) as board,
        pytest.raises(BadAnswerError),
    ):
        board.upload(bytes(5000))


def test_an_upload_that_never_advances_ends() -> None:
    with (
        FakeBoard(_answering((WRITE, 1, 1), {"off": 0})) as fake,
        _open(fake) as board,
        pytest.raises(BadAnswerError, match="does not get past"),
    ):
        board.upload(bytes(5000))


def test_a_refusal_comes_with_the_boards_own_reason() -> None:
    handlers = {
        **_answering((WRITE, 1, 0), {"err": {"group": 1, "rc": 27}}),
        **_answering((READ, 65, 2), {"slot": 1, "reason": 12}),
    }
    with (
        FakeBoard(handlers) as fake,
        _open(fake) as board,
        pytest.raises(RefusedError, match="security counter is lower") as refused,
    ):
        board.mark_test(DIGEST)
    assert refused.value.reason is Reason.COUNTER
    assert refused.value.exit_code == 1


def test_an_older_refusal_is_not_taken_for_the_reason_of_this_one() -> None:
    handlers = {
        **_answering((WRITE, 1, 0), {"err": {"group": 1, "rc": 14}}),  # invalid slot
        **_answering((READ, 65, 2), {"slot": 1, "reason": 12}),
    }
    with (
        FakeBoard(handlers) as fake,
        _open(fake) as board,
        pytest.raises(RefusedError) as refused,
    ):
        board.mark_test(DIGEST)
    assert refused.value.reason is None


def test_an_update_while_another_is_on_trial_is_refused_in_words() -> None:
    answer: dict[str, object] = {"err": {"group": 1, "rc": 9}}
    with (
        FakeBoard(_answering((WRITE, 1, 1), answer)) as fake,
        _open(fake) as board,
        pytest.raises(RefusedError, match="on trial"),
    ):
        board.upload(bytes(100))


@pytest.mark.parametrize("reason", [0, 200])
def test_no_refusal_and_one_of_a_later_version_have_no_reason(reason: int) -> None:
    handlers = _answering((READ, 65, 2), {"slot": 255, "reason": reason})
    with FakeBoard(handlers) as fake, _open(fake) as board:
        assert board.refusal() is None


def test_a_board_without_an_endorsement_has_none() -> None:
    for answer in ({"err": {"group": 65, "rc": 5}}, {"rc": 5}, {"endorsement": b""}):
        with FakeBoard(_answering((READ, 65, 1), answer)) as fake, _open(fake) as board:
            assert board.endorsement() is None


def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    late: list[bytes] = []

    def raw(request: bytes) -> bytes:
        answer = frame(reply(request, cbor2.dumps({"r": "old" if not late else "new"})))
        late.append(answer)
        return b"" if len(late) == 1 else late[0] + answer

    with FakeBoard() as fake, _open(fake, 0.2) as board:
        fake.raw = raw
        with pytest.raises(NoAnswerError):
            board.reset()  # asked once only
        assert board.echo("second") == "new"


def test_a_silent_board_is_an_environment_error_with_a_mend() -> None:
    with FakeBoard(raw=lambda _: b"") as fake, pytest.raises(NoAnswerError) as silent:
        _open(fake, 0.1)
    assert silent.value.exit_code == 3
    assert silent.value.mend


def test_a_port_that_is_not_there_is_an_environment_error() -> None:
    with pytest.raises(NoPortError, match="there is no such port") as missing:
        Board.open("/dev/there-is-no-such-port")
    assert missing.value.exit_code == 3


def test_a_file_that_is_no_serial_port_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear board")
    with pytest.raises(NoPortError, match="is not a serial port") as wrong:
        Board.open(str(tmp_path / "letter"))
    assert wrong.value.exit_code == 3


def test_a_port_in_use_is_an_environment_error() -> None:
    with FakeBoard() as fake, _open(fake), pytest.raises(NoPortError, match="in use"):
        _open(fake)


Raw = Callable[[bytes], bytes]
HOSTILE: dict[str, Raw] = {
    "another group": lambda r: frame(reply(r, cbor2.dumps({"r": "x"}), group=9)),
    "another command": lambda r: frame(reply(r, cbor2.dumps({"r": "x"}), command=1)),
    "a request back": lambda r: frame(reply(r, cbor2.dumps({"r": "x"}), version_op=0x0A)),
    "a wrong length": lambda r: frame(reply(r, cbor2.dumps({"r": "x"}), length=2)),
    "no map": lambda r: frame(reply(r, cbor2.dumps([1, 2]))),
    "no CBOR": lambda r: frame(reply(r, b"\xff\xff")),
    "cut CBOR": lambda r: frame(reply(r, b"\xa1\x61r\x79\xff\xff")),
    "deep CBOR": lambda r: frame(reply(r, b"\x81" * 20_000)),
    "another type": lambda r: frame(reply(r, cbor2.dumps({"r": 5}))),
    "more than asked": lambda r: frame(reply(r, cbor2.dumps({"r": "x", "header": 1}))),
    "an unknown error": lambda r: frame(reply(r, cbor2.dumps({"rc": 77}))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_answer_that_breaks_the_protocol_is_refused(name: str) -> None:
    with FakeBoard() as fake, _open(fake) as board:
        fake.raw = HOSTILE[name]
        with pytest.raises(BadAnswerError) as bad:
            board.echo("x")
    assert bad.value.exit_code == 3


def test_a_board_that_babbles_without_end_does_not_fill_the_memory() -> None:
    with FakeBoard() as fake, _open(fake, 3) as board:
        fake.raw = lambda _: b"\x06\x09" + b"A" * 200_000
        started = time.monotonic()
        with pytest.raises(BadAnswerError, match="without the end of a line"):
            board.echo("x")
        assert time.monotonic() - started < 3


@pytest.mark.parametrize("size", [0, -1, 4, 1 << 40])
def test_a_buffer_size_that_no_board_has_does_no_harm(size: int) -> None:
    handlers = _answering((READ, 0, 6), {"buf_size": size, "buf_count": 1})
    with FakeBoard(handlers) as fake:
        if size > 4:
            with _open(fake) as board:
                assert board.echo("x" * 100)
        else:
            with pytest.raises(BadAnswerError):
                _open(fake)


BAD_SLOTS: dict[str, list[dict[str, object]]] = {
    "a third slot": [SLOT, {**SLOT, "slot": 1}, {**SLOT, "slot": 2}],
    "the same slot twice": [SLOT, SLOT],
    "slot 7": [{**SLOT, "slot": 7}],
    "a short hash": [{**SLOT, "hash": b"short"}],
    "no hash": [{key: value for key, value in SLOT.items() if key != "hash"}],
    "an escape sequence for a version": [{**SLOT, "version": "\x1b[2J"}],
}


@pytest.mark.parametrize("name", BAD_SLOTS)
def test_an_image_list_that_no_board_has_is_refused(name: str) -> None:
    handlers = _answering((READ, 1, 0), {"images": BAD_SLOTS[name]})
    with FakeBoard(handlers) as fake, _open(fake) as board, pytest.raises(BadAnswerError):
        board.images()


BAD_IDENTITY = {"id": b"x" * 33, "key": b"x" * 64, "impl": b"x" * 32, "lifecycle": 1}


@pytest.mark.parametrize(
    "change",
    [{"id": b"x"}, {"key": b"x" * 65}, {"lifecycle": 1 << 16}, {"impl": "text"}, {"more": 1}],
)
def test_an_identity_of_the_wrong_shape_is_refused(change: dict[str, object]) -> None:
    handlers = _answering((READ, 65, 0), {**BAD_IDENTITY, "boot": b"x" * 32, **change})
    with FakeBoard(handlers) as fake, _open(fake) as board, pytest.raises(BadAnswerError):
        board.identity()


@pytest.mark.parametrize("token", [b"", b"x" * 5000])
def test_evidence_out_of_bounds_is_refused(token: bytes) -> None:
    handlers = _answering((WRITE, 64, 0), {"token": token, "cert": b"c"})
    with FakeBoard(handlers) as fake, _open(fake) as board, pytest.raises(BadAnswerError):
        board.evidence(bytes(32))


def test_a_log_text_cannot_steer_the_terminal() -> None:
    entry = [0, 0, "co\x07ach", "\x1b]0;owned\x07 text"]
    handlers = _answering((READ, 66, 0), {"next": 1, "entries": [entry]})
    with FakeBoard(handlers) as fake, _open(fake) as board:
        (line,) = board.log()[1]
    assert line.who.isprintable()
    assert line.text.isprintable()
    assert "text" in line.text


@pytest.mark.parametrize("entry", [[], [0, 0, "x"], ["0", 0, "x", "y"], [0, 0, "x", 5]])
def test_a_log_entry_of_the_wrong_shape_is_refused(entry: list[object]) -> None:
    handlers = _answering((READ, 66, 0), {"next": 1, "entries": [entry]})
    with FakeBoard(handlers) as fake, _open(fake) as board, pytest.raises(BadAnswerError):
        board.log()


def test_a_mode_that_coffret_does_not_have_is_refused() -> None:
    handlers = _answering((READ, 0, 8), {"bootloader": "coffret", "mode": "other"})
    with FakeBoard(handlers) as fake, _open(fake) as board, pytest.raises(BadAnswerError):
        board.mode()
