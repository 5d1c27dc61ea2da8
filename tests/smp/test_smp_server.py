# SPDX-License-Identifier: Apache-2.0
"""The SMP server of recovery and manager, on the host, through its port."""

from __future__ import annotations

import ctypes
import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest
from smp import packet

from firmware.image.format import Version
from tests.smp.simulated_board import (
    KINDS,
    MANAGER_A,
    MANAGER_B,
    READ,
    RECOVERY,
    RESET,
    V1,
    V2,
    WRITE,
    SimulatedBoard,
    build,
    make_image,
    patched,
    running_board,
    write_config,
)
from tests.store.host_library import RUNTIME, load_library

OS, IMAGE = 0, 1
STATE, UPLOAD, ERASE = 0, 1, 5


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ctypes.CDLL]:
    return {kind: build(kind, tmp_path_factory.mktemp("smp")) for kind in KINDS}


@pytest.fixture(params=KINDS)
def board(
    request: pytest.FixtureRequest, libraries: dict[str, ctypes.CDLL]
) -> Iterator[SimulatedBoard]:
    with running_board(request.param, libraries[request.param]) as simulated:
        yield simulated


@pytest.fixture
def recovery(libraries: dict[str, ctypes.CDLL]) -> Iterator[SimulatedBoard]:
    with running_board(RECOVERY, libraries[RECOVERY]) as simulated:
        yield simulated


@pytest.fixture
def manager(libraries: dict[str, ctypes.CDLL]) -> Iterator[SimulatedBoard]:
    """In slot A, which holds a confirmed image."""
    with running_board(MANAGER_A, libraries[MANAGER_A]) as simulated:
        simulated.put_slot(0, make_image(0))
        assert "images" in simulated.ask(WRITE, IMAGE, STATE, {"confirm": True})
        yield simulated


def error(rc: int, group: int = IMAGE) -> dict[str, Any]:
    return {"err": {"group": group, "rc": rc}}


# ---- group os ----


def test_echo_parameters_and_bootloader_info(board: SimulatedBoard) -> None:
    assert board.ask(WRITE, OS, 0, {"d": "hællo"}) == {"r": "hællo"}
    assert board.ask(READ, OS, 6) == {"buf_size": 2048, "buf_count": 1}
    assert board.ask(READ, OS, 8) == {"bootloader": "coffret"}
    mode = "recovery" if board.kind == RECOVERY else "application"
    assert board.ask(READ, OS, 8, {"query": "mode"}) == {"bootloader": "coffret", "mode": mode}
    assert board.ask(READ, OS, 8, {"query": "moda"}) == error(3, OS)


@pytest.mark.parametrize("version", [V1, V2])
def test_a_reply_has_the_version_of_its_request(board: SimulatedBoard, version: int) -> None:
    assert board.ask(READ, OS, 6, version=version)["buf_count"] == 1


def test_a_version_we_do_not_know_is_answered_as_too_new(board: SimulatedBoard) -> None:
    board.send(b"".join(packet.encode(board.frame(READ, OS, 6, b"\xa0", version=2))))
    reply = board.receive()
    assert (reply.version, reply.body) == (V2, {"rc": 13})


def test_unknown_groups_and_commands_are_not_supported(board: SimulatedBoard) -> None:
    for group, command in ((2, 0), (8, 1), (0, 99), (1, 99), (64, 9), (65, 9), (99, 0)):
        for version in (V1, V2):
            assert board.ask(READ, group, command, version=version) == {"rc": 8}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x80",  # an array
        b"\xbf\xff",  # an indefinite length
        b"\xa0\x00",  # trailing bytes
        b"\xa1\x61d",  # no value
        b"\xa2\x61d\x61x\x61d\x61y",  # a key twice
        b"\xa1\x61d\x41x",  # bytes instead of text
        b"\xa1\x01\x02",  # a key that is no text
        b"\xa1\x61d\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1\x61x" + b"\x81" * 2000,  # deep nesting without an end
        b"\xa1\x61x\x9a\xff\xff\xff\xff\x00",
        b"\xa1\x61x\xba\x80\x00\x00\x00\x00",
    ],
)
def test_malformed_cbor_is_invalid(board: SimulatedBoard, payload: bytes) -> None:
    board.send(b"".join(packet.encode(board.frame(WRITE, OS, 0, payload))))
    assert board.receive().body == {"rc": 3}
    assert board.ask(WRITE, OS, 0, {"d": "still here"}) == {"r": "still here"}


@pytest.mark.parametrize("value", [0, -(2**63), 2**64 - 1, 1.5, None, True, b"x" * 300, "y"])
def test_a_key_we_do_not_know_is_skipped(board: SimulatedBoard, value: Any) -> None:
    assert board.ask(WRITE, OS, 0, {"x": value, "d": "found", "": value}) == {"r": "found"}


@pytest.mark.parametrize("value", [[], {}, [1], {"d": "x"}, cbor2.CBORTag(24, b"")])
def test_containers_inside_a_request_are_invalid(board: SimulatedBoard, value: Any) -> None:
    assert board.ask(WRITE, OS, 0, {"x": value, "d": "found"}) == {"rc": 3}


def test_the_longest_echo_and_one_that_has_no_room(board: SimulatedBoard) -> None:
    text = "e" * 2028
    assert board.ask(WRITE, OS, 0, {"d": text}) == {"r": text}


# ---- framing ----


def test_noise_between_and_inside_frames_is_dropped(board: SimulatedBoard) -> None:
    good = b"".join(packet.encode(board.frame(WRITE, OS, 0, cbor2.dumps({"d": "x" * 300}))))
    board.send(b"login: \x06\x06\x04\x14AAAA\n" + good[:200] + b"*oops*" + good[200:])
    board.send(b"\x06\x09AAAA\x06\x09!!!!\n\x04\x14\n" + good)
    assert board.receive().body == {"r": "x" * 300}
    board.send(b"\x04\x14\n\x04\x14AAAA\n")  # no continuation of what was answered
    assert board.ask(WRITE, OS, 0, {"d": "next"}) == {"r": "next"}


@pytest.mark.parametrize("line_length", [8, 32, 127, 128, 2000])
def test_any_line_length_is_understood(board: SimulatedBoard, line_length: int) -> None:
    frame = board.frame(WRITE, OS, 0, cbor2.dumps({"d": "x" * 500}))
    board.send(b"".join(packet.encode(frame, line_length=line_length)))
    assert board.receive().body == {"r": "x" * 500}


def test_a_frame_that_is_too_long_or_has_a_wrong_crc_gets_no_answer(board: SimulatedBoard) -> None:
    board.send(b"".join(packet.encode(board.frame(WRITE, OS, 0, bytes(2100)))))
    wrong = bytearray(b"".join(packet.encode(board.frame(READ, OS, 6, b"\xa0"))))
    wrong[6] ^= 1
    board.send(bytes(wrong))
    lying = bytearray(board.frame(READ, OS, 6, b"\xa0"))
    lying[3] = 9
    board.send(b"".join(packet.encode(bytes(lying))))
    board.send(b"".join(packet.encode(b"\x08\x00")))
    board.send(b"".join(packet.encode(board.frame(3, OS, 6, b"\xa0"))))
    assert board.ask(READ, OS, 6)["buf_count"] == 1


# ---- upload ----


def test_an_upload_lands_in_the_slot_the_image_names(board: SimulatedBoard) -> None:
    image = make_image(board.target)
    for chunk in (37, 1000, 1900):
        assert board.upload(image, chunk) == {"off": len(image), "match": True}
        assert board.slot_bytes(board.target, len(image)) == image
    (state,) = board.ask(READ, IMAGE, STATE)["images"]
    assert state["slot"] == board.target
    assert state["version"] == "1.2.3"
    assert state["hash"] in image
    assert state["bootable"] is True
    assert not any(state[key] for key in ("active", "confirmed", "pending", "permanent"))
    assert board.services.checks[-1] == (board.target, 0)


def test_recovery_takes_an_image_for_either_slot(recovery: SimulatedBoard) -> None:
    for slot in (0, 1):
        image = make_image(slot, version=Version(0, slot, 300, 70000))
        assert recovery.upload(image)["match"] is True
        assert recovery.slot_bytes(slot, len(image)) == image
    versions = [state["version"] for state in recovery.ask(READ, IMAGE, STATE)["images"]]
    assert versions == ["0.0.300.70000", "0.1.300.70000"]


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_an_image_of_any_length_is_written_whole(board: SimulatedBoard, length: int) -> None:
    image = make_image(board.target) + b"!" * length
    assert board.upload(image, 201)["match"] is True
    assert board.slot_bytes(board.target, len(image) + 4) == image + b"\xff" * 4


def test_what_cannot_fit_is_refused_at_the_first_packet(board: SimulatedBoard) -> None:
    image = make_image(board.target)
    size = board.board.slot(0).size
    other = struct.pack("<I", 0x2200_0000)
    running = 1 - board.target
    cases = [
        (patched(image, 0, b"\0"), {}, 23, 1),
        (patched(image, 8, b"\x20\0"), {}, 22, 2),
        (patched(image, 16, bytes(4)), {}, 22, 2),
        (patched(image, 12, b"\xff\xff\xff\xff"), {}, 22, 2),
        (patched(image, 4, other), {}, 25, 3),
        (image, {"len": size + 1}, 30, 4),
        (patched(image, 0x28, b"mps2-an386"), {}, 5, 6),
    ]
    if board.kind != RECOVERY:
        cases.append((make_image(running), {}, 25, 3))
    before = board.flash(0, board.board.flash.size)
    for content, more, rc, reason in cases:
        assert board.upload(content, 512, **more) == error(rc)
        assert board.ask(READ, 65, 2)["reason"] == reason
    assert board.flash(0, board.board.flash.size) == before, "nothing may be erased for these"


def test_first_bytes_tell_another_board_and_an_older_counter(tmp_path: Path) -> None:
    write_config(RECOVERY, tmp_path)
    sources = [RUNTIME / "smp/slot_image.c"]
    library = load_library(sources, tmp_path, tmp_path / "hint.so")
    image = make_image(0)  # its counter is 5
    for minimum, reason in ((0, 0), (5, 0), (6, 12)):
        assert library.slot_image_hint(image, 512, minimum) == reason
        assert library.slot_image_hint(image, 71, minimum) == 0, "not all of it is there"
        without = image[:32] + bytes(480)
        assert library.slot_image_hint(without, 512, minimum) == 0, "another builder's"
    for name in (b"mps2-an38", b"mps2-an3855", b""):
        other = patched(image, 0x28, name.ljust(32, b"\0"))
        assert library.slot_image_hint(other, 512, 0) == 6


def test_a_first_packet_must_be_complete(board: SimulatedBoard) -> None:
    image = make_image(board.target)
    first = {"off": 0, "len": len(image), "data": image[:512]}
    for change, answer in (
        ({"data": image[:31]}, error(22)),
        ({"len": None}, error(21)),
        ({"off": None}, error(20)),
        ({"data": None}, {"rc": 3}),
        ({"sha": b"short"}, error(24)),
        ({"image": 2}, error(14)),
        ({"len": "much"}, {"rc": 3}),
        ({"len": 2**32}, {"rc": 3}),
    ):
        body = {key: value for key, value in (first | change).items() if value is not None}
        assert board.ask(WRITE, IMAGE, UPLOAD, body) == answer
    assert board.ask(WRITE, IMAGE, UPLOAD, first | {"image": 1}) == {"off": 512}


def test_version_1_gets_plain_codes(board: SimulatedBoard) -> None:
    body = {"off": 0, "len": 100, "data": bytes(64)}
    assert board.ask(WRITE, IMAGE, UPLOAD, body, version=V1) == {"rc": 3}
    assert board.ask(WRITE, IMAGE, STATE, {"hash": bytes(32)}, version=V1) == {"rc": 1}
    assert board.ask(READ, OS, 8, {"query": "x"}, version=V1) == {"rc": 5}


def test_a_host_that_lost_its_place_is_told_the_offset(board: SimulatedBoard) -> None:
    image = make_image(board.target)
    sha = hashlib.sha256(image).digest()
    first = {"off": 0, "len": len(image), "sha": sha, "data": image[:511]}
    assert board.ask(WRITE, IMAGE, UPLOAD, {"off": 512, "data": b"x" * 8}) == {"off": 0}
    assert board.ask(WRITE, IMAGE, UPLOAD, first) == {"off": 508}
    assert board.ask(WRITE, IMAGE, UPLOAD, {"off": 600, "data": b"x" * 8}) == {"off": 508}
    assert board.ask(WRITE, IMAGE, UPLOAD, first) == {"off": 508}, "the same file: go on"
    again = first | {"sha": bytes(32)}
    assert board.ask(WRITE, IMAGE, UPLOAD, again | {"data": image[:100]}) == {"off": 100}
    assert board.upload(image) == {"off": len(image), "match": True}


def test_more_data_than_announced_is_refused(board: SimulatedBoard) -> None:
    image = make_image(board.target)
    first = {"off": 0, "len": len(image), "data": image[:512]}
    assert board.ask(WRITE, IMAGE, UPLOAD, first) == {"off": 512}
    rest = image[512:] + b"more"
    assert board.ask(WRITE, IMAGE, UPLOAD, {"off": 512, "data": rest}) == error(31)
    assert board.ask(WRITE, IMAGE, UPLOAD, {"off": 512, "data": b"abc"}) == error(21)
    last = board.ask(WRITE, IMAGE, UPLOAD, {"off": 512, "data": image[512:]})
    assert last == {"off": len(image)}, "no sha, no match"


def test_a_file_that_is_not_what_sha_says_does_not_match(board: SimulatedBoard) -> None:
    image = make_image(board.target)
    assert board.upload(image, sha=bytes(32)) == {"off": len(image), "match": False}
    assert board.services.checks == []


@pytest.mark.parametrize(
    ("reason", "rc"),
    [
        (5, 5),
        (6, 5),
        (7, 8),
        (8, 24),
        (9, 5),
        (10, 4),
        (11, 5),
        (12, 27),
        (13, 4),
        (14, 11),
        (99, 3),
    ],
)
def test_an_image_that_boot_would_refuse_is_refused_with_the_reason(
    board: SimulatedBoard, reason: int, rc: int
) -> None:
    assert board.ask(READ, 65, 2) == {"slot": 255, "reason": 0}
    board.services.reasons[board.target] = reason
    assert board.upload(make_image(board.target)) == error(rc)
    assert board.ask(READ, 65, 2) == {"slot": board.target, "reason": reason}


def test_a_flipped_bit_is_refused(board: SimulatedBoard) -> None:
    image = make_image(board.target)
    assert board.upload(patched(image, 0x300, bytes([image[0x300] ^ 1]))) == error(24)


def test_upgrade_only_takes_what_is_newer(manager: SimulatedBoard) -> None:
    for version, newer in (
        (Version(1, 2, 3, 99), False),
        (Version(1, 2, 2), False),
        (Version(1, 3, 0), True),
    ):
        image = make_image(1, version=version)
        reply = manager.upload(image, upgrade=True)
        assert reply == ({"off": len(image), "match": True} if newer else error(27))
    assert manager.upload(make_image(1, version=Version(0, 0, 1)), upgrade=False)["match"]


# ---- state ----


def test_mark_for_test_needs_a_good_image_and_its_hash(manager: SimulatedBoard) -> None:
    image = make_image(1)
    assert manager.upload(image)["match"] is True
    digest = manager.ask(READ, IMAGE, STATE)["images"][1]["hash"]
    assert manager.ask(WRITE, IMAGE, STATE, {"hash": bytes(32), "confirm": False}) == error(8)
    assert manager.ask(WRITE, IMAGE, STATE, {"hash": digest[:31]}) == error(8)
    manager.services.reasons[1] = 11
    assert manager.ask(WRITE, IMAGE, STATE, {"hash": digest, "confirm": False}) == error(5)
    assert manager.ask(READ, 65, 2) == {"slot": 1, "reason": 11}
    assert 1 in manager.records() and manager.records()[1][1] == 0xFF, "not marked"
    del manager.services.reasons[1]
    running, other = manager.ask(WRITE, IMAGE, STATE, {"hash": digest, "confirm": False})["images"]
    assert (running["active"], running["confirmed"], running["pending"]) == (True, True, False)
    assert (other["active"], other["confirmed"], other["pending"]) == (False, False, True)
    assert manager.records()[1] == bytes([0, 1, 0, 0])
    assert manager.services.checks[-1] == (1, 5), "against the confirmed security counter"
    assert manager.upload(image) == error(28), "what is marked is not overwritten"


def test_refusals_are_in_the_log(manager: SimulatedBoard) -> None:
    manager.services.reasons[1] = 11
    manager.upload(make_image(1))
    assert manager.ask(READ, 66, 0)["entries"] == [
        [0, 0, "manager", "image for slot B refused: reason 11"]
    ]


def test_the_running_image_is_confirmed_and_nothing_else(manager: SimulatedBoard) -> None:
    manager.upload(make_image(1))
    running, other = manager.ask(READ, IMAGE, STATE)["images"]
    assert manager.ask(WRITE, IMAGE, STATE, {"hash": other["hash"], "confirm": True}) == error(32)
    assert manager.ask(WRITE, IMAGE, STATE, {"hash": running["hash"], "confirm": False}) == error(
        33
    )
    assert manager.ask(WRITE, IMAGE, STATE, {"confirm": False}) == error(24)
    assert manager.ask(WRITE, IMAGE, STATE, {}) == error(24)
    states = manager.ask(WRITE, IMAGE, STATE, {"hash": running["hash"], "confirm": True})["images"]
    assert states[0]["confirmed"] is True
    assert manager.records()[1] == bytes([0, 255, 0, 0])
    assert manager.records()[2] == (5).to_bytes(4, "little")


def test_on_trial_the_fallback_cannot_be_overwritten(libraries: dict[str, ctypes.CDLL]) -> None:
    """B runs on trial, A is confirmed: A must stay until B is confirmed."""
    with running_board(MANAGER_A, libraries[MANAGER_A]) as first:
        first.put_slot(0, make_image(0))
        first.ask(WRITE, IMAGE, STATE, {"confirm": True})
        first.upload(make_image(1))
        digest = first.ask(READ, IMAGE, STATE)["images"][1]["hash"]
        first.ask(WRITE, IMAGE, STATE, {"hash": digest})
        flash = first.flash(0, first.board.flash.size)
    with running_board(MANAGER_B, libraries[MANAGER_B]) as trial:
        ctypes.memmove(trial.board.flash.base, flash, len(flash))
    with running_board(MANAGER_B, libraries[MANAGER_B], fresh=False) as trial:
        assert trial.upload(make_image(0)) == error(9)
        assert trial.ask(WRITE, IMAGE, ERASE, {"slot": 0}) == error(9)
        assert trial.ask(WRITE, IMAGE, STATE, {"confirm": True})["images"][1]["confirmed"] is True
        assert trial.upload(make_image(0))["match"] is True


def test_recovery_marks_but_does_not_confirm(recovery: SimulatedBoard) -> None:
    recovery.upload(make_image(1))
    (state,) = recovery.ask(READ, IMAGE, STATE)["images"]
    for body in ({"confirm": True}, {"hash": state["hash"], "confirm": True}):
        assert recovery.ask(WRITE, IMAGE, STATE, body) == error(32)
    (marked,) = recovery.ask(WRITE, IMAGE, STATE, {"hash": state["hash"]})["images"]
    assert marked["pending"] is True
    assert recovery.records()[1] == bytes([255, 1, 0, 0])
    recovery.upload(make_image(1))
    assert recovery.records()[1] == bytes([255, 255, 0, 0]), "another file was not marked"


def test_a_slot_with_half_an_image_is_not_listed(board: SimulatedBoard) -> None:
    image = make_image(board.target)
    board.ask(WRITE, IMAGE, UPLOAD, {"off": 0, "len": len(image), "data": image[:512]})
    assert board.ask(READ, IMAGE, STATE) == {"images": []}


@pytest.mark.parametrize("offset", range(0, 32, 2))
def test_a_hostile_header_in_a_slot_is_not_listed_or_harmless(
    board: SimulatedBoard, offset: int
) -> None:
    image = make_image(board.target)
    for value in (b"\xff\xff", b"\x00\x00", b"\xff\x7f"):
        board.put_slot(board.target, patched(image, offset, value))
        states = board.ask(READ, IMAGE, STATE)["images"]
        assert all(len(state["hash"]) == 32 for state in states)


# ---- erase ----


def test_erase_empties_the_slot_that_does_not_run(board: SimulatedBoard) -> None:
    image = make_image(board.target)
    board.upload(image)
    assert board.ask(WRITE, IMAGE, ERASE) == {}
    size = board.board.slot(0).size
    assert board.slot_bytes(board.target, size) == b"\xff" * size
    assert board.ask(WRITE, IMAGE, ERASE, {"slot": 2}) == error(14)
    if board.running is not None:
        assert board.ask(WRITE, IMAGE, ERASE, {"slot": board.running}) == error(9)


def test_erase_ends_an_upload(board: SimulatedBoard) -> None:
    image = make_image(board.target)
    board.ask(WRITE, IMAGE, UPLOAD, {"off": 0, "len": len(image), "data": image[:512]})
    assert board.ask(WRITE, IMAGE, ERASE, {"slot": board.target}) == {}
    assert board.ask(WRITE, IMAGE, UPLOAD, {"off": 512, "data": image[512:1024]}) == {"off": 0}


@pytest.fixture(scope="module")
def large() -> dict[int, bytes]:
    """An image for each slot of more than two marks."""
    return {slot: make_image(slot, bytes(range(256)) * 160) for slot in (0, 1)}


def upload_part(board: SimulatedBoard, image: bytes, end: int, sha: bytes) -> int:
    """Sends chunks of 1,000 bytes up to `end`; returns the offset that is then asked for."""
    offset = 0
    while offset < end:
        body: dict[str, Any] = {"off": offset, "data": image[offset : offset + 1000]}
        if offset == 0:
            body |= {"len": len(image), "sha": sha}
        answer = board.ask(WRITE, IMAGE, UPLOAD, body)["off"]
        assert answer > offset
        offset = answer
    return offset


@pytest.mark.parametrize("kind", KINDS)
def test_upload_goes_on_after_a_reset(
    libraries: dict[str, ctypes.CDLL], large: dict[int, bytes], kind: str
) -> None:
    with running_board(kind, libraries[kind]) as board:
        image = large[board.target]
        sha = hashlib.sha256(image).digest()
        upload_part(board, image, 36_000, sha)
    with running_board(kind, libraries[kind], fresh=False) as board:
        first = {"off": 0, "data": image[:1000], "len": len(image), "sha": sha}
        assert board.ask(WRITE, IMAGE, UPLOAD, first) == {"off": 0x8000}, "the last mark"
        assert board.upload(image) == {"off": len(image), "match": True}
        assert board.slot_bytes(board.target, len(image)) == image
    # Finished: the same file again starts from its beginning.
    with running_board(kind, libraries[kind], fresh=False) as board:
        assert board.ask(WRITE, IMAGE, UPLOAD, first) == {"off": 1000}


@pytest.mark.parametrize("kind", KINDS)
def test_another_file_does_not_go_on_with_an_upload(
    libraries: dict[str, ctypes.CDLL], large: dict[int, bytes], kind: str
) -> None:
    with running_board(kind, libraries[kind]) as board:
        image = large[board.target]
        sha = hashlib.sha256(image).digest()
        upload_part(board, image, 36_000, sha)
    for other in ({"sha": bytes(32)}, {"len": len(image) - 4}):
        with running_board(kind, libraries[kind], fresh=False) as board:
            first = {"off": 0, "data": image[:1000], "len": len(image), "sha": sha} | other
            assert board.ask(WRITE, IMAGE, UPLOAD, first) == {"off": 1000}


@pytest.mark.parametrize("kind", KINDS)
def test_slot_that_changed_since_the_mark_does_not_match_and_is_forgotten(
    libraries: dict[str, ctypes.CDLL], large: dict[int, bytes], kind: str
) -> None:
    with running_board(kind, libraries[kind]) as board:
        image = large[board.target]
        upload_part(board, image, 36_000, hashlib.sha256(image).digest())
    with running_board(kind, libraries[kind], fresh=False) as board:
        board.put_slot(board.target, b"\0" * 64)
        assert board.upload(image) == {"off": len(image), "match": False}
        assert board.upload(image) == {"off": len(image), "match": True}


# ---- reset ----


@pytest.mark.parametrize("mode", [None, 0, 1])
def test_reset_answers_first_and_keeps_the_boot_mode(
    board: SimulatedBoard, mode: int | None
) -> None:
    assert board.ask(WRITE, OS, 5, {} if mode is None else {"boot_mode": mode}) == {}
    assert board.wait_end() == RESET
    if board.kind == RECOVERY:
        assert board.records().get(1, bytes(4))[2] == (2 if mode == 1 else 0)
    else:
        assert board.library.simulated_reset_mode() == (mode or 0)


def test_a_boot_mode_we_do_not_have_is_refused(board: SimulatedBoard) -> None:
    assert board.ask(WRITE, OS, 5, {"boot_mode": 2}) == {"rc": 3}
    assert board.ask(READ, OS, 5) == {"rc": 8}


# ---- our groups ----


def test_identity_is_public_facts(board: SimulatedBoard) -> None:
    assert board.ask(READ, 65, 0) == {
        "id": bytes([1, *range(32)]),
        "key": bytes(range(64)),
        "impl": b"coffret/test".ljust(32, b"\0"),
        "lifecycle": 0x2000,
        "boot": bytes(range(100, 132)),
    }


@pytest.mark.parametrize("length", [32, 48, 64])
def test_evidence_is_over_the_nonce_given(manager: SimulatedBoard, length: int) -> None:
    nonce = bytes(range(length))
    assert manager.ask(WRITE, 64, 0, {"nonce": nonce}) == {
        "token": 2 * nonce,
        "cert": b"certificate",
    }


def test_a_report_is_about_the_enclave_named(manager: SimulatedBoard) -> None:
    names = [each["name"] for each in manager.ask(READ, 67, 0)["enclaves"]]
    assert len(names) > 1
    for number, name in enumerate(names):
        asked = {"nonce": bytes(32), "enclave": name}
        assert manager.ask(WRITE, 64, 0, asked)["token"] == bytes(64)
        assert manager.library.simulated_subject() == number + 1
    manager.ask(WRITE, 64, 0, {"nonce": bytes(32)})
    assert manager.library.simulated_subject() == 0
    for stranger in ("", "nobody", names[0] + "x", names[0][:-1], "manager"):
        assert manager.ask(WRITE, 64, 0, {"nonce": bytes(32), "enclave": stranger}) == {"rc": 5}
    assert manager.ask(WRITE, 64, 0, {"nonce": bytes(32), "enclave": 1}) == {"rc": 3}


def test_evidence_refuses_other_nonces_and_tells_when_it_failed(manager: SimulatedBoard) -> None:
    for nonce in (b"", bytes(31), bytes(65), "text"):
        assert manager.ask(WRITE, 64, 0, {"nonce": nonce}) == {"rc": 3}
    assert manager.ask(WRITE, 64, 0) == {"rc": 3}
    for result, rc in ((-9, 10), (-3, 1), (-8, 1)):
        manager.library.simulated_evidence(result)
        assert manager.ask(WRITE, 64, 0, {"nonce": bytes(32)}) == {"rc": rc}


def test_an_endorsement_is_kept_and_secures_the_board(manager: SimulatedBoard) -> None:
    assert manager.ask(READ, 65, 1) == {"rc": 5}
    for endorsement in (bytes(range(256)) * 4, b"second"):
        assert manager.ask(WRITE, 65, 1, {"endorsement": endorsement}) == {}
        assert manager.ask(READ, 65, 1) == {"endorsement": endorsement}
        assert manager.records()[3] == b"\x00\x30"
    for wrong in (b"", bytes(1025), "text"):
        assert manager.ask(WRITE, 65, 1, {"endorsement": wrong}) == {"rc": 3}


def test_recovery_has_no_evidence_log_or_endorsement(recovery: SimulatedBoard) -> None:
    for operation, group, command in (
        (WRITE, 64, 0),
        (READ, 65, 1),
        (WRITE, 65, 1),
        (READ, 66, 0),
        (READ, 67, 0),
    ):
        assert recovery.ask(operation, group, command) == {"rc": 8}


def test_the_log_comes_in_pages_that_fit(manager: SimulatedBoard) -> None:
    texts = [bytes([65 + i % 26]) * (i * 7 % 121) for i in range(50)]
    for text in texts:
        manager.library.simulated_log(1, text, len(text))
    found: list[Any] = []
    start, pages = 0, 0
    while page := manager.ask(READ, 66, 0, {"from": start}):
        if not page["entries"]:
            break
        found += page["entries"]
        start, pages = page["next"], pages + 1
    assert [entry[3].encode() for entry in found] == texts
    assert [entry[0] for entry in found] == list(range(50))
    assert {entry[2] for entry in found} == {"coach"}
    assert pages > 1 and manager.ask(READ, 66, 0, {"from": 50}) == {"next": 50, "entries": []}


def test_log_text_that_is_no_utf_8_becomes_text(manager: SimulatedBoard) -> None:
    cases = {
        b"gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x94\x92": "grüß dich € 🔒",
        b"\xff\xc3": "??",
        b"\xc0\xaf\xe0\x80\x80\xed\xa0\x80\xf4\x90\x80\x80": "????????????",
        b"cut \xe2\x82": "cut ??",
    }
    for text in cases:
        manager.library.simulated_log(0xFF, text, len(text))
    entries = manager.ask(READ, 66, 0)["entries"]
    assert [entry[3] for entry in entries] == list(cases.values())
    assert {entry[2] for entry in entries} == {"monitor"}


def test_enclaves_are_told_with_their_faults(manager: SimulatedBoard) -> None:
    uptime = 5_000_000_000_123
    manager.library.simulated_time(ctypes.c_uint64(uptime * 1000 + 999))
    assert manager.ask(READ, 67, 0) == {
        "enclaves": [
            {
                "name": "sensor",
                "state": 1,
                "faults": 10,
                "restarts": 20,
                "last": 1,
                "cpu_ms": 30,
                "memory": 32768,
            },
            {
                "name": "coach",
                "state": 1,
                "faults": 11,
                "restarts": 21,
                "last": 1,
                "cpu_ms": 31,
                "memory": 0,
            },
        ],
        "slot": 0,
        "uptime_ms": uptime,
        "store_erases": [0, 1],  # the first record made bank 1
    }


def test_every_erase_of_the_record_store_is_counted_by_its_bank(manager: SimulatedBoard) -> None:
    store = manager.board.flash.store
    written, seen = [0, 0], [b"\xff" * 12] * 2
    for number in range(60):
        manager.ask(WRITE, 65, 1, {"endorsement": bytes([number]) * 1000})
        headers = [manager.flash(store.offset + bank * store.bank_size, 12) for bank in (0, 1)]
        written = [sum(at) for at in zip(written, map(bytes.__ne__, headers, seen), strict=True)]
        seen = headers
        assert manager.ask(READ, 67, 0)["store_erases"] == written
    assert min(written) > 3, "both were filled again and again"
