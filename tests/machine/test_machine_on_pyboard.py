# SPDX-License-Identifier: Apache-2.0
"""`machine` on QEMU's STM32F405: a USART, SPI with nothing on it, timers 3 and 5; simulated blocks
for I2C, with a thermometer, and for the ADC.

QEMU's command line puts nothing on SPI1 or SPI2. QEMU 7.2 has no pins of this part: docs/boards.md
lists them as built, not run.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from tests.machine.bench import Running, build_for, running, write_appliance
from tests.qemu import needs_qemu

pytestmark = needs_qemu

PARTS = """
import enclave
from machine import ADC, SPI, Pin

spi = SPI(1, 1000000)
answer = bytearray(b"\\xff\\xff\\xff\\xff")
spi.write_readinto(b"\\x9f\\x00\\x00\\x00", answer)
enclave.log("answer {}".format(list(answer)))
enclave.log("{}".format(spi))

Pin("LED_BLUE", Pin.OUT).on()
try:
    Pin("Y3")  # type: ignore[arg-type]
except ValueError as error:
    enclave.log("refused {}".format(error))

measured = [ADC(Pin("X1")).read_u16(), ADC(Pin("X19")).read_u16(), ADC(5).read_u16()]
enclave.log("measured {} {}".format(measured, ADC(ADC.CORE_TEMP).read_u16()))
try:
    ADC(17)
except ValueError as error:
    enclave.log("no input {}".format(error))
enclave.log("done")
"""

SENSOR = """
import enclave
from machine import I2C, PWM, Pin, mem32

bus = I2C(1, freq=100000)
enclave.log("scan {}".format(bus.scan()))
enclave.log("raw {}".format(list(bus.readfrom_mem(0x48, 0, 2))))
bus.writeto_mem(0x48, 2, bytes((0x12, 0x34)))
kept = list(bus.readfrom_mem(0x48, 2, 2)), list(bus.readfrom_mem(0x48, 2, 1))
enclave.log("kept {} {}".format(kept[0], kept[1]))
try:
    bus.writeto(0x20, b"x")
except OSError as error:
    enclave.log("nobody {}".format(error.args[0]))
wave = PWM(Pin("Y1"), freq=1000, duty_u16=16384)
enclave.log("wave {} {} {}".format(wave.freq(), wave.duty_u16(), mem32[0x40000434]))
wave.duty_ns(100000)
enclave.log("shorter {}".format(mem32[0x40000434]))
enclave.log("done")
"""

LINE = """
import enclave
import time
from machine import UART, Timer

uart = UART(3, 115200, timeout=200)
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

calls: list[int] = []
begin = time.ticks_ms()
Timer(5, period=20, mode=Timer.ONE_SHOT, callback=lambda t: calls.append(time.ticks_ms()))
while not calls:
    enclave.wait(timeout_ms=1000)
time.sleep_ms(50)
enclave.log("calls {} {}".format(len(calls), time.ticks_diff(calls[0], begin) >= 19))
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("pyboard")
    enclaves = {
        "parts": (("spi1", "adc0", "led_blue"), PARTS),
        "line": (("uart3", "timer5"), LINE),
        "sensor": (("i2c1", "pwm0", "y1"), SENSOR),
    }
    source = write_appliance(directory / "source", enclaves, "heap = 8192")
    bundle = build_for("pyboard-v1.1", source, directory)
    with running(bundle, directory) as board:
        threading.Thread(target=_talk, args=(board.virtual.further("uart3"),), daemon=True).start()
        board.until(
            lambda now: (
                "done" in now.said("parts")
                and "done" in now.said("sensor")
                and any(text.startswith("calls") for text in now.said("line"))
            )
        )
        yield board


def _talk(path: str) -> None:
    """Says three lines to whoever is on the board's UART, each when the last was answered."""
    line = os.open(path, os.O_RDWR | os.O_NOCTTY)
    seen = b""
    for end, say in ((b"ready\n", b"one\n"), (b"ONE\n", b"two\n"), (b"TWO\n", b"three\n")):
        while not seen.endswith(end):
            seen += os.read(line, 100)
        os.write(line, say)
    os.close(line)


def test_uart_receives_by_interrupt_while_its_enclave_waits(outcome: Running) -> None:
    heard = "heard [b'one\\n', b'two\\n', b'three\\n']"
    assert outcome.said("line")[:2] == ["nothing None", heard]


def test_spi_exchanges_bytes_no_faster_than_asked(outcome: Running) -> None:
    """84 MHz / 128: 656,250, the next power of two below 1 MHz."""
    said = outcome.said("parts")
    assert said[0] == "answer [0, 0, 0, 0]"
    assert said[1].startswith("SPI(1, baudrate=656250,")


def test_a_pin_that_was_not_granted_is_refused(outcome: Running) -> None:
    assert "refused pin Y3 is not granted to this enclave" in outcome.said("parts")


def test_a_timer_calls_once_and_not_before_its_time(outcome: Running) -> None:
    """Once only: QEMU's timer, which does not begin anew at its end, interrupts without pause."""
    assert "calls 1 True" in outcome.said("line")


def test_i2c_finds_reads_and_writes_a_sensor(outcome: Running) -> None:
    """TMP105: 0x1580 is 21.5 degrees; 19 is MicroPython's ENODEV."""
    said = outcome.said("sensor")
    assert said[:4] == ["scan [72]", "raw [21, 128]", "kept [18, 52] [18]", "nobody 19"]


def test_pwm_sets_the_period_and_the_width_of_its_pulse(outcome: Running) -> None:
    """84 MHz by two, and 42,000 steps: a quarter of them, then 0.1 ms."""
    assert outcome.said("sensor")[4:6] == ["wave 1000 16384 10500", "shorter 4200"]


def test_an_adc_measures_its_pins_and_the_part_itself(outcome: Running) -> None:
    """Half, full and nothing of its scale (flasher/stm32/machine.py); 0x3B6 is some 25 degrees."""
    said = outcome.said("parts")
    assert "measured [32776, 65535, 0] 15203" in said
    assert "no input no such input" in said
