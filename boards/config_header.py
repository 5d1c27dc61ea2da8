# SPDX-License-Identifier: Apache-2.0
"""`board_config.h`: a board's facts as the C of boot, monitor and drivers includes them."""

from __future__ import annotations

from collections.abc import Iterator

from boards.memory import Region
from boards.model import Board
from boards.mpu import Access
from boards.regions import region

# Region numbers fixed in docs/internals.md, section Tasks.
_FLASH, _RAM, _SLOT, _SECRETS = 0, 1, 2, 7


def config_header(board: Board) -> str:
    """The text of the header: a function of the board alone."""
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        f"// Made from boards/{board.name}/board.toml. {board.title}.",
        "#ifndef BOARD_CONFIG_H",
        "#define BOARD_CONFIG_H",
        "",
    ]
    for name, value in _defines(board):
        lines.append(f"#define BOARD_{name} {value}" if value else "")
    lines += ["", "#endif", ""]
    return "\n".join(lines)


def _defines(board: Board) -> Iterator[tuple[str, str]]:
    yield "NAME", f'"{board.name}"'
    yield "IMPLEMENTATION_ID", f'"{board.implementation_id.decode()}"'
    yield "CLOCK_HZ", f"{board.clock_hz}u"
    yield "EXTERNAL_INTERRUPTS", f"{board.external_interrupts}u"
    yield "MPU_REGIONS", f"{board.mpu.regions}u"
    for name in ("boot", "ram", "boot_ram", "handoff"):
        area = getattr(board.memory, name)
        yield f"{name.upper()}_BASE", _word(area.base)
        yield f"{name.upper()}_SIZE", _word(area.size)
    yield "BOOT_FIRST_STAGE", _word(board.memory.first_stage)
    # Where boot describes what it starts: read there by the image, or copied for it without keys.
    yield "BOOT_HANDOFF_BASE", _word((board.memory.secure_state or board.memory.handoff).base)
    if board.memory.secure_state is not None:
        yield "SECURE_WORLD", "1"
        yield "SECURE_STATE_BASE", _word(board.memory.secure_state.base)
        yield "SECURE_STATE_SIZE", _word(board.memory.secure_state.size)
    yield from _flash(board)
    yield from _mpu_words(board)
    yield from _devices(board)


def _flash(board: Board) -> Iterator[tuple[str, str]]:
    flash = board.flash
    yield "FLASH_BASE", _word(flash.base)
    yield "FLASH_SIZE", _word(flash.size)
    yield "FLASH_ERASE_SIZE", _word(flash.erase_size)
    rows = ", ".join(f"{{{block.count}u, {_word(block.size)}}}" for block in flash.blocks)
    yield "FLASH_SECTOR_TABLE", rows  # initialisers: how many, of which size
    yield "FLASH_PROGRAM_SIZE", f"{flash.program_size}u"
    yield "SLOT_A_OFFSET", _word(flash.slot_a.offset)
    yield "SLOT_B_OFFSET", _word(flash.slot_b.offset)
    yield "SLOT_SIZE", _word(flash.slot_a.size)
    yield "STORE_OFFSET", _word(flash.store.offset)
    yield "STORE_BANK_SIZE", _word(flash.store.bank_size)
    yield "STORE_BANKS", f"{flash.store.banks}u"
    yield "SECRETS_OFFSET", _word(flash.secrets.offset)
    yield "SECRETS_SIZE", _word(flash.secrets.size)


def _mpu_words(board: Board) -> Iterator[tuple[str, str]]:
    """The regions every image of the board shares; those of a task come from its tables."""
    flash = board.mpu.flash or Region(base=board.flash.base, size=board.flash.size)
    ram = board.mpu.ram or board.memory.ram
    slots = (("SLOT_A", board.slot(0)), ("SLOT_B", board.slot(1)))
    if board.mpu.flavour == "pmsav8":
        # Regions may not overlap: the core makes the rest from these and the tables.
        for name, slot in slots:
            for suffix, access in (("", Access.CODE), ("_CLOSED", Access.PRIVILEGED_FLASH)):
                words = region(board.mpu, _SLOT, slot.base, slot.size, access)
                yield f"MPU_{name}{suffix}_RBAR", _word(words.rbar)
                yield f"MPU_{name}{suffix}_RLAR", _word(words.attributes)
        return
    secrets = board.flash.region(board.flash.secrets)
    shared = (
        ("FLASH", _FLASH, flash.base, flash.size, Access.PRIVILEGED_FLASH),
        ("RAM", _RAM, ram.base, ram.size, Access.PRIVILEGED_RAM),
        *((name, _SLOT, slot.base, slot.size, Access.CODE) for name, slot in slots),
        ("SECRETS", _SECRETS, secrets.base, secrets.size, Access.NONE),
        # Boot's own, before the first image: read and written, not executed.
        *(
            (f"{name}_CLOSED", number, slot.base, slot.size, Access.PRIVILEGED_FLASH)
            for number, (name, slot) in enumerate(slots)
        ),
    )
    for name, number, base, size, access in shared:
        words = region(board.mpu, number, base, size, access)
        yield f"MPU_{name}_RBAR", _word(words.rbar)
        yield f"MPU_{name}_RASR", _word(words.attributes)


def _devices(board: Board) -> Iterator[tuple[str, str]]:
    port = board.management
    yield "PORT_BASE", _word(port.base)
    yield "PORT_IRQ_RX", f"{port.irq_rx}u"
    yield "PORT_IRQ_TX", f"{port.irq_tx}u"
    yield "PORT_BAUD", f"{port.baud}u"
    yield "TIME_BASE", _word(board.time_base.base)
    yield "TICKS_PER_US", f"{board.time_base.hz // 1_000_000}u"
    yield "TIME_WRAP_US", f"{(1 << 32) * 1_000_000 // board.time_base.hz}u"
    yield "TRIAL_MS", f"{board.watchdog.trial_ms if board.watchdog else 0}u"
    if board.watchdog is not None:
        yield "WATCHDOG_BASE", _word(board.watchdog.base)
        if board.watchdog.secure:
            yield "WATCHDOG_SECURE", "1"
    if board.system_controller is not None:
        yield "SYSTEM_CONTROLLER_BASE", _word(board.system_controller.base)
    for usb_id in board.host.usb_ids_of("application")[:1]:
        yield "USB_VENDOR", f"0x{usb_id.vendor:04X}u"
        yield "USB_PRODUCT", f"0x{usb_id.product:04X}u"
    for device in board.device.values():
        if device.temperature is not None:
            yield "ADC_TEMPERATURE", f"{device.temperature}u"
    yield "STREAMS", f"{len(board.stream)}u"
    # One initialiser a stream: base, receive interrupt, transmit interrupt.
    rows = ", ".join(f"{{{_word(s.base)}, {s.irq_rx}u, {s.irq_tx}u}}" for s in board.stream)
    yield "STREAM_TABLE", rows


def _word(value: int) -> str:
    return f"0x{value:08X}u"
