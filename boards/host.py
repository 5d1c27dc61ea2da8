# SPDX-License-Identifier: Apache-2.0
"""How a computer reaches a board, and what runs in its place without one."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from boards.facts import Address, Facts, Identifier
from boards.transports import TransportName


class UsbId(Facts):
    """A USB device that the board shows itself as, and what answers there.

    `mode`: coffret's own firmware (`application`, which its recovery shares), a boot loader in the
    part's ROM (`rom`), or a debug probe on the board (`probe`).
    """

    vendor: Annotated[int, Field(ge=0, le=0xFFFF)]
    product: Annotated[int, Field(ge=0, le=0xFFFF)]
    says: str
    mode: Literal["application", "rom", "probe"] = "application"


class ProbeWrite(Facts):
    """A word that a debug probe writes to the halted part; `says` what that does."""

    address: Address
    value: Annotated[int, Field(ge=0, le=0xFFFF_FFFF)]
    says: str


class Host(Facts):
    """How a computer reaches the board: `transports`, the one to prefer first.

    `uf2_family` and `uf2_label` (of the USB drive) go with `uf2`, `probe_target` (pyOCD's name of
    the part) with `cmsis-dap`. `probe_before`: written before the flash is programmed, for what a
    reset of the processor alone leaves running; `probe_reset`: what resets the whole part, where
    SYSRESETREQ does not. `hex_file`: a probe on the board takes Intel HEX files by its drive.
    `button`: how a person gets the board into its ROM boot loader.
    """

    transports: tuple[TransportName, ...]
    usb_ids: tuple[UsbId, ...] = ()
    uf2_family: Annotated[int, Field(ge=0, le=0xFFFF_FFFF)] | None = None
    uf2_label: Annotated[str, Field(pattern=r"^[!-~]{1,11}$")] | None = None
    hex_file: bool = False
    probe_target: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")] | None = None
    probe_before: tuple[ProbeWrite, ...] = ()
    probe_reset: tuple[ProbeWrite, ...] = ()
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
        if (self.probe_before or self.probe_reset) and self.probe_target is None:
            raise ValueError("host.probe_before, host.probe_reset: only with cmsis-dap")
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
