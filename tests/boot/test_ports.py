# SPDX-License-Identifier: Apache-2.0
"""The interrupt-driven UART driver of the image: nothing lost, nothing half sent."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from firmware.compiler.boot_build import RUNTIME
from tests.boot.device import HERE, Kit, link_payload
from tests.qemu import Machine, needs_qemu

pytestmark = needs_qemu

PATIENCE_S = 60.0
CAPACITY = 1023  # BOARD_STREAM_CAPACITY


@pytest.fixture
def echo(kit: Kit, tmp_path: Path) -> Iterator[Machine]:
    """A board that echoes its port and its stream 0."""
    drivers = [path for path in kit.board.image_sources if not path.stem.startswith("core")]
    sources = [HERE / "payload/ports.c", RUNTIME / "boot/string.c", *drivers]
    body = link_payload(kit.board, sources, 0, kit.boot.elf.parent)
    flash = kit.flash(tmp_path / "nv", replace(kit, bodies=(body, body)).image(0))
    with kit.on(flash) as machine:
        machine.port.settimeout(0.2)
        while True:  # what comes before the image listens, boot may have swallowed
            machine.send(b"?")
            try:
                assert set(machine.port.recv(100)) == set(b"?")
            except TimeoutError:
                continue
            break
        machine.send(b"!")
        machine.port.settimeout(PATIENCE_S)
        while b"!" not in machine.port.recv(4096):  # behind it nothing more comes back
            pass
        yield machine


def drain(link: socket.socket, seconds: float = 0.2) -> bytes:
    link.settimeout(seconds)
    try:
        return link.recv(65536)
    except TimeoutError:
        return b""


def there_and_back(link: socket.socket, data: bytes) -> bytes:
    """Sends and receives at once, as fast as the other side takes it."""
    back = bytearray()
    sent = 0
    link.settimeout(PATIENCE_S)
    while len(back) < len(data):
        if sent < len(data) and sent - len(back) < 4096:
            sent += link.send(data[sent : sent + 1024])
        else:
            back += link.recv(4096)
    return bytes(back)


def noise(length: int) -> bytes:
    draw = random.Random(length)
    return bytes(draw.randrange(3, 256) for _ in range(length))  # 1 and 2 are commands


def test_long_exchange_on_the_port_loses_nothing(echo: Machine) -> None:
    data = noise(30_000)
    assert there_and_back(echo.port, data) == data


def test_long_exchange_on_the_stream_loses_nothing(echo: Machine) -> None:
    data = noise(30_000)
    assert there_and_back(echo.stream, data) == data


def test_port_and_stream_do_not_disturb_each_other(echo: Machine) -> None:
    one, two = noise(3_000), noise(3_001)
    echo.port.sendall(one)
    echo.stream.sendall(two)
    for link, data in ((echo.port, one), (echo.stream, two)):
        back = b""
        while len(back) < len(data) and (more := drain(link, PATIENCE_S)):
            back += more
        assert back == data


def test_message_that_does_not_fit_is_not_begun(echo: Machine) -> None:
    echo.send(b"\1")
    assert drain(echo.port, PATIENCE_S) == b"\0"
    assert drain(echo.stream) == b""


def test_largest_message_is_sent_whole(echo: Machine) -> None:
    echo.send(b"\2")
    assert drain(echo.port, PATIENCE_S) == b"\1"
    back = b""
    while len(back) < CAPACITY and (more := drain(echo.stream, PATIENCE_S)):
        back += more
    assert back == b"x" * CAPACITY
    assert drain(echo.stream) == b""
