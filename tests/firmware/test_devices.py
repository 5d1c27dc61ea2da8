# SPDX-License-Identifier: Apache-2.0
"""Devices of a manifest on a board: who has what, and every way in which it cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import boards
from firmware.appliance.manifest_file import load
from firmware.appliance.problems import ApplianceError
from firmware.planning.devices import NO_IRQ, NONE, DeviceKind, GrantedDevice, granted_devices
from firmware.planning.planner import make_plan
from firmware.planning.syscalls import Call
from tests.machine.bench import write_appliance

PICO = boards.load("rpi-pico")


def rows(folder: Path, devices: Sequence[str]) -> list[GrantedDevice]:
    manifest = load(write_appliance(folder / "source", {"desk": (devices, "")}))
    return list(granted_devices(manifest, PICO))


def refused(folder: Path, enclaves: Mapping[str, Sequence[str]], board: str = "rpi-pico") -> str:
    """The problem of an appliance, without its file's name."""
    source = {name: (devices, "") for name, devices in enclaves.items()}
    with pytest.raises(ApplianceError) as caught:
        make_plan(load(write_appliance(folder / "source", source)), boards.load(board))
    assert caught.value.exit_code == 2
    (line,) = caught.value.text().splitlines()
    return line.partition("appliance.toml:")[2]


def test_a_bus_brings_its_usual_pins_set_to_it(tmp_path: Path) -> None:
    bus, scl, sda = rows(tmp_path, ["i2c0"])
    assert (bus.kind, bus.id, bus.base, bus.pins) == (
        DeviceKind.I2C,
        0,
        0x4004_4000,
        (9, 8, NONE, NONE),
    )
    assert [(pin.name, pin.id, pin.function, pin.implied) for pin in (scl, sda)] == [
        ("gp9", 9, 3, True),
        ("gp8", 8, 3, True),
    ]
    assert scl.functions == 1 << 5 | 1 << 3  # a plain pin, or the bus


def test_a_pin_may_show_only_what_its_enclave_has(tmp_path: Path) -> None:
    (alone,) = rows(tmp_path, ["gp20"])
    assert alone.functions == 1 << 5
    pwm, pin = rows(tmp_path, ["pwm0", "gp20"])
    assert pin.functions == 1 << 5 | 1 << pwm.function
    # UART1 can be on gp8; the pin of somebody who has i2c0 may not show it.
    (eight,) = (row for row in rows(tmp_path, ["i2c0", "gp8"]) if row.id == 8)
    assert not eight.functions >> 2 & 1
    assert not eight.implied


def test_pins_and_interrupting_blocks_have_an_event_each(tmp_path: Path) -> None:
    found = {row.name: row for row in rows(tmp_path, ["uart1", "led", "gp15", "i2c1", "wdt"])}
    assert (found["uart1"].irq, found["uart1"].event) == (21, 0)
    assert [found[name].event for name in ("led", "gp15")] == [1, 2]
    assert {found[name].irq for name in ("led", "gp15")} == {13}
    assert found["i2c1"].irq == found["wdt"].irq == found["gp4"].irq == NO_IRQ


def test_an_appliance_without_devices_has_no_table_and_no_call(tmp_path: Path) -> None:
    plan = make_plan(load(write_appliance(tmp_path, {"desk": ((), "")})), PICO)
    assert plan.devices == ()
    assert not plan.enclaves[0].calls >> Call.DEVICE & 1


@pytest.mark.parametrize(
    ("enclaves", "expected"),
    [
        (
            {"a": ["gp15"], "b": ["gp15"]},
            "10: enclave.b.devices[0]: gp15 already belongs to a; give it to one enclave, and let "
            "the others ask that one by a channel",
        ),
        (
            {"a": ["led"], "b": ["gp25"]},
            "10: enclave.b.devices[0]: pin gp25 already belongs to a; give it to one enclave",
        ),
        (
            {"a": ["i2c0"], "b": ["gp9"]},
            "10: enclave.b.devices[0]: pin gp9 already belongs to a with i2c0; "
            "give it to one enclave",
        ),
        (
            {"a": ["gp27"], "b": ["adc0"]},
            "10: enclave.b.devices[0]: pin gp27 already belongs to a; give it to one enclave",
        ),
        (
            {"a": ["gpio0"], "b": ["gp2"]},
            "10: enclave.b.devices[0]: pin gp2 already belongs to a with gpio0; "
            "give it to one enclave",
        ),
        (
            {"a": ["i2c0"], "b": ["spi1"]},
            "10: enclave.b.devices[0]: pin gp8 already belongs to a with i2c0; "
            "give it to one enclave",
        ),
        (
            {"a": ["uart1", "adc0", "spi0"]},
            "6: enclave.a.devices[2]: uart1, adc0, spi0 each need a protection region of their "
            "own; a has 2: give one to another enclave",
        ),
        (
            {"a": ["led", "led"]},
            "6: enclave.a.devices[1]: led stands twice; write it once",
        ),
        (
            {"a": ["gp99"]},
            "6: enclave.a.devices[0]: rpi-pico has no device gp99; did you mean `gp9`?",
        ),
        (
            {"a": ["usb"]},
            "6: enclave.a.devices[0]: usb belongs to a driver of the monitor; declare [sink.usb] "
            'and a channel to = "usb"',
        ),
        (
            {"a": [f"gp{number}" for number in (*range(2, 23), *range(26, 30))]},
            "6: enclave.a.devices: 25 pins and devices with interrupts; 24 is the most of one "
            "enclave",
        ),
    ],
)
def test_what_cannot_be_is_said_with_its_line(
    enclaves: Mapping[str, Sequence[str]], expected: str, tmp_path: Path
) -> None:
    assert refused(tmp_path, enclaves) == expected


def test_everybody_may_have_a_watchdog_and_the_boards_name(tmp_path: Path) -> None:
    both = {"a": (["wdt", "unique_id"], ""), "b": (["wdt", "unique_id"], "")}
    plan = make_plan(load(write_appliance(tmp_path, both)), PICO)
    assert [(row.task, row.kind) for row in plan.devices] == [
        (0, DeviceKind.WATCHDOG),
        (0, DeviceKind.IDENTITY),
        (1, DeviceKind.WATCHDOG),
        (1, DeviceKind.IDENTITY),
    ]


def test_a_converter_that_measures_a_streams_line_is_refused_beside_it(tmp_path: Path) -> None:
    """The pyboard's ADC has the pins of USART2 among its inputs, and no label is asked there."""
    board = boards.load("pyboard-v1.1")
    source = write_appliance(tmp_path / "source", {"a": (["adc0"], "")})
    make_plan(load(source), board)
    with (source / "appliance.toml").open("a") as manifest:
        manifest.write("[sink.usb]\naccepts = []\n")
    with pytest.raises(ApplianceError, match=r"adc0 of .* can measure the line of usb") as no:
        make_plan(load(source), board)
    assert "enclave.a.devices[0]" in no.value.text()
    assert "leave out the sink usb" in no.value.text()
    make_plan(load(source), PICO)
