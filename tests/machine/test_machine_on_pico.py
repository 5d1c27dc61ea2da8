# SPDX-License-Identifier: Apache-2.0
"""`machine` against rp2040py's models of the RP2040: pins with edges, UART1, I2C, SPI, ADC, PWM.

What is wired to the board (a button, a sensor on I2C, wires from an output to an input) is the
test's; the chip's own blocks are rp2040py's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rp2040py")

import boards
from flasher.messages import LogRequest, LogResponse
from flasher.virtual import make_flash
from tests.machine.bench import build_for, write_appliance
from tests.pico.bench import Bench

PINS = """
import enclave
import time
from machine import Pin, Timer

led = Pin("LED", Pin.OUT)
led.on()
time.sleep_ms(5)
led.toggle()
time.sleep_ms(5)
led.toggle()
data = Pin(14, Pin.OPEN_DRAIN)
data.value(0)
time.sleep_ms(5)
data.value(1)
button = Pin("GP15", Pin.IN, Pin.PULL_UP)
enclave.log("button {}".format(button.value()))
edges: list[int] = []

def edge(pin: Pin) -> None:
    edges.append(irq.flags())

irq = button.irq(edge, Pin.IRQ_FALLING | Pin.IRQ_RISING)
beats: list[int] = []
timer = Timer(-1, period=10, callback=lambda t: beats.append(1))
enclave.log("ready")
while len(edges) < 3:
    enclave.wait(timeout_ms=50)
button.irq(None)
timer.deinit()
enclave.log("edges {} {}".format(edges, len(beats) > 0))
enclave.log("storm")
storm: list[int] = []
button.irq(lambda pin: storm.append(1), Pin.IRQ_FALLING)
time.sleep_ms(100)
enclave.log("calls {}".format(len(storm) > 0))
"""

ANALOGUE = """
import enclave
from machine import ADC, PWM, Pin

enclave.log("adc {} {}".format(ADC(26).read_u16(), ADC(Pin(27)).read_u16()))
enclave.log("temperature {}".format(ADC(ADC.CORE_TEMP).read_u16()))
pwm = PWM(Pin(20), freq=1000, duty_u16=16384)
enclave.log("pwm {} {}".format(pwm.freq(), pwm.duty_u16()))
pwm.duty_ns(250000)
enclave.log("ns {} {}".format(pwm.duty_u16(), pwm.duty_ns()))
for freq in (1, 200000000):
    try:
        pwm.freq(freq)
    except ValueError:
        enclave.log("no such frequency")
enclave.log("done")
"""

BUSES = """
import enclave
from machine import I2C, SPI, Pin

bus = I2C(0, freq=100000)
enclave.log("scan {}".format(bus.scan()))
enclave.log("wrote {}".format(bus.writeto(0x48, b"\\x05\\x11\\x22")))
enclave.log("memory {}".format(list(bus.readfrom_mem(0x48, 5, 3))))
for address in (0x20, 0x49):
    try:
        bus.readfrom(address, 1)
    except OSError as error:
        enclave.log("nobody {}".format(error.errno))
spi = SPI(0, 1000000, polarity=1, phase=1)
answer = bytearray(3)
spi.write_readinto(b"abc", answer)
enclave.log("spi {!r}".format(bytes(answer)))
try:
    Pin(25)  # type: ignore[arg-type]
except ValueError as error:
    enclave.log(str(error))
try:
    Pin(8, Pin.ALT, alt=2)
except OSError as error:
    enclave.log("no uart on gp8: {}".format(error.errno))
enclave.log("done")
"""

SOFT = """
import enclave
from machine import Pin, SoftI2C, SoftSPI

spi = SoftSPI(baudrate=100000, sck=Pin(10), mosi=Pin(11), miso=Pin(12))
answer = bytearray(4)
spi.write_readinto(b"wire", answer)
enclave.log("soft spi {!r}".format(bytes(answer)))
# Nobody is there, but the pull-ups are: an address is answered by silence, not by a stuck line.
for pin in (Pin(2), Pin(3)):
    pin.init(Pin.IN, Pin.PULL_UP)
bus = SoftI2C(scl=Pin(3), sda=Pin(2), freq=100000)
try:
    bus.readfrom(0x42, 1)
except OSError as error:
    enclave.log("soft i2c {}".format(error.errno))
enclave.log("done")
"""

LINE = """
import enclave
from machine import UART

line = UART(1, 9600, timeout=100)
line.write(b"hello\\n")
enclave.log("echo {!r}".format(line.readline()))
enclave.log("silence {!r}".format(line.read()))
heard: list[bytes | None] = []
line.irq(lambda uart: heard.append(uart.read()), UART.IRQ_RX)
line.write(b"again")
enclave.wait(timeout_ms=50)
enclave.log("by interrupt {!r}".format(b"".join([text for text in heard if text])))
enclave.log("done")
"""


@dataclass(slots=True)
class SimulatedSensor:
    """64 registers behind a pointer, at address 0x48 of an I2C bus, as small sensors have them."""

    bus: Any
    registers: bytearray = field(default_factory=lambda: bytearray(64))
    pointer: int | None = None

    def attach(self) -> None:
        self.bus.on_start = lambda _: self.bus.complete_start()
        self.bus.on_connect = self._connect
        self.bus.on_write_byte = self._write
        self.bus.on_read_byte = self._read

    def _connect(self, address: int, mode: int) -> None:
        if mode == 0:
            self.pointer = None
        self.bus.complete_connect(address == 0x48)

    def _write(self, value: int) -> None:
        if self.pointer is None:
            self.pointer = value % 64
        else:
            self.registers[self.pointer] = value
            self.pointer = (self.pointer + 1) % 64
        self.bus.complete_write(True)

    def _read(self, _: bool) -> None:
        at = self.pointer or 0
        self.pointer = (at + 1) % 64
        self.bus.complete_read(self.registers[at])


@dataclass(slots=True)
class Outcome:
    """What each enclave said, and the levels that each pin was seen at, in order."""

    said: dict[str, list[str]] = field(default_factory=dict)
    levels: dict[int, list[str]] = field(default_factory=dict)


class _Board:
    """The Pico with everything wired to it."""

    def __init__(self, flash: Path) -> None:
        self.bench = Bench(flash)
        self.chip = self.bench.machine.chip
        self.outcome = Outcome()
        self._seen = 0
        sensor = SimulatedSensor(self.chip.i2c[0])
        sensor.attach()
        uart = self.chip.uart[1]
        uart.on_byte = uart.feed_byte  # a wire from TX to RX
        spi = self.chip.spi[0]
        spi.on_transmit = lambda value: spi.complete_transmit(value ^ 0x20)
        self.chip.adc.channel_values[:] = [4095, 1024, 0, 0, 876]
        miso = self.chip.gpio[12]  # a wire from MOSI
        self.chip.gpio[11].add_listener(lambda now, _: miso.set_input_value(now.name == "HIGH"))
        for pin in (14, 25):
            self.chip.gpio[pin].add_listener(self._watch(pin))

    def _watch(self, pin: int) -> Callable[[Any, Any], None]:
        seen = self.outcome.levels.setdefault(pin, [])
        return lambda state, _: seen.append(state.name)

    def read_log(self) -> bool:
        answer = self.bench.ask(LogRequest(start=self._seen), LogResponse)
        for sequence, _, who, text in answer.entries:
            self._seen = sequence + 1
            self.outcome.said.setdefault(who, []).append(text)
        return True

    def until(self, who: str, start: str) -> None:
        def said() -> bool:
            return self.read_log() and any(
                text.startswith(start) for text in self.outcome.said.get(who, [])
            )

        for _ in range(200):
            if said():
                return
            self.bench.run_for(0.02)
        raise AssertionError(f"{who} never said {start!r}: {self.outcome.said}")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    directory = tmp_path_factory.mktemp("pico")
    appliance = write_appliance(
        directory / "source",
        {
            "pins": (("led", "gp15", "gp14"), PINS),
            "analogue": (("adc0", "pwm0", "gp20"), ANALOGUE),
            "buses": (("i2c0", "spi0"), BUSES),
            "line": (("uart1",), LINE),
            "soft": (("gp2", "gp3", "gp10", "gp11", "gp12"), SOFT),
        },
    )
    bundle = build_for("rpi-pico", appliance, directory)
    boot = bundle.path("boot").with_name("boot.bin").read_bytes()
    flash = directory / "flash.bin"
    make_flash(boards.load("rpi-pico"), flash, bundle.path("slot_a").read_bytes(), boot)
    board = _Board(flash)
    button = board.chip.gpio[15]
    board.until("pins", "ready")
    for pressed in (True, False, True):
        button.set_input_value(not pressed)
        board.bench.machine.poke()
        board.bench.run_for(0.02)
    board.until("pins", "storm")
    for turn in range(2000):
        button.set_input_value(turn % 2 == 0)
        board.bench.machine.poke()
        board.bench.run_for(0.00005)
    for who in ("analogue", "buses", "line", "soft"):
        board.until(who, "done")
    board.until("pins", "calls")
    yield board.outcome


def test_an_output_drives_its_pin_until_its_enclave_ends(outcome: Outcome) -> None:
    assert outcome.levels[25][-4:] == ["HIGH", "LOW", "HIGH", "INPUT"]


def test_an_open_drain_pin_is_pulled_low_or_let_go_never_driven_high(outcome: Outcome) -> None:
    assert "LOW" in outcome.levels[14]
    assert "HIGH" not in outcome.levels[14]
    assert outcome.levels[14][-1].startswith("INPUT")


def test_edges_of_a_pin_arrive_in_order_with_their_kind(outcome: Outcome) -> None:
    assert "button 1" in outcome.said["pins"]
    falling, rising = 4, 8
    assert f"edges {[falling, rising, falling]} True" in outcome.said["pins"]


def test_a_storm_of_edges_does_not_stop_the_board(outcome: Outcome) -> None:
    assert outcome.said["pins"][-1] == "calls True"


def test_adc_scales_twelve_bits_to_sixteen(outcome: Outcome) -> None:
    assert outcome.said["analogue"][:2] == ["adc 65535 16388", "temperature 14019"]


def test_pwm_has_frequency_and_duty(outcome: Outcome) -> None:
    said = outcome.said["analogue"]
    assert said[2:4] == ["pwm 1000 16384", "ns 16384 250000"]
    assert said.count("no such frequency") == 2


def test_i2c_speaks_with_a_sensor_and_misses_nobody(outcome: Outcome) -> None:
    said = outcome.said["buses"]
    assert said[:3] == ["scan [72]", "wrote 3", "memory [17, 34, 0]"]
    assert said[3:5] == ["nobody 19", "nobody 19"]


def test_spi_exchanges_bytes(outcome: Outcome) -> None:
    assert "spi b'ABC'" in outcome.said["buses"]


def test_software_buses_work_pins_through_the_monitor(outcome: Outcome) -> None:
    assert outcome.said["soft"] == ["soft spi b'wire'", "soft i2c 19", "done"]


def test_pins_show_only_what_their_enclave_has(outcome: Outcome) -> None:
    said = outcome.said["buses"]
    assert "pin 25 is not granted to this enclave" in said
    assert "no uart on gp8: 13" in said


def test_uart_hears_itself_over_a_wire(outcome: Outcome) -> None:
    assert outcome.said["line"] == [
        "echo b'hello\\n'",
        "silence None",
        "by interrupt b'again'",
        "done",
    ]


def test_nobody_faulted(outcome: Outcome) -> None:
    assert not [text for text in outcome.said["monitor"] if text.startswith("fault")]
