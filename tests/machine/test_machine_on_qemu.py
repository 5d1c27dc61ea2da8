# SPDX-License-Identifier: Apache-2.0
"""`machine` against QEMU's models: UART, GPIO of the FPGA, timers, I2C and SPI with real parts.

The parts are QEMU's: a TMP105 temperature sensor and a W25Q80BL flash chip (board.toml, emulator).
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator

import pytest

from tests.machine.bench import Running, build_for, running, write_appliance
from tests.qemu import needs_qemu

pytestmark = needs_qemu

BUSES = """
import enclave
from machine import I2C, SPI

i2c = I2C(3, freq=400000)
enclave.log("scan {}".format(i2c.scan()))
i2c.writeto_mem(0x48, 2, b"\\x4b\\x00")
enclave.log("limit {}".format(list(i2c.readfrom_mem(0x48, 2, 2))))
into = bytearray(2)
i2c.writeto(0x48, b"\\x03", False)
i2c.readfrom_into(0x48, into)
enclave.log("high {}".format(list(into)))
try:
    i2c.readfrom(0x50, 1)
except OSError as error:
    enclave.log("nobody {}".format(error.errno))
spi = SPI(3, 1000000)
answer = bytearray(4)
spi.write_readinto(b"\\x9f\\x00\\x00\\x00", answer)
enclave.log("chip {}".format(list(answer)))
enclave.log("done")
"""

PINS = """
import enclave
import time
from machine import Pin, Signal, Timer, WDT, unique_id

led = Pin("LED0", Pin.OUT)
lamp = Signal(led, invert=True)
seen = [led.value()]
led.on()
seen.append(led.value())
led.toggle()
seen.append(led())
lamp.on()
seen.append(led.value())
lamp.off()
seen.append(led.value())
enclave.log("led {}".format(seen))
enclave.log("button {}".format(Pin("BUTTON1", Pin.IN).value()))
for wrong in (3, 99, "LED1"):
    try:
        Pin(wrong)  # type: ignore[arg-type]
    except ValueError as error:
        enclave.log("refused {}".format(error))
try:
    led.init(Pin.IN, Pin.PULL_UP)
except ValueError:
    enclave.log("no pulls")
enclave.log("id {}".format(list(unique_id())))

soft: list[int] = []
hard: list[int] = []
once: list[int] = []
timer = Timer(-1, period=20, mode=Timer.PERIODIC, callback=lambda t: soft.append(1))
Timer(-1, period=30, mode=Timer.ONE_SHOT, callback=lambda t: once.append(1))
counter = Timer(1, period=10, callback=lambda t: hard.append(1))
time.sleep_ms(205)
timer.deinit()
counter.deinit()
time.sleep_ms(50)
enclave.log("timers {} {} {}".format(len(soft), len(once), len(hard)))

wdt = WDT(timeout=500)
for _ in range(5):
    time.sleep_ms(100)
    wdt.feed()
enclave.log("fed")
while True:
    pass
"""

LINE = """
import enclave
from machine import UART

uart = UART(2, 115200, timeout=200)
enclave.log("nothing {!r}".format(uart.read(1)))
uart.write(b"ready\\n")
heard: list[bytes] = []

def listen(line: UART) -> None:
    while line.any():
        text = line.readline()
        if text is not None:
            heard.append(text)
            line.write(text.upper())

uart.irq(listen, UART.IRQ_RX)
while len(heard) < 3:
    enclave.wait(timeout_ms=1000)
enclave.log("heard {!r}".format(heard))
"""


@pytest.fixture(scope="module", params=["mps2-an385", "mps2-an505"])
def outcome(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("qemu")
    appliance = write_appliance(
        directory / "source",
        {
            "buses": (("i2c3", "spi3"), BUSES),
            "pins": (("led0", "button1", "timer1", "wdt", "unique_id"), PINS),
            "line": (("uart2",), LINE),
        },
    )
    bundle = build_for(request.param, appliance, directory)
    with running(bundle, directory) as board:
        threading.Thread(target=_talk, args=(board.virtual.further("uart2"),), daemon=True).start()
        board.until(
            lambda now: (
                "done" in now.said("buses")
                and any(text.startswith("heard") for text in now.said("line"))
                and any(text.startswith("fault pins") for text in now.said("monitor"))
            )
        )
        yield board


def _talk(path: str) -> None:
    """Says three lines to whoever is on the board's UART, each when the last was answered."""
    line = os.open(path, os.O_RDWR | os.O_NOCTTY)
    _read(line, b"ready\n")
    for text in (b"one\n", b"two\n", b"three\n"):
        os.write(line, text)
        _read(line, text.upper())
    os.close(line)


def _read(line: int, end: bytes) -> None:
    seen, deadline = b"", time.monotonic() + 30
    while not seen.endswith(end) and time.monotonic() < deadline:
        seen += os.read(line, 100)


def test_i2c_reads_and_writes_a_sensor(outcome: Running) -> None:
    said = outcome.said("buses")
    # 80 degrees is what the sensor's upper limit is after power-on.
    assert said[:4] == ["scan [72]", "limit [75, 0]", "high [80, 0]", "nobody 19"]


def test_spi_asks_a_flash_chip_its_name(outcome: Running) -> None:
    assert "chip [0, 239, 64, 20]" in outcome.said("buses")


def test_pins_show_what_they_were_set_to(outcome: Running) -> None:
    said = outcome.said("pins")
    assert said[0] == "led [0, 1, 0, 0, 1]"
    assert said[1] == "button 0"
    assert "no pulls" in said


def test_a_pin_that_was_not_granted_is_refused(outcome: Running) -> None:
    refused = [text for text in outcome.said("pins") if text.startswith("refused")]
    assert refused == [
        "refused pin 3 is not granted to this enclave",
        "refused pin 99 is not granted to this enclave",
        "refused pin LED1 is not granted to this enclave",
    ]


def test_timers_call_back_as_often_as_they_should(outcome: Running) -> None:
    said = next(text for text in outcome.said("pins") if text.startswith("timers"))
    soft, once, hard = map(int, said.split()[1:])
    assert once == 1
    # Real time under an emulator: what is late is called once, so less is possible, more is not.
    assert 1 <= soft <= 10
    assert 1 <= hard <= 21


def test_uart_receives_by_interrupt_while_its_enclave_waits(outcome: Running) -> None:
    said = outcome.said("line")
    assert said == ["nothing None", "heard [b'one\\n', b'two\\n', b'three\\n']"]


def test_an_unfed_watchdog_ends_its_enclave_alone(outcome: Running) -> None:
    said = outcome.said("pins")
    assert "fed" in said
    faults = [text for text in outcome.said("monitor") if text.startswith("fault")]
    assert set(faults) == {"fault pins watchdog"}


def test_unique_id_is_the_boards_own(outcome: Running) -> None:
    said = next(text for text in outcome.said("pins") if text.startswith("id "))
    name = json.loads(said.removeprefix("id "))
    assert len(name) == 8
    assert len(set(name)) > 1
