# SPDX-License-Identifier: Apache-2.0
"""I2C, ADC and PWM of the pyboard's STM32F405 against simulated registers (host build).

QEMU has no I2C of this part, an ADC that never ends, and no waves: this shows that the C does what
our reading of ST's manual asks of it.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import boards
from boards.config_header import config_header
from flasher.stm32.adc import SimulatedAdc
from flasher.stm32.devices import Device
from flasher.stm32.i2c import SimulatedI2c, SimulatedTmp105, Target
from tests.store.host_library import ROOT, RUNTIME, compile_host

SIMULATED = Path(__file__).parent / "simulated_stm32f4"
FAMILY = ROOT / "boards" / "families" / "stm32f4"
BOARD = boards.load("pyboard-v1.1")
I2C, ADC, PWM = (BOARD.device[name].base for name in ("i2c1", "adc0", "pwm0"))
BUS_HZ, TIMER_HZ = 42_000_000, 84_000_000
_READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)
_WRITE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)


class Bus(ctypes.Structure):
    """`struct driver_i2c`."""

    _fields_ = (
        ("base", ctypes.c_uint32),
        ("hz", ctypes.c_uint32),
        ("timeout_us", ctypes.c_uint32),
        ("held", ctypes.c_bool),
    )


@dataclass
class Memory:
    """A target that keeps what it is sent, and gives its bytes one after the other."""

    holds: bytes = b""
    room: int = 10_000
    sent: list[bytearray] = field(default_factory=list)
    given: int = 0

    def begin(self, reading: bool) -> None:
        self.given = 0
        if not reading:
            self.sent.append(bytearray())

    def take(self, byte: int) -> bool:
        if len(self.sent[-1]) == self.room:
            return False
        self.sent[-1].append(byte)
        return True

    def give(self) -> int:
        self.given += 1
        return self.holds[self.given - 1] if self.given <= len(self.holds) else 0xEE


class Part:
    """The registers behind the drivers: I2C and ADC as devices, all others as they were written."""

    def __init__(
        self,
        library: ctypes.CDLL,
        targets: Mapping[int, Target] | None = None,
        levels: Mapping[int, int] | None = None,
    ) -> None:
        self.library, self.i2c = library, SimulatedI2c(I2C, targets or {})
        self._devices: tuple[Device, ...] = (self.i2c, SimulatedAdc(ADC, levels or {}))
        self.words: dict[int, int] = {}
        self._kept = _READ(self._read), _WRITE(self._write)
        for name, call in zip(("read", "write"), self._kept, strict=True):
            place = ctypes.c_void_p.in_dll(library, f"simulated_{name}")
            place.value = ctypes.cast(call, ctypes.c_void_p).value

    def _read(self, address: int) -> int:
        for device in self._devices:
            if address in device.registers:
                return device.read(address)
        return self.words.get(address, 0)

    def _write(self, address: int, value: int) -> None:
        for device in self._devices:
            if address in device.registers:
                return device.write(address, value)
        self.words[address] = value
        return None

    def bus(self, hz: int = 400_000) -> Bus:
        bus = Bus(I2C, hz, 1_000)
        assert self.library.driver_i2c_start(ctypes.byref(bus)) == 0
        return bus

    def write(self, bus: Bus, address: int, data: bytes, stop: bool = True) -> int:
        return self._transfer(bus, address, ctypes.create_string_buffer(data, len(data)), 0, stop)

    def read(self, bus: Bus, address: int, count: int, stop: bool = True) -> bytes:
        buffer = ctypes.create_string_buffer(count)
        assert self._transfer(bus, address, buffer, 1, stop) == 0
        return buffer.raw

    def _transfer(
        self, bus: Bus, address: int, data: ctypes.Array[ctypes.c_char], read: int, stop: bool
    ) -> int:
        size = ctypes.c_size_t(len(data))
        return int(
            self.library.driver_i2c_transfer(
                ctypes.byref(bus), address, data, size, ctypes.c_bool(read), ctypes.c_bool(stop)
            )
        )


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("stm32f4")
    (folder / "board_config.h").write_text(config_header(BOARD))
    sources = [FAMILY / "vm_i2c.c", FAMILY / "vm_pwm.c", FAMILY / "vm_adc.c", SIMULATED / "bus.c"]
    flags = ["-O1", "-shared", "-fPIC", "-include", str(SIMULATED / "access.h")]
    for include in (SIMULATED, FAMILY, RUNTIME / "vm"):
        flags += ["-I", str(include)]
    found = ctypes.CDLL(str(compile_host(sources, folder, folder / "stm32f4.so", flags)))
    found.driver_adc_read.restype = ctypes.c_uint16
    for name in ("driver_pwm_start", "driver_pwm_steps", "driver_pwm_hz"):
        getattr(found, name).restype = ctypes.c_uint32
    return found


@given(st.binary(min_size=1, max_size=40))
def test_every_length_is_read_whole_and_its_last_byte_alone_is_refused(
    library: ctypes.CDLL, data: bytes
) -> None:
    target = Memory(data)
    part = Part(library, {0x50: target})
    bus = part.bus()
    for _ in range(2):
        assert part.read(bus, 0x50, len(data)) == data
        assert part.i2c.acknowledged == [True] * (len(data) - 1) + [False]
        assert target.given == len(data)
    # Only behind a single byte does the block read on before it can be stopped.
    assert part.i2c.extra <= (2 if len(data) == 1 else 0)


@given(st.binary(max_size=40), st.integers(0, 50))
def test_what_was_acknowledged_is_counted(library: ctypes.CDLL, data: bytes, room: int) -> None:
    target = Memory(room=room)
    part = Part(library, {0x50: target})
    bus = part.bus()
    assert part.write(bus, 0x50, data) == min(len(data), room)
    assert target.sent == [data[:room]]
    assert part.write(bus, 0x50, b"") == 0  # and the bus is free again


def test_registers_of_a_sensor_are_read_by_a_repeated_start(library: ctypes.CDLL) -> None:
    part = Part(library, {0x48: SimulatedTmp105(0x1580)})
    bus = part.bus()
    assert part.write(bus, 0x48, b"\x00", stop=False) == 1
    assert part.read(bus, 0x48, 2) == b"\x15\x80"
    assert part.write(bus, 0x48, b"\x02\x12\x34") == 3
    assert part.write(bus, 0x48, b"\x02", stop=False) == 1
    assert part.read(bus, 0x48, 1, stop=False) == b"\x12"
    assert part.read(bus, 0x48, 2) == b"\x12\x34"


def test_nobody_at_an_address_is_enodev_and_a_bus_that_is_held_times_out(
    library: ctypes.CDLL,
) -> None:
    part = Part(library, {0x50: Memory(b"x")})
    bus = part.bus()
    found = [address for address in range(0x08, 0x78) if part.write(bus, address, b"") == 0]
    assert found == [0x50]
    assert part.write(bus, 0x51, b"abc") == -errno.ENODEV
    part.i2c._sr2 = 2  # somebody else has the bus, and keeps it
    assert part.write(bus, 0x50, b"abc") == -errno.ETIMEDOUT
    assert part.read(bus, 0x50, 1) == b"x"  # the block was reset


@given(st.integers(1, 500_000))
def test_the_bus_is_never_faster_than_asked(library: ctypes.CDLL, hz: int) -> None:
    part = Part(library)
    bus = Bus(I2C, hz, 1_000)
    result = library.driver_i2c_start(ctypes.byref(bus))
    if hz > 400_000 or hz < BUS_HZ / (2 * 0xFFF):
        assert result == -errno.EINVAL
        return
    assert result == 0
    ccr, cr2 = part.i2c.read(I2C + 0x1C), part.i2c.read(I2C + 0x04)
    fast, count = bool(ccr & 1 << 15), ccr & 0xFFF
    assert (cr2, fast) == (42, hz > 100_000)
    real = BUS_HZ / ((3 if fast else 2) * count)
    assert hz * 0.8 < real <= hz
    assert count >= (1 if fast else 4)


PINS = {6: 0, 38: 0, 20: 0, 7: 1, 39: 1, 16: 2, 17: 3}


@given(st.sampled_from(sorted(PINS)), st.integers(1, 42_000_000), st.floats(0, 1), st.booleans())
def test_a_wave_is_as_asked_on_its_channel_and_no_other(
    library: ctypes.CDLL, pin: int, hz: int, duty: float, invert: bool
) -> None:
    part = Part(library)
    steps = int(library.driver_pwm_start(PWM, pin, hz))
    period = (part.words[PWM + 0x28] + 1) * (part.words[PWM + 0x2C] + 1)
    assert part.words[PWM + 0x28] <= 0xFFFF
    assert steps == part.words[PWM + 0x2C] + 1 <= 0xFFFF
    assert abs(TIMER_HZ / hz - period) <= max(TIMER_HZ / hz / steps, 1)
    assert int(library.driver_pwm_hz(PWM, pin)) == pytest.approx(TIMER_HZ / period, abs=1)
    high = round(duty * steps)
    library.driver_pwm_set(PWM, pin, high, ctypes.c_bool(invert))
    channel = PINS[pin]
    assert part.words[PWM + 0x34 + 4 * channel] == high
    mode = part.words[PWM + 0x18 + 4 * (channel // 2)]
    assert mode == 0x68 << 8 * (channel % 2), "PWM mode 1, preloaded"
    assert part.words[PWM + 0x20] == (3 if invert else 1) << 4 * channel
    assert part.words[PWM] & 1, "it counts"
    library.driver_pwm_stop(PWM, pin)
    assert not part.words[PWM + 0x20] >> 4 * channel & 1


def test_a_frequency_that_cannot_be_had_changes_nothing(library: ctypes.CDLL) -> None:
    part = Part(library)
    assert library.driver_pwm_start(PWM, 6, TIMER_HZ) == 0
    assert not part.words


# DS8626, table 7: ADC1_IN0 and so on.
INPUTS = {
    **{pin: pin for pin in range(8)},
    16: 8,
    17: 9,
    **{32 + pin: 10 + pin for pin in range(6)},
}


@given(st.sampled_from(sorted(INPUTS)), st.integers(0, 0xFFF))
def test_a_pin_is_measured_at_its_own_input(library: ctypes.CDLL, pin: int, raw: int) -> None:
    part = Part(library, levels={INPUTS[pin]: raw})
    library.driver_adc_start(ADC)
    assert part.words[ADC + 0x10] == 0x3FFF_FFFF, "the slowest sampling everywhere"
    channel = library.driver_adc_channel(pin, ctypes.c_bool(True))
    assert channel == INPUTS[pin]
    assert library.driver_adc_read(ADC, channel) == (raw << 4 | raw >> 8)
    assert library.driver_adc_read(ADC, 16) == 0


def test_pins_without_an_input_and_inputs_that_are_none_are_refused(library: ctypes.CDLL) -> None:
    others = set(range(64)) - set(INPUTS)
    assert {library.driver_adc_channel(pin, ctypes.c_bool(True)) for pin in others} == {-1}
    assert library.driver_adc_channel(16, ctypes.c_bool(False)) == 16
    assert library.driver_adc_channel(17, ctypes.c_bool(False)) == -1
