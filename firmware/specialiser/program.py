# SPDX-License-Identifier: Apache-2.0
"""All modules of an appliance as one program: they share an image, and are specialised together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from firmware.appliance.manifest import Manifest
from firmware.appliance.modules import Module
from firmware.appliance.profile import without_debugging
from firmware.specialiser.asyncio_source import with_asyncio
from firmware.specialiser.freeze import FrozenModule
from firmware.specialiser.shrink import Removal, shrink
from firmware.specialiser.specialise import Source, Specialisation, specialise


@dataclass(frozen=True, slots=True)
class ShrunkProgram:
    """An appliance's modules as they are built: without what their profile leaves out, and without
    what none of them can use.

    `compiled` has their texts for MicroPython's compiler, by name (`firmware.specialiser.shrink`).
    """

    sources: tuple[Source, ...]
    compiled: Mapping[str, bytes]
    removals: tuple[Removal, ...]


def shrink_appliance(manifest: Manifest) -> ShrunkProgram:
    """All modules of an appliance, shrunk as one program."""
    sources = whole_program(manifest)
    shrunk = shrink({source.name: source.text for source in sources})
    return ShrunkProgram(
        tuple(replace(source, text=shrunk.texts[source.name]) for source in sources),
        shrunk.compiled,
        shrunk.removals,
    )


def specialise_appliance(manifest: Manifest) -> Specialisation:
    """What the modules of an appliance need of the virtual machine. Raises ApplianceError (2)."""
    return specialise(shrink_appliance(manifest).sources)


def frozen_modules(program: ShrunkProgram) -> list[FrozenModule]:
    """What is compiled into the image."""
    return [
        FrozenModule(source.name, source.path, program.compiled[source.name])
        for source in program.sources
    ]


def whole_program(manifest: Manifest) -> tuple[Source, ...]:
    """The appliance's modules as its profile has them, and what they use of MicroPython's own."""
    texts = {module.name: module.source() for module in modules_of(manifest)}
    if manifest.appliance.profile == "release":
        texts = {name: without_debugging(text) for name, text in texts.items()}
    return with_asyncio([Source(m.name, m.path, texts[m.name]) for m in modules_of(manifest)])


def modules_of(manifest: Manifest) -> tuple[Module, ...]:
    """Every module of every enclave once, by name."""
    found = {module.name: module for group in manifest.modules.values() for module in group}
    return tuple(found[name] for name in sorted(found))
