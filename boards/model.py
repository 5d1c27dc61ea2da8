# SPDX-License-Identifier: Apache-2.0
"""What a board is: the model of `boards/<name>/board.toml`, checked as a whole."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from boards.devices import SHARED_DEVICES, Device, Pins
from boards.errors import USAGE, CoffretError
from boards.facts import Address, Facts, Identifier, Size
from boards.transports import TransportName

ROOT = Path(__file__).parent


class BoardError(CoffretError):
    """A board is unknown, or its `board.toml` is wrong; names the file and the key."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message, mend, USAGE)


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
    boot's vector table.
    """

    boot: Region
    first_stage: Annotated[int, Field(ge=0, multiple_of=0x100)] = 0
    ram: Region
    boot_ram: Region
    handoff: Region
    secure_state: Region | None = None

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
        for (low, one), (high, two) in pairwise(areas):
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


class Management(Facts):
    """The UART that speaks SMP."""

    base: Address
    irq_rx: int
    irq_tx: int
    baud: int


class Timer(Facts):
    """A free-running counter of 32 bits, `hz` a second: whole megahertz."""

    base: Address
    irq: int
    hz: Annotated[int, Field(ge=1_000_000, multiple_of=1_000_000)]


class Watchdog(Facts):
    base: Address


class SystemController(Facts):
    """Where the part tells why it was reset."""

    base: Address


class Stream(Facts):
    """A byte link behind a driver of the monitor; a sink names it by `number`."""

    number: Annotated[int, Field(ge=0, le=7)]
    name: Identifier
    says: str
    base: Address
    irq_rx: int
    irq_tx: int


class Security(Facts):
    """Where the identity's secret lives; `root` becomes a part of the implementation id."""

    root: Literal["flash", "otp", "secure-world"]
    note: str


class UsbId(Facts):
    """A USB device that the board shows itself as, and what answers there.

    `mode`: coffret's own firmware (`application`, which its recovery shares), a boot loader in the
    part's ROM (`rom`), or a debug probe on the board (`probe`).
    """

    vendor: Annotated[int, Field(ge=0, le=0xFFFF)]
    product: Annotated[int, Field(ge=0, le=0xFFFF)]
    says: str
    mode: Literal["application", "rom", "probe"] = "application"


class Host(Facts):
    """How a computer reaches the board: `transports`, the one to prefer first.

    `uf2_family` and `uf2_label` (of the USB drive) go with `uf2`, `probe_target` (pyOCD's name of
    the part) with `cmsis-dap`. `button`: how a person gets the board into its ROM boot loader.
    """

    transports: tuple[TransportName, ...]
    usb_ids: tuple[UsbId, ...] = ()
    uf2_family: Annotated[int, Field(ge=0, le=0xFFFF_FFFF)] | None = None
    uf2_label: Annotated[str, Field(pattern=r"^[!-~]{1,11}$")] | None = None
    probe_target: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")] | None = None
    button: str | None = None
    stubs: str | None = None  # PyPI package of MicroPython type stubs, where there is one

    @model_validator(mode="after")
    def _facts_of_transports(self) -> Self:
        if ("uf2" in self.transports) != (self.uf2_family is not None):
            raise ValueError("host.uf2_family and the transport uf2 go together")
        if self.uf2_label is not None and self.uf2_family is None:
            raise ValueError("host.uf2_label without host.uf2_family")
        if ("cmsis-dap" in self.transports) != (self.probe_target is not None):
            raise ValueError("host.probe_target and the transport cmsis-dap go together")
        if len(set(self.transports)) != len(self.transports):
            raise ValueError("host.transports names one twice")
        if "dfu" in self.transports and not self.usb_ids_of("rom"):
            raise ValueError("host.usb_ids: the transport dfu needs one of mode rom")
        return self

    def usb_ids_of(self, mode: str) -> tuple[UsbId, ...]:
        """The USB ids of one mode, in their order."""
        return tuple(usb_id for usb_id in self.usb_ids if usb_id.mode == mode)


class Emulator(Facts):
    """How to run without the board. Arguments hold `{boot}`, `{flash}`, `{port}`, `{stream0}`, ...

    `program` is on the PATH, or `python`: a module for the Python that asks, which needs the
    `packages` and `programs` named. `further` names lines beside the management port and the
    streams, which the arguments hold too. `says` names what runs, for people.
    """

    says: str
    program: str
    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    minimum: str
    arguments: tuple[str, ...]
    further: tuple[Identifier, ...] = ()

    @property
    def in_python(self) -> bool:
        """Whether it is a module, not a program; its lines are then numbers of open sockets."""
        return self.program == "python"

    def command(self, **values: str) -> tuple[str, ...]:
        """The command line with its placeholders filled. KeyError names one that was forgotten."""
        # The flash stands inside an option's list: QEMU wants a comma of its name doubled there.
        if "flash" in values and not self.in_python:
            values["flash"] = values["flash"].replace(",", ",,")
        return (self.program, *(argument.format_map(values) for argument in self.arguments))


class Board(Facts):
    """One board. `name` is its folder's name.

    `not_shown`: what nothing that runs here can show of it, in words for its operators.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,31}$")]
    title: str
    core: Literal["cortex_m0plus", "cortex_m3", "cortex_m4", "cortex_m33"]
    architecture: Literal["armv6m", "armv7m", "armv8m"]
    family: Identifier
    clock_hz: Annotated[int, Field(gt=0)]
    source: str
    external_interrupts: Annotated[int, Field(gt=0, le=496)]
    mpu: Mpu
    memory: Memory
    flash: Flash
    security: Security
    management: Management
    time_base: Timer
    watchdog: Watchdog | None = None
    system_controller: SystemController | None = None
    stream: tuple[Stream, ...] = ()
    device: dict[Identifier, Device] = Field(default_factory=dict)
    pins: Pins = Pins()
    host: Host
    emulator: Emulator | None = None
    not_shown: Annotated[tuple[str, ...], Field(min_length=1)]

    @property
    def run_on(self) -> str:
        """Where it was run."""
        return "built, not run" if self.emulator is None else self.emulator.says

    @model_validator(mode="after")
    def _numbers_and_names(self) -> Self:
        if [stream.number for stream in self.stream] != list(range(len(self.stream))):
            raise ValueError("stream numbers do not count up from 0")
        names = [stream.name for stream in self.stream] + list(self.device)
        names += [*self.pins.by_name, *SHARED_DEVICES]
        if len(set(names)) != len(names):
            raise ValueError("two of the streams, devices and pins share a name")
        if len(self.implementation_id) > 32:
            raise ValueError("name and security.root make an implementation id over 32 bytes")
        if self.boot_in_flash:
            parts = ("slot_a", "slot_b", "store", "secrets")
            for part in parts:
                place = self.flash.region(getattr(self.flash, part))
                if place.base < self.memory.boot.end and self.memory.boot.base < place.end:
                    raise ValueError(f"flash.{part} and memory.boot overlap")
        if (self.security.root == "secure-world") != self.secure_world:
            raise ValueError("security.root secure-world and memory.secure_state go together")
        return self

    @property
    def secure_world(self) -> bool:
        """Whether boot and the keys live in a world of their own, behind gateways."""
        return self.memory.secure_state is not None

    @property
    def boot_in_flash(self) -> bool:
        """Whether boot lies in the flash of the slots: whoever fills that writes it too."""
        flash = Region(base=self.flash.base, size=self.flash.size)
        return flash.contains(self.memory.boot)

    @property
    def implementation_id(self) -> bytes:
        """Claim 2396 of the board's evidence, without its NUL padding."""
        return f"coffret/{self.name}/{self.security.root}".encode()

    @property
    def directory(self) -> Path:
        """The board's own folder."""
        return ROOT / self.name

    @property
    def include_directories(self) -> tuple[Path, ...]:
        """Where the C of the board's core and family has its headers; the first found counts."""
        kinds = (("cores", self.architecture), ("families", self.family))
        return tuple(ROOT / kind / name for kind, own in kinds for name in (own, "common"))

    @property
    def boot_sources(self) -> tuple[Path, ...]:
        """What boot compiles of the core, the family and the board; the start comes first."""
        ours = [path for path in self._sources() if not _of_image(path)]
        return tuple(sorted(ours, key=lambda path: path.name != "boot_start.c"))

    @property
    def image_sources(self) -> tuple[Path, ...]:
        """The C of the core, the family and the board that the image compiles."""
        return tuple(path for path in self._sources() if not self._of_boot(path))

    @property
    def vm_sources(self) -> tuple[Path, ...]:
        """The drivers that enclaves run themselves: vm_NAME.c, unprivileged, part of the VM."""
        return tuple(path for path in self._files() if _of_vm(path))

    def _sources(self) -> Iterator[Path]:
        return (path for path in self._files() if not _of_vm(path))

    def _files(self) -> Iterator[Path]:
        """A core's or family's file stands in for the one of that name that they share."""
        folders = (*self.include_directories, self.directory)
        own = {path.name for f in folders if f.name != "common" for path in _c_files(f)}
        for folder in folders:
            shared = folder.name == "common"
            yield from (path for path in _c_files(folder) if not (shared and path.name in own))

    def _of_boot(self, path: Path) -> bool:
        # boot_NAME.c, and drivers without interrupts: NAME_polled.c. Of a Secure world, flash too.
        flash = self.secure_world and path.stem.endswith("_flash")
        return flash or path.stem.startswith("boot_") or path.stem.endswith("_polled")

    def slot(self, number: int) -> Region:
        """Slot 0 (A) or 1 (B)."""
        return self.flash.region((self.flash.slot_a, self.flash.slot_b)[number])

    def config_header(self) -> str:
        """The text of `board_config.h`; see `boards/config_header.py`."""
        from boards.config_header import config_header  # noqa: PLC0415 - it imports this module

        return config_header(self)


def _c_files(folder: Path) -> tuple[Path, ...]:
    return tuple(path for path in sorted(folder.iterdir()) if path.suffix in (".c", ".S"))


def _of_image(path: Path) -> bool:
    """core.c and core_NAME.c, drivers with interrupts: NAME_interrupts.c, and device_NAME.c."""
    return path.stem.split("_")[0] in ("core", "device") or path.stem.endswith("_interrupts")


def _of_vm(path: Path) -> bool:
    return path.stem.startswith("vm_")


def names() -> tuple[str, ...]:
    """The boards this installation knows, sorted."""
    return tuple(sorted(path.parent.name for path in ROOT.glob("*/board.toml")))


def load(name: str) -> Board:
    """The board of that name. Raises BoardError: unknown, unreadable, or a key is wrong."""
    if name not in names():
        known = ", ".join(names())
        raise BoardError(f"board: there is no board {name!r}", f"choose one of: {known}")
    return load_file(ROOT / name / "board.toml", name)


def load_file(path: Path, name: str) -> Board:
    """The board described by one file. Raises BoardError naming the file and a wrong key."""
    try:
        facts = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BoardError(f"{path}: {error}", "mend the file; it is TOML 1.0 in UTF-8") from error
    if "name" in facts:
        raise BoardError(f"{path}: name: the folder names the board", "remove the key")
    try:
        return Board(name=name, **facts)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "board"
        what = first["msg"].removeprefix("Value error, ")
        mend = "correct the value; `source` names where the facts are from"
        raise BoardError(f"{path}: {key}: {what}", mend) from error
