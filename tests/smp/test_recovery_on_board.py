# SPDX-License-Identifier: Apache-2.0
"""smpclient as it comes, against recovery on the emulated board."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from smp.image_management import IMG_MGMT_ERR
from smpclient.generics import error_v2, success
from smpclient.requests.os_management import (
    BootloaderInformationRead,
    EchoWrite,
    MCUMgrParametersRead,
)
from smpclient.transport.serial import SMPSerialTransport
from smpclient.transport.serial.encoded import BufferParams, BufferSize

from flasher.virtual import VirtualBoard
from tests.boot.device import Kit, build_kit
from tests.firmware.builds import board
from tests.qemu import needs_qemu
from tests.smp.on_board import (
    client,
    damaged,
    records,
    refused,
    reset,
    states,
    switched_on,
    talk,
    upload,
)

pytestmark = needs_qemu


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return build_kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture
def blank(kit: Kit, tmp_path: Path) -> Iterator[VirtualBoard]:
    """A board from the factory: it has boot and its secret, and no image."""
    with switched_on(tmp_path, kit.boot.elf, None) as running:
        yield running


def test_the_standard_os_group_answers(blank: VirtualBoard) -> None:
    async def ask() -> None:
        async with client(blank) as smp:
            for text in ("hello", "x" * 1900):
                echo = await smp.request(EchoWrite(d=text))
                assert success(echo) and echo.r == text
            parameters = await smp.request(MCUMgrParametersRead())
            assert success(parameters) and parameters.buf_size == 2048
            info = await smp.request(BootloaderInformationRead())
            assert success(info) and info.bootloader == "coffret"
            unknown = await smp.request(BootloaderInformationRead(query="weather"))
            assert error_v2(unknown) and unknown.err.rc == 3

    talk(ask())


@pytest.mark.parametrize("slot", [0, 1])
def test_a_blank_board_takes_an_image_for_either_slot_and_starts_it(
    blank: VirtualBoard, kit: Kit, slot: int
) -> None:
    image = kit.image(slot, "1.2.3")

    async def flash() -> None:
        async with client(blank) as smp:
            assert await states(smp) == {}
            assert await upload(smp, image) == len(image)
            (state,) = (await states(smp)).values()
            assert (state.slot, state.version, state.active) == (slot, "1.2.3", False)

    talk(flash())
    extent = (board().flash.slot_a, board().flash.slot_b)[slot]
    assert blank.flash.read_bytes()[extent.offset : extent.offset + len(image)] == image
    assert records(blank)[1][0] == 255, "no slot is the active one"
    reset(blank, answers=False)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if records(blank)[1][0] == slot:
            return
        time.sleep(0.05)
    pytest.fail("boot did not take the slot as the active one")


@pytest.mark.parametrize(
    "transport",
    [
        SMPSerialTransport(BufferParams(line_length=128, line_buffers=2)),
        SMPSerialTransport(BufferSize(buf_size=2048, line_length=64)),
    ],
    ids=["as smpmgr", "short lines"],
)
def test_other_packet_sizes_upload_the_same(
    blank: VirtualBoard, kit: Kit, transport: SMPSerialTransport
) -> None:
    image = kit.image(0)

    async def flash() -> None:
        async with client(blank, transport) as smp:
            await upload(smp, image)

    talk(flash())
    extent = board().flash.slot_a.offset
    assert blank.flash.read_bytes()[extent : extent + len(image)] == image


def test_what_was_uploaded_is_verified(blank: VirtualBoard, kit: Kit) -> None:
    image = kit.image(0)
    assert refused(blank, damaged(image, 0x300)) == IMG_MGMT_ERR.INVALID_HASH
    assert refused(blank, damaged(image, len(image) - 1)) == IMG_MGMT_ERR.INVALID_TLV
    assert refused(blank, image[:-10]) == IMG_MGMT_ERR.INVALID_TLV
    assert refused(blank, bytes(1000)) == IMG_MGMT_ERR.INVALID_IMAGE_HEADER_MAGIC
    reset(blank)
    talk(upload_once(blank, image))


async def upload_once(virtual: VirtualBoard, image: bytes) -> None:
    async with client(virtual) as smp:
        assert await upload(smp, image) == len(image)
