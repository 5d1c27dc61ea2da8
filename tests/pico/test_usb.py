# SPDX-License-Identifier: Apache-2.0
"""The USB device: what it says of itself, its two serial ports, and a host that means harm."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from smp.os_management import EchoWriteRequest, EchoWriteResponse

import boards
from firmware.bundle.folder import Bundle
from flasher.messages import IdentityRequest, IdentityResponse
from flasher.pico.usb_host import Answer, Request, serial_functions
from flasher.virtual import make_flash
from tests.pico.bench import Bench

BOARD = boards.load("rpi-pico")
IN = 0x80


@pytest.fixture(scope="module")
def bench(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A board in recovery, which has the same USB code as the image."""
    path = tmp_path_factory.mktemp("usb") / "flash.bin"
    make_flash(BOARD, path, None, (bundle.folder / "boot.bin").read_bytes())
    bench = Bench(path)
    bench.run_until(lambda: bench.host.open)
    return bench


def _ask(bench: Bench, request: Request) -> Answer:
    answer = bench.host.ask(request)
    bench.run_until(lambda: answer, 5)
    return answer[0]


def _echoes(bench: Bench) -> bool:
    return bench.ask(EchoWriteRequest(d="still"), EchoWriteResponse, bench.usb[0]).r == "still"


def test_descriptors_name_the_board(bench: Bench) -> None:
    device = bench.host.descriptors["device"]
    size, kind, usb, *_ = struct.unpack_from("<BBH", device)
    assert (size, kind, usb) == (18, 1, 0x0200)
    (usb_id,) = BOARD.host.usb_ids_of("application")
    assert struct.unpack_from("<HH", device, 8) == (usb_id.vendor, usb_id.product)
    assert bench.host.texts[:-1] == ["coffret", "rpi-pico", "management", "stream"]


def test_the_serial_number_is_the_boards_own(bench: Bench) -> None:
    """Whoever has two boards tells them apart by it; it is the start of the instance id."""
    instance_id = bench.ask(IdentityRequest(), IdentityResponse, bench.usb[0]).id
    assert bench.host.descriptors["device"][16] == 5  # iSerialNumber
    assert bench.host.texts[4] == instance_id[1:9].hex()


def test_configuration_is_well_formed_and_has_two_serial_ports(bench: Bench) -> None:
    configuration = bench.host.descriptors["configuration"]
    assert int.from_bytes(configuration[2:4], "little") == len(configuration)
    functions = list(serial_functions(configuration))
    assert [function.interface for function in functions] == [0, 2]
    ends = [(function.endpoint_in, function.endpoint_out) for function in functions]
    assert len(set(ends)) == 2


@pytest.mark.parametrize(
    ("request_", "data"),
    [
        (Request(IN, 8, length=1), b"\x01"),  # GET_CONFIGURATION
        (Request(IN, 0, length=2), b"\0\0"),  # GET_STATUS of the device
        (Request(IN | 1, 10, index=1, length=1), b"\0"),  # GET_INTERFACE
        (Request(IN | 2, 0, index=0x82, length=2), b"\0\0"),  # GET_STATUS of an endpoint
        (Request(0x21, 0x20, index=2, data=struct.pack("<IBBB", 9600, 2, 1, 7)), b""),
        (Request(IN | 0x21, 0x21, index=2, length=7), struct.pack("<IBBB", 9600, 2, 1, 7)),
        (Request(IN | 0x21, 0x21, index=2, length=3), struct.pack("<I", 9600)[:3]),
        (Request(IN, 6, 0x0100, length=4), bytes((18, 1, 0, 2))),
        (Request(1, 11, index=0), b""),  # SET_INTERFACE to the only setting
    ],
)
def test_request_is_answered(bench: Bench, request_: Request, data: bytes) -> None:
    answer = _ask(bench, request_)
    assert not answer.stalled
    assert answer.data == data


@pytest.mark.parametrize(
    "request_",
    [
        Request(IN, 6, 0x0600, length=10),  # device qualifier: full speed alone
        Request(IN, 6, 0x0101, length=18),  # a second device descriptor
        Request(IN, 6, 0x03FF, length=255),  # a text that is not there
        Request(0, 9, 2),  # a configuration that is not there
        Request(IN | 2, 0, index=0x8F, length=2),  # an endpoint that is not there
        Request(0x21, 0x20, index=0, data=bytes(64)),  # a line coding of 64 bytes
        Request(0x21, 0x20, index=0, data=bytes(1)),
        Request(0x21, 0x20, index=1, data=bytes(7)),  # of the data interface
        Request(0x40, 1, data=bytes(64)),  # of a vendor
        Request(0, 7, 0x0100, data=bytes(18)),  # SET_DESCRIPTOR
        Request(IN | 0x21, 0x20, index=0, length=7),  # the wrong way round
        Request(1, 11, value=1, index=0),  # a setting that is not there
        Request(0, 3, value=2),  # SET_FEATURE: test mode
    ],
)
def test_request_that_is_not_on_the_list_is_stalled(bench: Bench, request_: Request) -> None:
    assert _ask(bench, request_).stalled
    assert _echoes(bench)


def test_random_requests_change_nothing(bench: Bench) -> None:
    chance = random.Random(1)
    for _ in range(300):
        kind = chance.choice((0, 1, 2, 0x20, 0x21, 0x22, 0x40, 0xC0, chance.getrandbits(8)))
        number = chance.choice((0, 1, 3, 6, 7, 8, 10, 12, 0x20, 0x21, 0x23, chance.getrandbits(8)))
        value = chance.choice((0, 1, 0x0100, 0x0200, 0x0301, chance.getrandbits(16)))
        index = chance.choice((0, 1, 2, 3, 4, 0x81, 0x82, chance.getrandbits(16)))
        length = chance.choice((0, 1, 2, 7, 8, 63, 64, 65, 255, 0xFFFF))
        if number in (5, 9) or (kind, number) == (0x21, 0x22):
            continue  # these are obeyed: an address, a configuration, a closed port
        if (kind, number) in ((2, 1), (2, 3)):
            continue  # an endpoint is halted
        answer = bench.host.ask(Request(kind | IN, number, value, index, length))
        bench.run_until(lambda answer=answer: answer, 5)
        assert len(answer[0].data) <= 255
    assert bench.machine.processor.faults == 0
    assert bench.machine.resets == 0
    assert _echoes(bench)


def test_halted_endpoint_waits_until_it_is_cleared(bench: Bench) -> None:
    function = bench.host.functions[0]
    address = IN | function.endpoint_in
    assert not _ask(bench, Request(2, 3, 0, address)).stalled
    assert _ask(bench, Request(IN | 2, 0, index=address, length=2)).data == b"\x01\0"
    assert not _ask(bench, Request(2, 1, 0, address)).stalled
    assert _ask(bench, Request(IN | 2, 0, index=address, length=2)).data == b"\0\0"
    assert _echoes(bench)


def test_long_answers_come_whole(bench: Bench) -> None:
    for length in (40, 41, 42, 43, 44, 45, 46, 90, 200):  # around one, two and more full packets
        text = "x" * length
        assert bench.ask(EchoWriteRequest(d=text), EchoWriteResponse, bench.usb[0]).r == text


def test_bytes_that_are_no_smp_do_no_harm(bench: Bench) -> None:
    chance = random.Random(2)
    bench.usb[0].to_board += chance.randbytes(3000) + b"\n"
    bench.run_until(lambda: not bench.usb[0].to_board)
    assert _echoes(bench)


def test_stream_leaves_by_the_second_port_alone(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "flash.bin"
    slot_a = bundle.path("slot_a").read_bytes()
    make_flash(BOARD, path, slot_a, (bundle.folder / "boot.bin").read_bytes())
    bench = Bench(path)
    bench.run_until(lambda: bench.host.open)
    bench.usb[1].to_board += b"nobody reads this; it waits in the controller" * 40
    bench.run_for(0.2)
    assert _echoes(bench)
    assert not bench.usb[1].to_host
