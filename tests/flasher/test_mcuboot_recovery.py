# SPDX-License-Identifier: Apache-2.0
"""Our client and our virtual board against somebody else's server: MCUboot's serial recovery.

The images come from smpclient's source distribution, fetched with pip when the test runs.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import boards
from firmware.compiler.object_cache import user_cache
from flasher.bundle import parse_image
from flasher.errors import RefusedError
from flasher.smp import Board, wait_for
from flasher.virtual import FLASH_FILE, VirtualBoard, make_flash

pytestmark = [pytest.mark.all, pytest.mark.usefixtures("runtime")]

_IMAGE = "zephyr_4.4.0_smp_server_0eae053d_mps2_an385_serial_recovery_buf2048"
_SLOT = 0x20050000


@pytest.fixture(scope="session")
def servers() -> Path:
    """The folder of smpclient's test servers, from the cache or by pip."""
    release = f"smpclient-{version('smpclient')}"
    cache = user_cache() / "tests"
    folder = cache / release / "tests" / "fixtures" / "smp-server"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        wanted = ["--no-binary", ":all:", release.replace("-", "==", 1)]
        subprocess.run([*pip, *wanted, "--dest", str(cache)], check=True)
        with tarfile.open(cache / f"{release}.tar.gz") as archive:
            archive.extractall(cache, filter="data")
    return folder


@pytest.fixture
def mcuboot(servers: Path, tmp_path: Path) -> Iterator[tuple[VirtualBoard, bytes]]:
    """A running board with MCUboot and Zephyr's SMP server, and its image."""
    plain = boards.load("mps2-an385")
    assert plain.emulator is not None
    image = servers / f"{_IMAGE}.signed.bin"
    kernel = plain.emulator.arguments.index("-kernel")
    loaders = ("-device", "loader,file={boot}", "-device", f"loader,file={image},addr={_SLOT:#x}")
    arguments = plain.emulator.arguments[:kernel] + loaders + plain.emulator.arguments[kernel + 2 :]
    emulator = plain.emulator.model_copy(update={"arguments": arguments})
    board = plain.model_copy(update={"emulator": emulator})
    make_flash(board, tmp_path / FLASH_FILE, None)
    with VirtualBoard(board, servers / f"{_IMAGE}.hex", tmp_path) as running:
        yield running, image.read_bytes()


def test_zephyrs_server_is_understood(mcuboot: tuple[VirtualBoard, bytes]) -> None:
    virtual, image = mcuboot
    with Board.open(virtual.port) as board:
        assert board.echo("hello") == "hello"
        (slot,) = board.images()
        assert slot.active
        assert slot.digest == parse_image(image).digest
        with pytest.raises(RefusedError):
            board.mode()


def test_an_upload_to_mcuboots_recovery_arrives(mcuboot: tuple[VirtualBoard, bytes]) -> None:
    virtual, image = mcuboot
    with Board.open(virtual.port) as board:
        board.reset(into_recovery=True)
    time.sleep(1)
    wait_for(virtual.port, 60, lambda board: board.images())
    with Board.open(virtual.port) as board:
        board.upload(image)
        (slot,) = board.images()
    assert slot.digest == parse_image(image).digest
