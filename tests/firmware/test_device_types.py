# SPDX-License-Identifier: Apache-2.0
"""Devices in the types: what an enclave was granted, on which board, and how mistakes are told."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import boards
from boards.errors import CoffretError
from firmware.appliance.manifest import Manifest
from firmware.appliance.manifest_file import load
from firmware.device_types import stub_packages
from firmware.device_types.typecheck import stub_files, type_problems
from tests.machine.bench import write_appliance

PICO, QEMU = boards.load("rpi-pico"), boards.load("mps2-an385")

RIGHT = """
import struct
import time
from machine import ADC, I2C, PWM, Pin, Timer, WDT, idle, unique_id

led = Pin("LED", Pin.OUT, value=1)
button = Pin(15, Pin.IN, Pin.PULL_UP)

def pressed(pin: Pin) -> None:
    led.toggle()

button.irq(pressed, Pin.IRQ_FALLING)
bus = I2C(0, freq=100_000)
found: list[int] = bus.scan()
bus.writeto_mem(0x48, 0, struct.pack("<H", 3))
level: int = ADC(26).read_u16()
light = PWM(Pin(20), freq=1000, duty_u16=level)
Timer(-1, period=100, mode=Timer.PERIODIC, callback=lambda t: led.toggle())
WDT(timeout=1000).feed()
name: bytes = unique_id()
time.sleep_ms(5)
idle()
"""
# Three blocks of registers are one more than an enclave has regions for; the types do not mind.
GRANTS = ("led", "gp15", "gp20", "i2c0", "adc0", "pwm0", "wdt", "unique_id")


def appliance(folder: Path, text: str, devices: tuple[str, ...]) -> Manifest:
    return load(write_appliance(folder / "source", {"desk": (devices, text)}))


def told(
    folder: Path, text: str, devices: tuple[str, ...], board: boards.Board = PICO
) -> list[str]:
    found = type_problems(appliance(folder, text, devices), board)
    return [f"{problem.line}: {problem.what}; {problem.mend}" for problem in found]


def test_a_module_that_uses_what_it_was_granted_passes(tmp_path: Path) -> None:
    assert told(tmp_path, RIGHT, GRANTS) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Pin(99)", "rpi-pico has no pin 99; it has gp2, gp3, "),
        ("Pin('GP77')", "rpi-pico has no pin GP77; it has gp2, "),
        ("Pin(3)", 'desk was not granted gp3; add "gp3" to `devices` of [enclave.desk]'),
        ("Pin('gp4')", 'desk was not granted gp4; add "gp4" to `devices` of [enclave.desk]'),
        ("UART(1, 9600)", 'desk was not granted uart1; add "uart1"'),
        ("UART(7)", "rpi-pico has no UART 7; it has 1"),
        ("SPI(0, 1000000)", 'desk was not granted spi0; add "spi0"'),
        ("I2C(1)", 'desk was not granted i2c1; add "i2c1"'),
        ("ADC(26)", 'desk was not granted adc0; add "adc0"'),
        ("ADC(9)", "rpi-pico has no ADC 9; it has 0, 1, 2, 3, 26, "),
        ("Timer(1)", "rpi-pico has no Timer 1; it has -1"),
        ("machine.unique_id()", 'desk was not granted unique_id; add "unique_id"'),
        ("machine.WDT()", 'desk was not granted wdt; add "wdt"'),
        ("machine.PWM(Pin(15))", 'desk was not granted pwm0; add "pwm0"'),
        ("machine.I2S(0)", 'Module has no attribute "I2S"; '),
        ("I2C(0).scan().clear(3)", "Too many arguments for "),
    ],
)
def test_a_device_that_was_not_granted_is_told_with_the_mend(
    line: str, expected: str, tmp_path: Path
) -> None:
    text = f"import machine\nfrom machine import ADC, I2C, Pin, SPI, Timer, UART\n{line}\n"
    (found,) = told(tmp_path, text, ("gp15", "i2c0"))
    assert found.startswith(f"3: {expected}"), found


def test_a_board_without_a_stub_package_has_ours(tmp_path: Path) -> None:
    assert QEMU.host.stubs is None
    text = "from machine import I2C, Pin\nI2C(0)\nI2C(3)\nPin('LED0')\nPin('LED')\n"
    found = told(tmp_path, text, ("i2c3", "led0"), QEMU)
    assert found[0] == "2: mps2-an385 has no I2C 0; it has 2, 3"
    assert found[1].startswith("5: mps2-an385 has no pin LED; it has p0, ")
    assert len(found) == 2


def test_the_same_program_passes_our_stub_and_the_boards_own(tmp_path: Path) -> None:
    """What we say of `machine` where there is no package does not contradict MicroPython's."""
    text = """
from machine import I2C, Pin, SPI, UART
led = Pin("{led}", Pin.OUT)
led.value(led.value() ^ 1)
uart = UART({uart}, 9600, timeout=100)
uart.write(b"x")
line: bytes | None = uart.readline()
bus = I2C({i2c}, freq=400_000)
data: bytes = bus.readfrom_mem(0x48, 0, 2)
spi = SPI({spi}, 1_000_000, polarity=0, phase=0)
answer = bytearray(3)
spi.write_readinto(b"abc", answer)
"""
    ours = text.format(led="LED0", uart=2, i2c=3, spi=3)
    assert told(tmp_path / "ours", ours, ("led0", "uart2", "i2c3", "spi3"), QEMU) == []
    theirs = text.format(led="LED", uart=1, i2c=0, spi=0)
    assert told(tmp_path / "theirs", theirs, ("led", "uart1", "i2c0", "spi0")) == []


def test_every_boards_stub_package_is_pinned() -> None:
    for name in boards.names():
        stubs = boards.load(name).host.stubs
        assert stubs is None or stubs in stub_packages.packages()


def test_a_package_that_is_not_the_pinned_one_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stub_packages, "user_cache", lambda: tmp_path)
    forged = {
        name: stub_packages.StubPackage(name, package.version, "0" * 64)
        for name, package in stub_packages.packages().items()
    }
    monkeypatch.setattr(stub_packages, "packages", lambda: forged)
    with pytest.raises(CoffretError, match="cannot fetch micropython-rp2-rpi-pico-stubs") as caught:
        stub_packages.board_stubs(PICO)
    assert caught.value.exit_code == 3
    assert not list(tmp_path.rglob("*.pyi"))


def test_the_editor_knows_what_any_enclave_was_granted(tmp_path: Path) -> None:
    def coffret(*words: str) -> int:
        command = [sys.executable, str(Path(__file__).parents[2] / "coffret.py"), *words]
        return subprocess.run(command, cwd=tmp_path, check=False, timeout=120).returncode

    assert coffret("new", "desk") == 0
    folder = tmp_path / "desk"
    assert "typings" in (folder / "pyrightconfig.json").read_text()
    shutil.rmtree(folder / "typings")
    manifest = folder / "appliance.toml"
    granted = '[enclave.counter]\ndevices = ["gp15", "i2c0"]'
    manifest.write_text(manifest.read_text().replace("[enclave.counter]", granted))
    assert coffret("check", "desk", "--board", "rpi-pico") == 0
    stub = (folder / "typings" / "machine.pyi").read_text()
    assert (
        "PinId: TypeAlias = _Literal[15, 'gp15', 'GP15', 9, 'gp9', 'GP9', 8, 'gp8', 'GP8']" in stub
    )
    assert "UartId: TypeAlias = _Never" in stub
    assert 'Literal["counter"]' in (folder / "typings" / "enclave.pyi").read_text()
    assert (folder / "typings" / "rp2" / "__init__.pyi").is_file()
    # Another board's stubs leave nothing of the first behind.
    manifest.write_text(manifest.read_text().replace('"gp15", "i2c0"', '"led0"'))
    assert coffret("check", "desk", "--board", "mps2-an385") == 0
    assert not (folder / "typings" / "rp2" / "__init__.pyi").exists()
    assert (
        "PinId: TypeAlias = _Literal[64, 'led0', 'LED0']"
        in (folder / "typings/machine.pyi").read_text()
    )


def test_without_a_board_any_pin_will_do(tmp_path: Path) -> None:
    manifest = appliance(tmp_path, "from machine import Pin\nPin(99)\n", ("led",))
    assert type_problems(manifest) == []
    assert b"PinId: TypeAlias = int | str" in stub_files(manifest, ["desk"], None)["machine.pyi"]
