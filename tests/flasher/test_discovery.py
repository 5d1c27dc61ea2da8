# SPDX-License-Identifier: Apache-2.0
"""Discovery: boards are found by what they show, keep their names, and say what is in the way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import boards
from boards.errors import CoffretError
from flasher import ports
from flasher.discovery import Device, Sources, find, udev
from flasher.discovery.doctor import examine
from flasher.discovery.watching import changes, line
from flasher.errors import NoPortError, NotServedError
from flasher.rom import require
from flasher.transports.usb_link import UsbFacts

PICO = boards.load("rpi-pico")


def _port(device: str, serial: str | None, place: str, **more: Any) -> SimpleNamespace:
    facts = {"vid": 0x1209, "pid": 0x0001, "interface": None, "description": "coffret"}
    return SimpleNamespace(
        device=device,
        name=Path(device).name,
        serial_number=serial,
        location=place,
        **{**facts, **more},
    )


def _sources(
    *ports: SimpleNamespace,
    usb: tuple[UsbFacts, ...] = (),
    drives: tuple[tuple[Path, dict[str, str]], ...] = (),
) -> Sources:
    return Sources(
        virtual=lambda: (), serial_ports=lambda: ports, usb=lambda: usb, drives=lambda: drives
    )


@pytest.fixture
def terminal(tmp_path: Path) -> str:
    path = tmp_path / "ttyACM0"
    path.touch()
    return str(path)


def test_a_board_is_known_by_its_usb_id_and_named_by_its_serial_number(terminal: str) -> None:
    (found,) = find(_sources(_port(terminal, "E0C91200A4A1", "1-2")))
    assert (found.name, found.boards) == ("rpi-pico-e0c91200a4a1", ("rpi-pico",))
    assert (found.transport, found.mode, found.ready) == ("smp-serial", "unknown", True)
    # Plugged in elsewhere, at another port: the same name.
    (again,) = find(_sources(_port(terminal, "E0C91200A4A1", "3-1.4")))
    assert again.name == found.name


def test_the_second_serial_port_of_a_board_is_not_another_board(terminal: str) -> None:
    both = (_port(terminal, "1", "1-2"), _port(terminal, "1", "1-2", interface="stream"))
    assert len(find(_sources(*both))) == 1


def test_strangers_are_listed_and_not_taken_for_ours(terminal: str) -> None:
    (found,) = find(_sources(_port(terminal, "x", "1-2", vid=0x10C4, pid=0xEA60)))
    assert not found.known
    assert found.name.startswith("unknown-")


def test_a_rom_boot_loader_its_drive_and_a_forbidden_one_are_told_apart(tmp_path: Path) -> None:
    rom = UsbFacts(0x2E8A, 0x0003, "1-2", "RP2 Boot", "E0C9", True)
    drive = (tmp_path, {"Model": "Raspberry Pi RP2", "Board-ID": "RPI-RP2"})
    bus, mounted = find(_sources(usb=(rom,), drives=(drive,)))
    assert (bus.path, bus.mode, bus.transport) == ("usb:1-2", "rom", "picoboot")
    assert (mounted.path, mounted.mode, mounted.transport) == (str(tmp_path), "rom", "uf2")
    # One board: the faster way is the one that is meant.
    assert ports.device(None, [bus, mounted]) == bus
    closed = UsbFacts(0x2E8A, 0x0003, "1-2", "", None, False)
    (bus,) = find(_sources(usb=(closed,)))
    assert not bus.ready
    assert "coffret udev --install" in str(bus.mend)
    with pytest.raises(NotServedError, match="cannot be used yet") as refused:
        require(bus, PICO, "picoboot")
    assert "coffret udev --install" in refused.value.mend


def test_two_boards_with_one_serial_number_are_told_apart_by_their_place(terminal: str) -> None:
    twins = (_port(terminal, "0001", "1-2"), _port(terminal + "b", "0001", "1-3"))
    Path(terminal + "b").touch()
    found = find(_sources(*twins))
    assert len({device.name for device in found}) == 2
    with pytest.raises(NoPortError, match="2 boards have the serial number 0001") as twice:
        ports.choose("0001", found)
    assert (twice.value.exit_code, "1-2" in twice.value.message) == (3, True)
    assert ports.choose(found[1].name, found) == found[1].path
    findings = [f for f in examine(_sources(*twins)) if f.subject.startswith("rpi-pico")]
    assert [f.ok for f in findings] == [False, False]
    assert all("serial number 0001" in f.says for f in findings)


def test_no_board_and_several_are_one_line_each(terminal: str) -> None:
    with pytest.raises(NoPortError, match="there is no board"):
        ports.choose(None, ())
    two = find(_sources(_port(terminal, "1", "1-2"), _port(terminal, "2", "1-3")))
    with pytest.raises(NoPortError, match="several boards: rpi-pico-1") as several:
        ports.choose(None, two)
    assert several.value.mend == "say which with --port"


def test_a_transport_that_cannot_serve_a_board_says_why() -> None:
    device = Device("x", "x", "usb", "", ("mps2-an385",), "unknown", "smp-serial")
    with pytest.raises(NotServedError, match="this is mps2-an385, the bundle is for rpi-pico"):
        require(device, PICO, "picoboot")
    stranger = Device("x", "x", "usb", "", (), "unknown", "smp-serial")
    with pytest.raises(NotServedError, match="cannot be flashed by dfu: it is reached by") as dfu:
        require(stranger, PICO, "dfu")
    assert "BOOTSEL" in dfu.value.mend


def test_what_comes_and_goes_is_told_once() -> None:
    one = Device("/dev/a", "a", "usb", "", (), "unknown", None)
    two = Device("/dev/b", "b", "usb", "", (), "unknown", None)
    changed = Device("/dev/a", "a", "usb", "", (), "unknown", None, mend="permission")
    rounds = [(), (one,), (one, two), (changed, two), (two,), (two,)]
    told = [(event, device.name) for event, device in changes(rounds)]
    assert told == [("came", "a"), ("came", "b"), ("changed", "a"), ("went", "a")]
    assert "not ready: permission" in line(changed)


def test_a_port_in_use_is_named_with_its_user(terminal: str) -> None:
    holder = [
        sys.executable,
        "-c",
        f"import time; f = open({terminal!r}); print(1, flush=True); time.sleep(60)",
    ]
    with subprocess.Popen(holder, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        findings = examine(_sources(_port(terminal, "1", "1-2")))
        process.kill()
    (found,) = [f for f in findings if f.subject == "rpi-pico-1"]
    assert not found.ok
    assert f"({process.pid})" in found.says
    assert found.mend


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_no_permission_for_a_port_is_one_line_with_its_mend(tmp_path: Path) -> None:
    port = tmp_path / "ttyACM0"
    port.touch(0o600)
    found = _sources(_port(str(port), "1", "1-2"))
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            tmp_path.chmod(0o755)
            os.setresuid(65534, 65534, 65534)
            (device,) = find(found)
            code = 0 if device.mend and "udev --install" in device.mend else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_udev_rules_name_every_usb_id_and_are_whole_or_not_there(tmp_path: Path) -> None:
    text = udev.rules()
    for name in boards.names():
        for usb_id in boards.load(name).host.usb_ids:
            assert f'=="{usb_id.vendor:04x}", ATTRS{{idProduct}}=="{usb_id.product:04x}"' in text
    path = tmp_path / "rules.d" / "70-coffret.rules"
    assert not udev.installed(path)
    udev.install(path)
    assert udev.installed(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.write_text("an older version\n")
    assert not udev.installed(path)
    (tmp_path / "file").touch()
    with pytest.raises(CoffretError, match="not installed") as failed:
        udev.install(tmp_path / "file" / "70-coffret.rules")
    assert failed.value.exit_code == 3
    assert "sudo" in failed.value.mend
