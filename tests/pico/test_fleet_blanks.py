# SPDX-License-Identifier: Apache-2.0
"""`coffret fleet provision` with Picos out of the box: boot ROMs on one USB bus, no identities."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import boards
from firmware.bundle.folder import Bundle as Built
from flasher import board_secrets, discovery, factory, rom
from flasher.discovery import Device, Sources
from flasher.errors import NoPermissionError
from flasher.flash import Flashed
from flasher.fleet import blanks
from flasher.fleet.bundles import read
from flasher.fleet.cli import fleet
from flasher.fleet.config import FleetFile, FleetFileError, load
from flasher.messages import IdentityRequest, IdentityResponse
from flasher.transports.picoboot import Picoboot
from flasher.transports.usb_link import Bus as UsbBus
from tests.pico.bench import Bench
from tests.transports.emulated_pico import EmulatedPico
from tests.transports.usb_bus import Bus

BOARD = boards.load("rpi-pico")


def _fleet(folder: Path, bundle: Path, *groups: str) -> FleetFile:
    text = '[fleet]\nname = "homes"\n' + "".join(
        f'[group.{name}]\nbundle = "{bundle}"\nmatch = "*"\n' for name in groups
    )
    (folder / "fleet.toml").write_text(text)
    return load(folder / "fleet.toml")


def _out_of_the_box(folder: Path, count: int) -> tuple[Bus, list[EmulatedPico]]:
    picos = []
    for number in range(count):
        flash = folder / f"flash{number}.bin"
        flash.write_bytes(b"\xff" * BOARD.flash.size)
        picos.append(EmulatedPico(flash))
    return Bus(*picos), picos


def _found(bus: Bus) -> tuple[Device, ...]:
    usb = UsbBus(bus).devices
    return discovery.find(
        Sources(virtual=lambda: (), serial_ports=lambda: (), usb=usb, drives=lambda: ())
    )


def _writer(bus: Bus) -> blanks.Write:
    def opener(device: Device, *_: object) -> Picoboot:
        return Picoboot(UsbBus(bus).open(device.path.removeprefix("usb:")))

    return blanks.writer(board_secrets.fresh, opener)


def test_new_boards_get_boot_their_image_and_each_a_secret(bundle: Built, tmp_path: Path) -> None:
    file = _fleet(tmp_path, bundle.folder, "kitchen")
    bundles = {"kitchen": read(bundle.folder)}
    bus, picos = _out_of_the_box(tmp_path, 3)
    bus.sockets[1].forbidden = True  # and one that the others must not wait for
    found = blanks.find(file, bundles, _found(bus))
    assert [blank.group for blank in found] == ["kitchen"] * 3
    said: list[str] = []
    ended = blanks.write(found, bundles, 2, said.append, _writer(bus))
    assert [why is None for why in ended.values()] == [True, False, True]
    assert any("coffret udev --install" in line for line in said)
    secrets = set()
    for pico in (picos[0], picos[2]):
        pico.machine.close()
        at = BOARD.flash.secrets.offset
        secret = pico.flash.read_bytes()[at : at + factory.SECRET_BYTES]
        assert factory.has_secret(secret)
        secrets.add(secret)
        bench = Bench(pico.flash)
        answer = bench.ask(IdentityRequest(), IdentityResponse, bench.usb[0])
        assert bench.host.texts[4] == answer.id[1:9].hex()
        bench.machine.close()
    assert len(secrets) == 2
    assert set(picos[1].flash.read_bytes()) == {0xFF}


def test_a_new_board_that_two_groups_could_have_is_nobodys(bundle: Built, tmp_path: Path) -> None:
    file = _fleet(tmp_path, bundle.folder, "hall", "kitchen")
    bundles = dict.fromkeys(("hall", "kitchen"), read(bundle.folder))
    bus, _ = _out_of_the_box(tmp_path, 1)
    with pytest.raises(FleetFileError, match="could be of hall or kitchen") as refused:
        blanks.find(file, bundles, _found(bus))
    assert refused.value.exit_code == 2
    assert "fleet.toml:" in str(refused.value)


def test_boards_of_a_csv_file_and_drives_are_left_alone(bundle: Built, tmp_path: Path) -> None:
    (tmp_path / "k.csv").write_text("serial\n1\n")
    text = f'[fleet]\nname = "homes"\n[group.k]\nbundle = "{bundle.folder}"\nunits = "k.csv"\n'
    (tmp_path / "fleet.toml").write_text(text)
    bus, _ = _out_of_the_box(tmp_path, 1)
    assert not blanks.find(load(tmp_path / "fleet.toml"), {"k": read(bundle.folder)}, _found(bus))
    drive = Device("d", "d", "drive", "", ("rpi-pico",), "rom", "uf2")
    file = _fleet(tmp_path, bundle.folder, "kitchen")
    assert not blanks.find(file, {"kitchen": read(bundle.folder)}, (drive,))


def test_the_command_says_what_it_could_not_write_and_that_not_all_is_well(
    bundle: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dbos")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    _fleet(tmp_path, bundle.folder, "kitchen")
    device = Device("usb:1-1", "rpi-pico-1-1", "bus", "", ("rpi-pico",), "rom", "picoboot")
    monkeypatch.setattr(discovery, "find", lambda: (device,))

    def refused(*_: object, **_more: object) -> Flashed:
        raise NoPermissionError("usb:1-1")

    monkeypatch.setattr(rom, "flash", refused)
    words = ["provision", str(tmp_path / "fleet.toml"), "--json", "--wait", "0"]
    words += ["--database", str(tmp_path / "i.sqlite"), "--keys", str(tmp_path / "keys")]
    done = CliRunner().invoke(fleet, words)
    assert done.exit_code == 1, done.output
    assert "permission denied" in json.loads(done.stdout)["failed"]["rpi-pico-1-1"]
