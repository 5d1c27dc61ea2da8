# SPDX-License-Identifier: Apache-2.0
"""A board's memories: flash with its parts, RAM, and the unit that protects them."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from boards.facts import Address, Facts, Size


class Region(Facts):
    """An address range; bytes."""

    base: Address
    size: Size

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.base + self.size

    def contains(self, other: Region) -> bool:
        """Whether `other` lies wholly inside."""
        return self.base <= other.base and other.end <= self.end


class Extent(Facts):
    """A part of the flash: offset from its base, bytes."""

    offset: Address
    size: Size


class StoreExtent(Facts):
    """The record store: equal banks one behind the other."""

    offset: Address
    bank_size: Size
    banks: Annotated[int, Field(ge=2, le=8)]

    @property
    def size(self) -> int:
        return self.bank_size * self.banks


class Sectors(Facts):
    """Equal erase blocks one behind the other; bytes."""

    count: Annotated[int, Field(ge=1, le=0x1_0000)]
    size: Size


class Flash(Facts):
    """Non-volatile memory that is read in place; `erase_size` and `program_size` in bytes.

    `erase_size` is the erase block of the slots. Where the flash has blocks of several sizes,
    `sectors` lists them all from its base.
    """

    base: Address
    size: Size
    erase_size: Size
    program_size: Size
    erased: Literal[0xFF]
    sectors: tuple[Sectors, ...] = ()
    slot_a: Extent
    slot_b: Extent
    store: StoreExtent
    secrets: Extent

    def region(self, extent: Extent | StoreExtent) -> Region:
        """The addresses of a part."""
        return Region(base=self.base + extent.offset, size=extent.size)

    @property
    def blocks(self) -> tuple[Sectors, ...]:
        """Its erase blocks, from its base."""
        equal = Sectors(count=self.size // self.erase_size, size=self.erase_size)
        return self.sectors or (equal,)

    def borders(self) -> frozenset[int]:
        """Offsets where an erase block begins or ends."""
        sizes = [block.size for block in self.blocks for _ in range(block.count)]
        return frozenset(itertools.accumulate(sizes, initial=0))

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.erase_size % self.program_size or self.program_size & (self.program_size - 1):
            raise ValueError("flash.program_size is a power of two that divides flash.erase_size")
        parts = {name: getattr(self, name) for name in ("slot_a", "slot_b", "store", "secrets")}
        borders = self.borders()
        if max(borders) != self.size:
            raise ValueError("flash.sectors, or flash.erase_size, do not add up to flash.size")
        for name, part in parts.items():
            if part.offset + part.size > self.size:
                raise ValueError(f"flash.{name} ends behind the flash")
            step = {"store": self.store.bank_size}.get(name, self.erase_size)
            units = range(part.offset, part.offset + part.size, step)
            ends = {part.offset, part.offset + part.size}
            if not borders >= (ends if name == "secrets" else ends | set(units)):
                raise ValueError(f"flash.{name} is not made of whole erase blocks")
        ordered = sorted(parts.items(), key=lambda item: item[1].offset)
        for (low, one), (high, two) in itertools.pairwise(ordered):
            if one.offset + one.size > two.offset:
                raise ValueError(f"flash.{low} and flash.{high} overlap")
        if self.slot_a.size != self.slot_b.size:
            raise ValueError("flash.slot_a and flash.slot_b differ in size")
        return self


class Memory(Facts):
    """Memories and what boot keeps in them.

    `ram` is the image's. Boot uses a part of it before the image runs; where there is a Secure
    world, `boot_ram` is that world's own, and `secure_state` what it keeps while the image runs.
    `first_stage`: bytes at boot's base that the part's ROM loads by its own rules, in front of
    boot's vector table. `main_stack`: of the monitor, in bytes; what it needs is shown by
    tests/monitor/test_stack.py.
    """

    boot: Region
    first_stage: Annotated[int, Field(ge=0, multiple_of=0x100)] = 0
    ram: Region
    boot_ram: Region
    handoff: Region
    secure_state: Region | None = None
    main_stack: Annotated[int, Field(ge=512, multiple_of=8)] = 1024

    @model_validator(mode="after")
    def _inside_ram(self) -> Self:
        if not self.ram.contains(self.handoff):
            raise ValueError("memory.handoff is not inside memory.ram")
        if self.secure_state is not None:
            return self._apart(self.secure_state)
        if not self.ram.contains(self.boot_ram):
            raise ValueError("memory.boot_ram is not inside memory.ram")
        if self.boot_ram.end > self.handoff.base:
            raise ValueError("memory.boot_ram reaches into memory.handoff")
        return self

    def _apart(self, secure_state: Region) -> Self:
        areas = [("ram", self.ram), ("boot_ram", self.boot_ram), ("secure_state", secure_state)]
        areas.sort(key=lambda item: item[1].base)
        for (low, one), (high, two) in itertools.pairwise(areas):
            if one.end > two.base:
                raise ValueError(f"memory.{low} and memory.{high} overlap")
        return self


class Mpu(Facts):
    """`flash` and `ram`: what the monitor's own regions cover, where a memory answers at more
    addresses than its own; else the memory itself.
    """

    flavour: Literal["pmsav6", "pmsav7", "pmsav8"]
    regions: Annotated[int, Field(ge=8, le=16)]
    flash: Region | None = None
    ram: Region | None = None
