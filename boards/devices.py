# SPDX-License-Identifier: Apache-2.0
"""What an enclave can be granted of a board: peripherals, pins, and what every board has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from boards.facts import Address, Facts, Identifier

BUS_PINS = 4
# What the monitor gives to every enclave that asks, on every board: each has one of its own.
SHARED_DEVICES: Mapping[str, Literal["watchdog", "identity", "settings"]] = {
    "wdt": "watchdog",
    "unique_id": "identity",
    "settings": "settings",
}

DeviceKind = Literal[
    "uart",
    "gpio",
    "i2c",
    "spi",
    "adc",
    "pwm",
    "timer",
    "rng",
    "pin",
    "watchdog",
    "identity",
    "settings",
]


class Device(Facts):
    """What one enclave can be granted: `size` bytes of registers at `base`, in one MPU region; or,
    without a base, what the monitor does for its owner.

    `irqs`: the first one is delivered to the owner. `pins`: by role, the pins that can carry it,
    the usual one first; `function` is what such a pin is set to. Of an `adc` or a `gpio` every pin
    belongs to whoever has the block, of a bus the usual ones, of a `pwm` none. `hears`: streams
    whose line its registers can measure, so that no appliance may use both.
    """

    kind: DeviceKind
    id: Annotated[int | None, Field(ge=0, le=254)] = None  # by default the digits of its name
    base: Address = 0
    size: Annotated[int, Field(ge=0, le=0x1_0000_0000)] = 0
    irqs: tuple[int, ...] = ()
    function: Annotated[int | None, Field(ge=0, le=31)] = None
    pins: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    temperature: int | None = None  # an adc's input that is the part's own sensor
    hears: tuple[Identifier, ...] = ()

    @model_validator(mode="after")
    def _registers_or_none(self) -> Self:
        if self.kind in ("pin", "watchdog", "identity", "settings"):
            raise ValueError(f"{self.kind} is no device of a board.toml: see [pins]")
        if not self.size:
            raise ValueError("device.size: registers have a size")
        if self.kind in ("uart", "i2c", "spi") and len(self.pins) > BUS_PINS:
            raise ValueError(f"device.pins: a bus has at most {BUS_PINS} pins")
        return self

    @property
    def own_pins(self) -> tuple[int, ...]:
        """The pins that go with the grant."""
        if self.kind == "pwm":
            return ()
        if self.kind in ("adc", "gpio"):
            return tuple(pin for pins in self.pins.values() for pin in pins)
        return tuple(pins[0] for pins in self.pins.values())


class Pins(Facts):
    """The pins an enclave can be granted one by one, as the board's print names them.

    `PREFIX` and a number of `numbers` is the pin of that number; `names` adds others, which may be
    second names. `function` is what makes a pin a plain input or output, `irq` what all share.
    """

    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,11}$")] = "p"
    numbers: tuple[Annotated[int, Field(ge=0, le=254)], ...] = ()
    names: dict[Identifier, Annotated[int, Field(ge=0, le=254)]] = Field(default_factory=dict)
    function: Annotated[int, Field(ge=0, le=31)] = 0
    irq: int | None = None

    @property
    def by_name(self) -> dict[str, int]:
        """Every name and the number of its pin."""
        return {f"{self.prefix}{number}": number for number in self.numbers} | self.names
