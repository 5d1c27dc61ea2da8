# SPDX-License-Identifier: Apache-2.0
"""Files that a manifest names: packages, the radio module's firmware, the enclaves' modules."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from firmware.appliance.declared import Declared
from firmware.appliance.manifest import Radio
from firmware.appliance.modules import Module, ModuleError, enclave_modules
from firmware.appliance.packages import Package, PackageError, from_folder, from_wheel
from firmware.appliance.problems import Problem

MAX_RADIO_BYTES = 4 << 20


def resolve_packages(declared: Declared) -> tuple[Package, ...]:
    """Those that are what the manifest pins."""
    found = []
    for name, table in declared.sections.packages.items():
        try:
            if table.folder is not None:
                folder = declared.path.parent / table.folder
                found.append(from_folder(name, folder, table.sha256))
            else:
                found.append(from_wheel(name, str(table.wheel), table.sha256))
        except PackageError as error:
            declared.say(("package", name, error.key), error.what, error.mend)
    return tuple(found)


def resolve_radio(declared: Declared) -> Radio | None:
    """The radio module's firmware, if it is what the manifest pins."""
    table = declared.sections.radio
    if table is None:
        return None
    path = declared.path.parent / table.firmware
    try:
        with path.open("rb") as file:
            content = file.read(MAX_RADIO_BYTES + 1)
    except OSError as error:
        what = f"{table.firmware}: {(error.strerror or 'cannot be read').lower()}"
        declared.say(("radio", "firmware"), what, "put the file there, or correct its path")
        return None
    if not 0 < len(content) <= MAX_RADIO_BYTES:
        what = f"{table.firmware}: is empty, or longer than {MAX_RADIO_BYTES} bytes"
        declared.say(("radio", "firmware"), what, "name the radio module's firmware")
        return None
    digest = hashlib.sha256(content).digest()
    if digest.hex() != table.sha256:
        mend = "get the file that was pinned, or pin this one once you have checked it"
        declared.say(("radio", "sha256"), f"{table.firmware} has {digest.hex()}", mend)
        return None
    return Radio(path, content, digest)


def resolve_modules(
    declared: Declared, packages: Sequence[Package]
) -> dict[str, tuple[Module, ...]]:
    """The source files of every enclave; one import name means one file in the whole image."""
    packaged = {n: path for package in packages for n, path in package.modules.items()}
    modules: dict[str, tuple[Module, ...]] = {}
    files: dict[str, Module] = {}
    for name, enclave in declared.sections.enclaves.items():
        key = ("enclave", name, "module")
        main = declared.path.parent / enclave.module
        try:
            modules[name] = enclave_modules(main, packaged)
        except ModuleError as error:
            what = f"enclave.{name}"
            declared.problems.append(Problem(error.path, error.line, what, error.what, error.mend))
            continue
        except OSError as error:
            what = f"{enclave.module}: {(error.strerror or 'cannot be read').lower()}"
            declared.say(key, what, "write the module, or correct its path")
            continue
        for module in modules[name]:
            other = files.setdefault(module.name, module)
            if other.digest != module.digest:
                what = f"two different files are called {module.name}: {other.path.name}"
                mend = "rename one; the modules of all enclaves share one image"
                declared.say(key, f"{what} in {other.path.parent} and {module.path.parent}", mend)
    _borrowed_mains(declared, modules)
    return modules


def _borrowed_mains(declared: Declared, modules: Mapping[str, tuple[Module, ...]]) -> None:
    """To import another enclave's main module would run that enclave's code in this one."""
    mains = {group[0].name: enclave for enclave, group in modules.items()}
    for enclave, group in modules.items():
        for module in group[1:]:
            if module.name in mains:
                what = f"imports {module.name}, the main module of {mains[module.name]}"
                mend = "move what both need into a module of its own"
                declared.say(("enclave", enclave, "module"), what, mend)
