# SPDX-License-Identifier: Apache-2.0
"""All modules of an appliance as one program: they share an image, and are specialised together."""

from __future__ import annotations

from dataclasses import replace

from firmware.asyncio_source import with_asyncio
from firmware.freeze import FrozenModule
from firmware.manifest import Manifest
from firmware.modules import Module
from firmware.problems import ApplianceError
from firmware.profile import without_debugging
from firmware.shrink import Shrunk, shrink
from firmware.specialise import Source, Specialisation, specialise


def specialise_appliance(manifest: Manifest, shrunk: Shrunk | None = None) -> Specialisation:
    """What the modules of an appliance need of the virtual machine. Raises ApplianceError (2).

    `shrunk`: what `shrink_appliance` says, if it is known.
    """
    _refuse_borrowed_mains(manifest)
    texts = (shrunk or shrink_appliance(manifest)).texts
    return specialise([replace(s, text=texts[s.name]) for s in whole_program(manifest)])


def shrink_appliance(manifest: Manifest) -> Shrunk:
    """The modules without what their profile leaves out, and without what none of them can use."""
    return shrink({source.name: source.text for source in whole_program(manifest)})


def frozen_modules(manifest: Manifest, shrunk: Shrunk) -> list[FrozenModule]:
    """What is compiled into the image."""
    paths = {source.name: source.path for source in whole_program(manifest)}
    return [FrozenModule(name, path, shrunk.compiled[name]) for name, path in paths.items()]


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


def _refuse_borrowed_mains(manifest: Manifest) -> None:
    """To import another enclave's main module would run that enclave's code in this one."""
    mains = {group[0].name: enclave for enclave, group in manifest.modules.items()}
    problems = []
    for enclave, group in manifest.modules.items():
        for module in group[1:]:
            if module.name in mains:
                what = f"imports {module.name}, the main module of {mains[module.name]}"
                mend = "move what both need into a module of its own"
                problems.append(manifest.problem(("enclave", enclave, "module"), what, mend))
    if problems:
        raise ApplianceError(problems)
