# SPDX-License-Identifier: Apache-2.0
"""A board's memory map: what coffret keeps where, lowest address first."""

from __future__ import annotations

from dataclasses import dataclass

from boards.model import Board


@dataclass(frozen=True, slots=True)
class Place:
    """An address range and what it is for; bytes."""

    base: int
    size: int
    name: str


def memory_map(board: Board) -> tuple[Place, ...]:
    """Every range that the board's facts name. Ranges of RAM that boot and image share overlap."""
    memory, flash = board.memory, board.flash
    named = {
        "boot": memory.boot,
        "slot A": board.slot(0),
        "slot B": board.slot(1),
        "record store": flash.region(flash.store),
        "device secret": flash.region(flash.secrets),
        "RAM": memory.ram,
        "RAM of boot, wiped before the image starts": memory.boot_ram,
        "handoff from boot to the attester": memory.handoff,
        "state of the Secure world": memory.secure_state,
    }
    places = [Place(r.base, r.size, name) for name, r in named.items() if r is not None]
    places += [Place(d.base, d.size, f"device {name}") for name, d in board.device.items()]
    return tuple(sorted(places, key=lambda place: (place.base, -place.size)))
