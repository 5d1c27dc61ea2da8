# SPDX-License-Identifier: Apache-2.0
"""Builds the virtual machine with a few modules and runs it on QEMU, no monitor (`harness/`)."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from firmware.compiler.micropython import VmObjects, baseline_switches, build_vm
from firmware.compiler.object_cache import Roots
from firmware.compiler.sources import find_trees
from firmware.compiler.toolchain import CORES, CompileJob, ZigToolchain, zig_toolchain
from firmware.specialiser.freeze import FrozenModule

HARNESS = Path(__file__).parent / "harness"
RUNTIME = Path(__file__).parents[2] / "firmware" / "runtime"
STACK, HEAP = 16 * 1024, 32 * 1024
MODULE_NAME = 0x2000_8000  # where the harness reads it, see harness.ld
# An emulated board that executes the core's instructions; Armv7-M executes those of Armv6-M.
MACHINES = {
    "cortex_m0plus": "mps2-an385",
    "cortex_m3": "mps2-an385",
    "cortex_m4": "mps2-an386",
}


@dataclass(frozen=True, slots=True)
class Image:
    """The harness with a VM in it."""

    elf: Path
    vm: VmObjects
    core: str
    modules: tuple[str, ...]

    def size(self, section: str) -> int:
        """Bytes of a section; 0 if it is not there."""
        with self.elf.open("rb") as stream:
            found = ELFFile(stream).get_section_by_name(section)
            return int(found["sh_size"]) if found else 0

    def symbols(self) -> frozenset[str]:
        """Names of everything in the image."""
        with self.elf.open("rb") as stream:
            table = ELFFile(stream).get_section_by_name(".symtab")
            assert isinstance(table, SymbolTableSection)
            return frozenset(symbol.name for symbol in table.iter_symbols())

    def run(self, module: str = "") -> str:
        """What a module (the first one) logged, a line each, and its end: `[exit 0]`, `[fault N]`.

        Raises subprocess.TimeoutExpired after a minute.
        """
        command = ["qemu-system-arm", "-M", MACHINES[self.core], "-nographic", "-monitor", "none"]
        command += ["-serial", "stdio", "-semihosting-config", "enable=on,target=native"]
        name = self.elf.with_suffix(f".{module or self.modules[0]}")
        name.write_bytes((module or self.modules[0]).encode() + b"\0")
        loader = f"loader,file={name},addr={MODULE_NAME:#x},force-raw=on"
        result = subprocess.run(
            [*command, "-kernel", str(self.elf), "-device", loader],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert not result.stderr, result.stderr.decode()
        return result.stdout.decode(errors="replace")


def build_image(
    sources: Mapping[str, str] | Sequence[FrozenModule],
    work: Path,
    switches: Mapping[str, str] | None = None,
    *,
    core: str = "cortex_m3",
    prune: bool = True,
    toolchain: ZigToolchain | None = None,
    heap: int = HEAP,
) -> Image:
    """An image of modules given as name -> text, or as they are frozen. `switches` add to the
    baseline.
    """
    modules = _written(sources, work / "modules") if isinstance(sources, Mapping) else sources
    compiler = toolchain or zig_toolchain()
    target = CORES[core]
    all_switches = baseline_switches() | dict(switches or {})
    vm = build_vm(modules, all_switches, target, compiler, find_trees(), work / "vm", prune=prune)
    sizes = {"HARNESS_STACK": STACK, "HARNESS_HEAP": heap}
    job = CompileJob(
        HARNESS / "harness.c",
        includes=(RUNTIME / "include", RUNTIME / "libc"),
        defines=tuple(f"{name}={value}" for name, value in sizes.items()),
        flags=("-Wall", "-Wextra", "-Werror"),
    )
    roots = Roots({"harness": HARNESS, "runtime": RUNTIME})
    harness = compiler.compile([job], target, roots)
    script = HARNESS / "harness.ld"
    elf = compiler.link([*vm.objects, *harness], script, work / "image.elf", target, sizes)
    return Image(elf, vm, core, tuple(module.name for module in modules))


def _written(sources: Mapping[str, str], folder: Path) -> list[FrozenModule]:
    folder.mkdir(parents=True, exist_ok=True)
    modules = []
    for name, text in sources.items():
        path = folder / f"{name}.py"
        path.write_text(text)
        modules.append(FrozenModule(name, path))
    return modules
