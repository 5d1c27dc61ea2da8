# SPDX-License-Identifier: Apache-2.0
"""examples/thermometer: a real sensor model on I2C, whose temperature the test changes."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
import time
from pathlib import Path

import boards
from flasher.virtual import VirtualBoard, make_flash
from tests.machine.bench import build_for
from tests.qemu import needs_qemu

pytestmark = needs_qemu

EXAMPLE = Path(__file__).parents[2] / "examples" / "thermometer"


class Weather:
    """The temperature at the sensor, by QMP."""

    def __init__(self) -> None:
        self._path = Path(tempfile.mkdtemp(prefix="coffret-qmp-")) / "qmp"
        self.arguments = ("-qmp", f"unix:{self._path},server=on,wait=off")

    def set(self, degrees: float) -> None:
        value = int(degrees * 1000)
        change = {"path": "sensor", "property": "temperature", "value": value}
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self._path))
            with link.makefile("rw") as stream:
                stream.readline()  # the greeting
                for command in (
                    {"execute": "qmp_capabilities"},
                    {"execute": "qom-set", "arguments": change},
                ):
                    stream.write(json.dumps(command) + "\n")
                    stream.flush()
                    assert "return" in json.loads(stream.readline())


def test_the_thermometer_writes_what_its_sensor_measures(tmp_path: Path) -> None:
    board = boards.load("mps2-an385")
    bundle = build_for(board.name, EXAMPLE, tmp_path)
    state = tmp_path / "state"
    state.mkdir()
    make_flash(board, state / "flash.bin", bundle.path("slot_a").read_bytes())
    weather = Weather()
    heard = bytearray()
    news = threading.Event()

    def tap(data: bytes) -> None:
        heard.extend(data)
        news.set()

    def until(line: bytes) -> None:
        end = time.monotonic() + 60
        while line not in heard:
            assert time.monotonic() < end, bytes(heard)
            news.wait(1)
            news.clear()

    boot = bundle.path("boot")
    extra = weather.arguments
    with VirtualBoard(board, boot, state, root=tmp_path, taps=[tap], extra=extra):
        until(b"0.0\n")
        weather.set(21.5)
        until(b"21.5\n")
        weather.set(-4.25)
        until(b"-4.2\n")
        weather.set(38)
        until(b"38.0 too warm\n")
