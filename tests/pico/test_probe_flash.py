# SPDX-License-Identifier: Apache-2.0
"""`coffret flash` through a debug probe: from a Pico out of the box to one that answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("pyocd")

import libusb_package

import boards
from firmware.bundle.folder import Bundle
from flasher import factory
from flasher.cli import flash as verb
from flasher.messages import IdentityRequest, IdentityResponse
from tests.pico.bench import Bench
from tests.transports.debugged_pico import DebuggedPico
from tests.transports.simulated_probe import SimulatedProbe
from tests.transports.usb_bus import Bus

BOARD = boards.load("rpi-pico")


def _flash(bundle: Bundle, flash: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    pico = DebuggedPico(flash)
    pico.run(0.05)  # it runs what it has, its ROM's boot loader at least
    bus = Bus(SimulatedProbe(pico.port, packet=512))
    monkeypatch.setattr(libusb_package, "get_libusb1_backend", lambda: bus)
    words = [str(bundle.folder), "--transport", "cmsis-dap", "--json"]
    done = CliRunner().invoke(verb, words)
    pico.machine.close()
    return done


def _secret(flash: Path) -> bytes:
    at = BOARD.flash.secrets.offset
    return flash.read_bytes()[at : at + factory.SECRET_BYTES]


def test_a_new_board_gets_a_secret_starts_and_keeps_both_when_it_is_flashed_again(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    flash = tmp_path / "flash.bin"
    flash.write_bytes(b"\xff" * BOARD.flash.size)
    first = _flash(bundle, flash, monkeypatch)
    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout)["digest"] == bundle.facts.digests.image_a
    assert "a new board: it gets a secret of its own" in first.stderr
    secret = _secret(flash)
    assert factory.has_secret(secret)
    bench = Bench(flash)
    identity = bench.ask(IdentityRequest(), IdentityResponse).id
    bench.machine.close()

    second = _flash(bundle, flash, monkeypatch)
    assert second.exit_code == 0, second.output
    assert "the board keeps its identity" in second.stderr
    assert _secret(flash) == secret
    bench = Bench(flash)
    assert bench.ask(IdentityRequest(), IdentityResponse).id == identity
    bench.machine.close()
