# SPDX-License-Identifier: Apache-2.0
"""What a board is: the model of `boards/<name>/board.toml`, checked as a whole."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from boards.devices import SHARED_DEVICES, Device, Pins
from boards.errors import USAGE, CoffretError
from boards.facts import Address, Facts, Identifier
from boards.host import Emulator, Host
from boards.memory import Flash, Memory, Mpu, Region

ROOT = Path(__file__).parent


class BoardError(CoffretError):
    """A board is unknown, or its `board.toml` is wrong; names the file and the key."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message, mend, USAGE)


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
    """`trial_ms`: so long an image on trial may leave its manager silent; milliseconds.

    `secure`: its block stays with the Secure world, and the image feeds it by a gateway.
    """

    base: Address
    secure: bool = False
    trial_ms: Annotated[int, Field(gt=0, le=60_000)] = 8000


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


class Radio(Facts):
    """A radio module beside the processor, an Espressif part. `address`: where its image goes.

    `chip` is esptool's name of it; `flash_size`, of its own flash, in bytes.
    """

    title: str
    chip: Literal["esp32"]
    address: Address
    flash_size: Annotated[int, Field(gt=0, le=16 << 20)]


class Security(Facts):
    """Where the identity's secret lives; `root` becomes a part of the implementation id."""

    root: Literal["flash", "otp", "secure-world"]
    note: str


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
    radio: Radio | None = None
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
        heard = {stream for device in self.device.values() for stream in device.hears}
        if not heard <= {stream.name for stream in self.stream}:
            raise ValueError("device.hears names streams of the board")
        if not (ROOT / "families" / self.family).is_dir():
            raise ValueError(f"family: there is no folder boards/families/{self.family}")
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
        if self.watchdog is not None and self.watchdog.secure and not self.secure_world:
            raise ValueError("watchdog.secure without memory.secure_state")
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
