# SPDX-License-Identifier: Apache-2.0
"""Updates as the difference to what runs: the manager's decoder, through its port, under UBSan."""

from __future__ import annotations

import ctypes
import hashlib
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from firmware.image.format import Version
from flasher.bundle import ImageFile, parse_image
from flasher.delta import DeltaError, apply_delta, make_delta
from flasher.delta.layout import Header, Segment
from flasher.reasons import Reason
from tests.smp.simulated_board import (
    MANAGER_A,
    MANAGER_B,
    READ,
    RECOVERY,
    WRITE,
    SimulatedBoard,
    build,
    host_board,
    make_image,
    running_board,
)

IMAGE, STATE, UPLOAD = 1, 0, 1
MAGIC, HASH_NOT_FOUND, HEADER, INVALID_HASH, TOO_LARGE = 23, 8, 22, 24, 30
PAGE = 0x4000


def body(slot: int, version: int, size: int = 40_000) -> bytes:
    """Something like code: noise, and addresses in it that lie in the slot it is linked for.

    Version 2 has something more in the middle, so that what lies behind it moves, and changes.
    """
    code = bytearray(random.Random(1).randbytes(size & ~3))
    middle = size // 2 & ~3
    inserted = random.Random(2).randbytes(48) if version == 2 else b""
    base = host_board().slot(slot).base + 0x200
    for at in range(0, len(code), 64):
        place = random.Random(at).randrange(len(code))
        place += len(inserted) if place >= middle else 0
        code[at : at + 4] = (base + place).to_bytes(4, "little")
        code[at + 9] ^= version == 2
    return bytes(code[:middle] + inserted + code[middle:])


def built(slot: int, version: int, size: int = 40_000) -> ImageFile:
    return parse_image(make_image(slot, body(slot, version, size), Version(version, 0, 0)))


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ctypes.CDLL]:
    kinds = (RECOVERY, MANAGER_A, MANAGER_B)
    return {kind: build(kind, tmp_path_factory.mktemp("delta")) for kind in kinds}


@pytest.fixture(params=[MANAGER_A, MANAGER_B])
def board(
    request: pytest.FixtureRequest, libraries: dict[str, ctypes.CDLL]
) -> Iterator[SimulatedBoard]:
    """It runs version 1."""
    with running_board(request.param, libraries[request.param]) as simulated:
        assert simulated.running is not None
        simulated.put_slot(simulated.running, built(simulated.running, 1).data)
        yield simulated


@pytest.fixture
def manager(libraries: dict[str, ctypes.CDLL]) -> Iterator[SimulatedBoard]:
    with running_board(MANAGER_A, libraries[MANAGER_A]) as simulated:
        simulated.put_slot(0, OLD.data)
        yield simulated


OLD, NEW = built(0, 1), built(1, 2)
DELTA = make_delta(OLD, NEW)


def refusal(board: SimulatedBoard) -> int:
    found: int = board.ask(READ, 65, 2)["reason"]
    return found


def refused(board: SimulatedBoard, delta: bytes, code: int, reason: Reason, **more: Any) -> None:
    assert board.upload(delta, **more) == {"err": {"group": IMAGE, "rc": code}}
    assert refusal(board) == reason


@pytest.mark.parametrize("chunk", [200, 1500])
def test_the_other_slot_holds_the_new_image_after_a_delta(
    board: SimulatedBoard, chunk: int
) -> None:
    assert board.running is not None
    old, new = built(board.running, 1), built(board.target, 2)
    delta = make_delta(old, new)
    assert len(delta) < len(new.data) // 10, "little is left to say"
    board.put_slot(board.target, b"\x55" * len(new.data))
    assert board.upload(delta, chunk) == {"off": len(delta), "match": True}
    assert board.slot_bytes(board.target, len(new.data)) == new.data
    marked = board.ask(WRITE, IMAGE, STATE, {"hash": new.digest})
    assert [image["slot"] for image in marked["images"] if image["pending"]] == [board.target]


def test_the_board_makes_of_every_pair_of_images_what_the_host_does(
    manager: SimulatedBoard,
) -> None:
    """Images that share nothing, much, or everything; longer and shorter ones, of odd lengths."""
    chance = random.Random(3)
    bodies = [chance.randbytes(size) for size in (4, 999, 16_384 - 512, 40_001)]
    bodies += [body(slot, version, 30_001) for slot in (0, 1) for version in (1, 2)]
    bodies += [bodies[3][500:] + bodies[1], bodies[1] * 30]
    for number, (first, second) in enumerate((a, b) for a in bodies for b in bodies):
        old = parse_image(make_image(0, first, Version(1, 0, 0)))
        new = parse_image(make_image(1, second, Version(1, 0, number)))
        delta = make_delta(old, new)
        manager.put_slot(0, old.data)
        assert manager.upload(delta, 1700) == {"off": len(delta), "match": True}, number
        assert manager.slot_bytes(1, len(new.data)) == new.data, number


def test_a_delta_from_another_image_is_refused_at_its_first_packet(
    manager: SimulatedBoard,
) -> None:
    manager.put_slot(0, built(0, 3).data)
    before = manager.slot_bytes(1, 64)
    refused(manager, DELTA, HASH_NOT_FOUND, Reason.DELTA_BASE)
    assert manager.slot_bytes(1, 64) == before


def test_a_delta_is_refused_by_what_its_target_says_of_itself(manager: SimulatedBoard) -> None:
    header = Header.unpack(DELTA)
    rest = DELTA[header.size :]

    def with_start(at: int, data: bytes) -> bytes:
        start = header.start[:at] + data + header.start[at + len(data) :]
        return replace(header, start=start).pack() + rest

    refused(manager, with_start(0, b"none"), MAGIC, Reason.NO_IMAGE)
    refused(manager, with_start(4, OLD.data[4:8]), 25, Reason.SLOT_ADDRESS)
    refused(manager, with_start(40, b"another-board\0"), 5, Reason.BOARD)
    too_long = replace(header, length=host_board().flash.slot_a.size + 1).pack() + rest
    refused(manager, too_long, TOO_LARGE, Reason.TOO_LARGE)


def test_recovery_knows_no_deltas(libraries: dict[str, ctypes.CDLL]) -> None:
    with running_board(RECOVERY, libraries[RECOVERY]) as recovery:
        recovery.put_slot(0, OLD.data)
        refused(recovery, DELTA, MAGIC, Reason.NO_IMAGE)


def number(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


COPY_ALL = b"\x0f" + number(1000 - 15)
HOSTILE: dict[str, bytes] = {
    "a token that makes nothing": b"\x00",
    "a jump and no more": b"\x80\x02",
    "a copy before the base": b"\x81" + number(2 * 100 - 1),
    "a copy behind the base": b"\x81" + number(2 * len(OLD.data)),
    "a copy over the end of the base": b"\x8f" + number(99) + number(2 * (len(OLD.data) - 150)),
    "a copy at the largest distance": b"\x81" + b"\xff\xff\xff\x7f",
    "more than a page": b"\x0f" + number(PAGE),
    "the most that a number can say": b"\x0f" + b"\xff\xff\xff\x7f",
    "literals over the end of a page": b"\x70" + number(PAGE - 72 - 7 + 1) + b"x" * PAGE,
    "a number without an end": b"\x0f\xff\xff\xff\xff\xff\xff\xff",
    "a number that is longer than it need be": b"\x0f\x81\x00" + COPY_ALL * 99,
    "a number that is empty": b"\x0f\x80\x00",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_token_is_refused_with_its_reason(manager: SimulatedBoard, what: str) -> None:
    delta = Header.unpack(DELTA).pack() + HOSTILE[what]
    with pytest.raises(DeltaError):
        apply_delta(delta, OLD)
    refused(manager, delta, HEADER, Reason.DELTA)
    assert manager.upload(DELTA) == {"off": len(DELTA), "match": True}, "and nothing is spoilt"


def test_output_beyond_the_target_is_refused_and_not_written(manager: SimulatedBoard) -> None:
    header = replace(Header.unpack(DELTA), length=len(NEW.data) - 1)
    manager.put_slot(1, b"\xff" * (len(NEW.data) + 4096))
    refused(manager, header.pack() + DELTA[header.size :], HEADER, Reason.DELTA)
    assert manager.slot_bytes(1, len(NEW.data))[-200:] == b"\xff" * 200
    longer = replace(header, length=len(NEW.data) + 1)
    refused(manager, longer.pack() + DELTA[header.size :], HEADER, Reason.DELTA)
    refused(manager, DELTA + b"\x01", HEADER, Reason.DELTA)


def test_a_malformed_header_is_refused_at_once(manager: SimulatedBoard) -> None:
    good = Header.unpack(DELTA)
    many = replace(good, segments=(Segment(0, 0),) * 33).pack()
    reserved = good.pack()[:146] + b"\x01\x00" + DELTA[148:]
    short = replace(good, length=72).pack() + DELTA[good.size :]
    for delta in (many, reserved, short, DELTA[:148], DELTA[:100]):
        with pytest.raises(DeltaError):
            apply_delta(delta, OLD)
        refused(manager, delta, HEADER, Reason.DELTA)


def test_a_delta_cut_off_at_any_byte_is_refused(manager: SimulatedBoard) -> None:
    new = parse_image(make_image(1, body(1, 2, 1200), Version(2, 0, 0)))
    old = parse_image(make_image(0, body(0, 1, 1200)))
    delta = make_delta(old, new)
    manager.put_slot(0, old.data)
    for length in range(32, len(delta)):
        refused(manager, delta[:length], HEADER, Reason.DELTA)
    assert manager.upload(delta[:31]) == {"err": {"group": IMAGE, "rc": HEADER}}
    assert manager.upload(delta) == {"off": len(delta), "match": True}


def test_a_changed_byte_never_makes_another_image_pass(manager: SimulatedBoard) -> None:
    """Every byte of a delta: refused with a reason, as the host's own check says."""
    new = parse_image(make_image(1, body(1, 2, 1200), Version(2, 0, 0)))
    old = parse_image(make_image(0, body(0, 1, 1200)))
    delta = make_delta(old, new)
    manager.put_slot(0, old.data)
    harmless = 0
    for at in range(len(delta)):
        spoilt = delta[:at] + bytes([delta[at] ^ (1 << at % 8)]) + delta[at + 1 :]
        answer = manager.upload(spoilt)
        try:
            assert apply_delta(spoilt, old) == new.data
        except DeltaError:
            assert "err" in answer, at
            assert refusal(manager) != Reason.OK, at
        else:  # another way to say the same
            assert answer == {"off": len(delta), "match": True}, at
            harmless += 1
    assert harmless <= 8 * len(Header.unpack(delta).segments), "no more than where a part begins"


def test_a_target_whose_digest_is_another_is_refused(manager: SimulatedBoard) -> None:
    header = Header.unpack(DELTA)
    other = replace(header, target=hashlib.sha256(b"another").digest())
    refused(manager, other.pack() + DELTA[header.size :], INVALID_HASH, Reason.HASH)


def test_what_the_delta_made_is_judged_as_any_image(manager: SimulatedBoard) -> None:
    manager.services.reasons[1] = Reason.SIGNATURE
    refused(manager, DELTA, 5, Reason.SIGNATURE)
    assert "err" in manager.ask(WRITE, IMAGE, STATE, {"hash": NEW.digest})


def restarted(
    libraries: dict[str, ctypes.CDLL], packets: int, again: Callable[[SimulatedBoard], None]
) -> None:
    """A board that was reset after so many packets of 100 bytes of the delta, with its flash."""
    with running_board(MANAGER_A, libraries[MANAGER_A]) as first:
        first.put_slot(0, OLD.data)
        offset = 0
        for _ in range(packets):
            asked: dict[str, Any] = {"off": offset, "data": DELTA[offset : offset + 100]}
            if offset == 0:
                asked["data"] = DELTA[:400]
                asked |= {"len": len(DELTA), "sha": hashlib.sha256(DELTA).digest()}
            offset = first.ask(WRITE, IMAGE, UPLOAD, asked)["off"]
    with running_board(MANAGER_A, libraries[MANAGER_A], fresh=False) as second:
        again(second)


def first_packet(sha: bytes, data: bytes, length: int) -> dict[str, Any]:
    return {"off": 0, "data": data, "len": length, "sha": sha}


def test_after_a_reset_a_delta_goes_on_at_the_last_page(
    libraries: dict[str, ctypes.CDLL],
) -> None:
    def again(board: SimulatedBoard) -> None:
        sha = hashlib.sha256(DELTA).digest()
        answer = board.ask(WRITE, IMAGE, UPLOAD, first_packet(sha, DELTA[:400], len(DELTA)))
        assert 400 < answer["off"] < len(DELTA), "where the first page of the target was whole"
        assert board.upload(DELTA, 300) == {"off": len(DELTA), "match": True}
        assert board.slot_bytes(1, len(NEW.data)) == NEW.data

    restarted(libraries, 9, again)


def test_a_mark_under_a_false_name_does_not_lead_beyond_the_target(
    libraries: dict[str, ctypes.CDLL],
) -> None:
    """The name of an upload is the host's word: another delta, and an image, that claim it."""

    sha = hashlib.sha256(DELTA).digest()

    def shorter(board: SimulatedBoard) -> None:
        delta = make_delta(OLD, built(1, 2, 12_000))
        answer = board.ask(WRITE, IMAGE, UPLOAD, first_packet(sha, delta[:400], len(DELTA)))
        assert answer == {"off": 400}, "taken from its beginning"

    def image(board: SimulatedBoard) -> None:
        small = make_image(1, b"code")
        packet = first_packet(sha, small[:400], len(DELTA))
        assert board.ask(WRITE, IMAGE, UPLOAD, packet) == {"off": 400}, "taken from its beginning"

    restarted(libraries, 9, shorter)
    restarted(libraries, 9, image)


def test_a_second_first_packet_with_a_shorter_header_is_refused(manager: SimulatedBoard) -> None:
    """An upload that began and took nothing, then another packet under the same name."""
    sha = hashlib.sha256(DELTA).digest()
    too_much = first_packet(sha, DELTA[:400], 350)
    assert len(DELTA) > 400
    assert manager.ask(WRITE, IMAGE, UPLOAD, too_much) == {"err": {"group": IMAGE, "rc": 31}}
    answer = manager.ask(WRITE, IMAGE, UPLOAD, first_packet(sha, DELTA[:32], 350))
    assert answer == {"err": {"group": IMAGE, "rc": HEADER}}


def test_the_header_has_the_size_that_the_board_expects() -> None:
    header = Header.unpack(DELTA)
    assert header.size == 148 + 8 * len(header.segments)
    assert struct.unpack_from("<I", DELTA)[0] == 0x31444643
