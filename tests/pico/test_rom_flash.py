# SPDX-License-Identifier: Apache-2.0
"""`coffret flash` on a Pico in BOOTSEL mode: from its own boot ROM to a running appliance."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import boards
from firmware.bundle.folder import Bundle as Built
from flasher import factory, rom
from flasher.bundle import Bundle, read_bundle
from flasher.demo.forgery import strip_signature
from flasher.discovery import Device
from flasher.errors import GoneError, NotServedError, RefusedError
from flasher.messages import ModeRequest, ModeResponse
from flasher.reasons import Reason
from flasher.transports.picoboot import Picoboot
from flasher.transports.usb_link import Bus as UsbBus
from tests.pico.bench import Bench
from tests.transports.emulated_pico import EmulatedPico
from tests.transports.usb_bus import Bus

BOARD = boards.load("rpi-pico")
DEVICE = Device("usb:1-1.1", "pico", "bus", "RP2 Boot", ("rpi-pico",), "rom", "picoboot")
SECRETS = BOARD.flash.secrets.offset


@pytest.fixture
def flash_file(tmp_path: Path) -> Path:
    path = tmp_path / "flash.bin"
    path.write_bytes(b"\xff" * BOARD.flash.size)
    return path


def _flash(bus: Bus, bundle: Bundle, said: list[str] | None = None) -> rom.Flashed:
    heard = [] if said is None else said
    return rom.flash(
        DEVICE,
        bundle,
        heard.append,
        lambda _d, _t: None,
        opener=lambda *_: Picoboot(UsbBus(bus).open("1-1.1")),
    )


def _secret(flash: Path) -> bytes:
    return flash.read_bytes()[SECRETS : SECRETS + factory.SECRET_BYTES]


def test_a_blank_pico_becomes_a_board_and_keeps_its_secret_when_flashed_again(
    bundle: Built, flash_file: Path
) -> None:
    built = read_bundle(bundle.folder)
    said: list[str] = []
    done = _flash(Bus(EmulatedPico(flash_file)), built, said)
    assert (done.slot, done.changed) == ("A", True)
    assert any("a secret of its own" in line for line in said)
    secret = _secret(flash_file)
    assert factory.has_secret(secret)

    bench = Bench(flash_file)  # the same flash, from the boot ROM on
    answer = bench.ask(ModeRequest(query="mode"), ModeResponse)
    assert answer.mode == "application"

    bench.machine.close()
    _into_bootsel(flash_file)
    _flash(Bus(EmulatedPico(flash_file)), built, said)
    assert any("keeps its identity" in line for line in said)
    assert _secret(flash_file) == secret


def _into_bootsel(flash: Path) -> None:
    """What the button does: the ROM does not start what the flash holds."""
    data = bytearray(flash.read_bytes())
    data[0:4] = bytes(4)
    flash.write_bytes(data)


def test_a_flash_cut_anywhere_is_mended_by_the_next(bundle: Built, flash_file: Path) -> None:
    built = read_bundle(bundle.folder)
    bus = Bus(EmulatedPico(flash_file))
    (socket,) = bus.sockets
    for cut in (200, 60_000):
        socket.plug()
        socket.pull_after = cut
        with pytest.raises(GoneError, match="went away during") as gone:
            _flash(bus, built)
        assert gone.value.exit_code == 3
    socket.plug()
    _flash(bus, built)
    boot = bundle.folder / "boot.bin"
    assert flash_file.read_bytes().startswith(boot.read_bytes())


def test_a_wrong_and_an_unsigned_bundle_are_refused_before_anything_is_written(
    bundle: Built, flash_file: Path, tmp_path: Path
) -> None:
    built = read_bundle(bundle.folder)
    before = flash_file.read_bytes()
    bus = Bus(EmulatedPico(flash_file))
    with pytest.raises(NotServedError, match="this is rpi-pico, the bundle is for mps2-an385"):
        _flash(bus, replace(built, board="mps2-an385"))
    folder = tmp_path / "unsigned"
    shutil.copytree(bundle.folder, folder)
    names = json.loads((folder / "bundle.json").read_text())["files"]
    image = folder / names["slot_a"]
    image.write_bytes(strip_signature(image.read_bytes()))
    with pytest.raises(RefusedError, match="not signed") as refused:
        _flash(bus, read_bundle(folder))
    assert (refused.value.exit_code, refused.value.reason) == (1, Reason.NO_SIGNATURE)
    assert flash_file.read_bytes() == before
