# SPDX-License-Identifier: Apache-2.0
"""The C compiler and linker behind one small interface, cached and reproducible.

The compiler is clang as the `ziglang` package ships it: the same bytes on every host, nothing from
the system. Its subcommands `zig clang` and `zig ld.lld` are used rather than `zig cc`, because
those two add no flags of their own and keep no cache of their own: what is passed here is all there
is. Builds are reproducible: paths enter objects as `label/relative` (see `object_cache.Roots`),
inputs are given in a fixed order, and nothing reads the clock.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from boards.errors import ENVIRONMENT, CoffretError
from firmware.compiler.object_cache import (
    ObjectCache,
    Roots,
    digest_of,
    user_cache,
    write_atomically,
)

_AEABI = Path(__file__).parents[1] / "runtime/libc/aeabi.S"

ZIGLANG_VERSION = "0.15.2"

# Measured on the VM for Cortex-M3 with a one-line module, code and constants: -Oz 44.3 KiB against
# -Os 50.9.
SMALL = ("-Oz",)
FAST = ("-O2",)

_COMMON = (
    "-std=gnu11",
    "-DNDEBUG",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-common",
    "-fno-math-errno",
    "-fno-ident",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
)


class ToolchainError(CoffretError):
    """The compiler or linker is missing, or it refused its input."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message, mend, ENVIRONMENT)


@dataclass(frozen=True, slots=True)
class Core:
    """An Arm core as the tools name it. All are compiled without an FPU: its registers would have
    to be switched.
    """

    name: str
    triple: str
    cpu: str
    zig_cpu: str
    mpy_architecture: str  # mpy-cross -march, for native code
    thumb2: bool


CORES: Mapping[str, Core] = {
    core.name: core
    for core in (
        Core(
            "cortex_m0plus", "thumbv6m-none-eabi", "cortex-m0plus", "cortex_m0plus", "armv6m", False
        ),
        Core("cortex_m3", "thumbv7m-none-eabi", "cortex-m3", "cortex_m3", "armv7m", True),
        Core(
            "cortex_m4",
            "thumbv7em-none-eabi",
            "cortex-m4+nofp",
            "cortex_m4-vfp4d16sp-vfp4d16-vfp4-vfp3d16sp-vfp3d16-vfp3-vfp2sp-vfp2-fpregs",
            "armv7em",
            True,
        ),
        Core(
            "cortex_m33",
            "thumbv8m.main-none-eabi",
            "cortex-m33+nofp",
            "cortex_m33-fp_armv8d16sp-fp_armv8d16-vfp4d16sp-vfp4d16-vfp3d16sp-vfp2sp-fpregs",
            "armv7em",
            True,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class CompileJob:
    """One source file (.c or .s) and how to compile it.

    `lto` makes a bitcode object for `Toolchain.optimise`; assembly never is one.
    """

    source: Path
    includes: tuple[Path, ...] = ()
    defines: tuple[str, ...] = ()  # NAME or NAME=VALUE
    flags: tuple[str, ...] = ()  # after the common ones, so they win
    lto: bool = False


class Toolchain(Protocol):
    """What a build needs of a compiler. `gcc` fits behind the same calls."""

    @property
    def identity(self) -> str:
        """Name and version; part of every cache key."""

    def compile(self, jobs: Sequence[CompileJob], core: Core, roots: Roots) -> tuple[Path, ...]:
        """Compiles every job, in parallel; returns the objects in the order of the jobs."""

    def preprocess(self, jobs: Sequence[CompileJob], core: Core, roots: Roots) -> bytes:
        """The preprocessed text of all jobs, in their order."""

    def optimise(
        self, objects: Sequence[Path], core: Core, keep: Sequence[str], flags: Sequence[str] = ()
    ) -> Path:
        """Whole-program optimisation: bitcode in, one object out; only `keep` stays visible.

        Done once, before the image is linked for each slot. Objects that are not bitcode must be
        passed too where they name symbols of the others. `flags` are the linker's, for this alone.
        """

    def link(
        self,
        objects: Sequence[Path],
        script: Path,
        out: Path,
        core: Core,
        defines: Mapping[str, int] | None = None,
        map_file: Path | None = None,
    ) -> Path:
        """Links to an ELF at `out` with the run-time library; `defines` become linker symbols.

        `map_file` gets the linker's map, which names the object that each input section came from.
        """


@dataclass(frozen=True, slots=True)
class ZigToolchain:
    """clang, lld and compiler-rt of the `ziglang` package. Use `zig_toolchain()`."""

    directory: Path
    cache: ObjectCache
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)

    @property
    def identity(self) -> str:
        return f"ziglang-{ZIGLANG_VERSION}"

    def compile(self, jobs: Sequence[CompileJob], core: Core, roots: Roots) -> tuple[Path, ...]:
        """See `Toolchain.compile`. Raises ToolchainError with the compiler's own words."""
        with ThreadPoolExecutor(self.workers) as pool:
            return tuple(pool.map(lambda job: self._compile(job, core, roots), jobs))

    def preprocess(self, jobs: Sequence[CompileJob], core: Core, roots: Roots) -> bytes:
        """See `Toolchain.preprocess`."""
        batches: dict[CompileJob, list[Path]] = {}
        for job in jobs:
            like = CompileJob(Path(), job.includes, job.defines, job.flags)
            batches.setdefault(like, []).append(job.source)
        # One run of the compiler takes many files; each worker gets an even share.
        shares: list[tuple[CompileJob, list[Path]]] = []
        for like, sources in batches.items():
            size = -(-len(sources) // self.workers)
            shares += [(like, sources[at : at + size]) for at in range(0, len(sources), size)]

        def text(share: tuple[CompileJob, list[Path]]) -> bytes:
            return self._preprocess(share[0], share[1], core, roots)

        with ThreadPoolExecutor(self.workers) as pool:
            return b"".join(pool.map(text, shares))

    def optimise(
        self, objects: Sequence[Path], core: Core, keep: Sequence[str], flags: Sequence[str] = ()
    ) -> Path:
        """See `Toolchain.optimise`."""
        key = digest_of(
            [
                *("lto-3", self.identity, core.name, *keep, "flags", *flags),
                *map(self.cache.digests.of, objects),
            ]
        )
        if (entry := self.cache.entry(key)).is_file():
            return entry
        with tempfile.TemporaryDirectory() as directory:
            native = Path(directory) / "native.o"
            arguments = ["ld.lld", "--gc-sections", *flags, "-e", keep[0]]
            arguments.append("--unresolved-symbols=ignore-all")
            for symbol in keep:
                arguments += ["-u", symbol]
            # The linked output is thrown away: it only decides what is reachable.
            arguments += [f"--lto-obj-path={native}", "-o", f"{directory}/reachable.elf"]
            self._run([*arguments, *map(str, objects)], "optimise")
            return self.cache.store(key, native.read_bytes())

    def link(
        self,
        objects: Sequence[Path],
        script: Path,
        out: Path,
        core: Core,
        defines: Mapping[str, int] | None = None,
        map_file: Path | None = None,
    ) -> Path:
        """See `Toolchain.link`. Unused sections go; a symbol nobody defines is an error."""
        arguments = ["ld.lld", "-T", str(script), "--gc-sections", "-O2", "--build-id=none"]
        for name, value in sorted((defines or {}).items()):
            arguments.append(f"--defsym={name}={value:#x}")
        with tempfile.TemporaryDirectory() as directory:
            elf = Path(directory) / "out.elf"
            inputs = [*objects, *self.run_time(core)]
            if map_file is not None:
                arguments.append(f"-Map={map_file}")
            self._run([*arguments, "-o", str(elf), *map(str, inputs)], f"link {out.name}")
            write_atomically(out, elf.read_bytes())
        return out

    def run_time(self, core: Core) -> tuple[Path, ...]:
        """What compiled code calls without naming it: memory functions, 64-bit division, soft
        float.
        """
        roots = Roots({"runtime": _AEABI.parent})
        return (*self.compile([CompileJob(_AEABI)], core, roots), self._compiler_rt(core))

    def _compiler_rt(self, core: Core) -> Path:
        key = digest_of(["compiler-rt-1", self.identity, core.zig_cpu])
        if (entry := self.cache.entry(key, ".a")).is_file():
            return entry
        with tempfile.TemporaryDirectory() as directory:
            # No --cache-dir in the user's home: everything that outlives this call is in our own
            # cache.
            archive = Path(directory) / "librt.a"
            arguments = ["build-lib", str(self.directory / "lib/compiler_rt.zig")]
            arguments += ["-target", "thumb-freestanding-eabi", "-mcpu", core.zig_cpu]
            arguments += ["-OReleaseSmall", "-fstrip", "-fno-compiler-rt"]
            arguments += ["-ffunction-sections", "-fdata-sections", f"-femit-bin={archive}"]
            arguments += ["--cache-dir", f"{directory}/local"]
            arguments += ["--global-cache-dir", f"{directory}/global"]
            self._run(arguments, "build compiler-rt")
            return self.cache.store(key, archive.read_bytes(), ".a")

    def _flags(self, job: CompileJob, core: Core) -> list[str]:
        target = [f"--target={core.triple}", f"-mcpu={core.cpu}", "-mthumb", "-mfloat-abi=soft"]
        if job.source.suffix in (".s", ".S"):
            return target
        return [*target, *_COMMON, *SMALL, *(["-flto"] if job.lto else []), *job.flags]

    def _arguments(self, job: CompileJob, core: Core, roots: Roots) -> list[str]:
        arguments = ["clang", "-Qunused-arguments", *self._flags(job, core)]
        arguments += ["-nostdinc", "-isystem", str(self.directory / "lib/include")]
        for include in job.includes:
            arguments += ["-I", str(include)]
        arguments += [f"-D{define}" for define in job.defines]
        # The last map that fits wins, so the deepest root comes last.
        by_depth = sorted(roots.by_label.items(), key=lambda item: len(item[1].parts))
        arguments += [f"-ffile-prefix-map={path}={label}" for label, path in by_depth]
        return arguments

    def _source_label(self, path: Path, roots: Roots) -> str:
        label = roots.label(path)
        if label is None:
            raise ToolchainError(
                f"{path} lies in none of the build's directories ({', '.join(roots.by_label)})",
                "give the directory a label in Roots, so that its place does not enter the object",
            )
        return label

    def _compile(self, job: CompileJob, core: Core, roots: Roots) -> Path:
        label = self._source_label(job.source, roots)
        includes = [self._source_label(include, roots) for include in job.includes]
        source_key = digest_of(
            [
                *("object-1", self.identity, core.name, label, *self._flags(job, core)),
                *("includes", *includes, "defines", *job.defines),
                self.cache.digests.of(job.source),
            ]
        )
        if (found := self.cache.find(source_key, roots)) is not None:
            return found
        with tempfile.TemporaryDirectory() as directory:
            built, listing = Path(directory) / "out.o", Path(directory) / "out.d"
            arguments = self._arguments(job, core, roots)
            arguments += ["-c", "-MD", "-MF", str(listing), "-MT", "out", "-o", str(built)]
            # Bitcode records the source's name as given: give it relative to its root.
            root = roots.by_label[label.partition("/")[0]]
            self._run([*arguments, label.partition("/")[2]], label, cwd=root)
            headers = self._headers(listing, root, roots) if listing.is_file() else []
            return self.cache.keep(source_key, headers, roots, built.read_bytes())

    def _headers(self, listing: Path, root: Path, roots: Roots) -> list[str]:
        """Labels of the headers a depfile names, without the compiler's own (its version stands for
        them).
        """
        words = os.fsdecode(listing.read_bytes()).replace("\\\n", " ").replace("\\ ", "\0").split()
        paths = [root / word.replace("\0", " ") for word in words[2:]]
        ours = [path for path in paths if not path.is_relative_to(self.directory)]
        return sorted({self._source_label(Path(os.path.normpath(path)), roots) for path in ours})

    def _preprocess(
        self, like: CompileJob, sources: Iterable[Path], core: Core, roots: Roots
    ) -> bytes:
        arguments = [*self._arguments(like, core, roots), "-E"]
        return self._run([*arguments, *map(str, sources)], "preprocess")

    def _run(self, arguments: Sequence[str], what: str, cwd: Path | None = None) -> bytes:
        command = [str(self.directory / "zig"), *arguments]
        environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC", "SOURCE_DATE_EPOCH": "0"}
        result = subprocess.run(command, capture_output=True, cwd=cwd, env=environment, check=False)
        if result.returncode != 0:
            said = result.stderr.decode(errors="replace").strip()
            raise ToolchainError(
                f"the compiler refused {what}:\n{said}",
                "mend the source named above; if it is not yours, remove the cache and build again",
            )
        return result.stdout


def zig_toolchain(cache: Path | None = None) -> ZigToolchain:
    """The pinned compiler, with its object cache (default: the user's). ToolchainError if it is not
    installed.
    """
    mend = f'install it: pip install "ziglang=={ZIGLANG_VERSION}"'
    try:
        version = importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        raise ToolchainError("the C compiler is missing: no package ziglang", mend) from None
    if version != ZIGLANG_VERSION:
        raise ToolchainError(
            f"ziglang {version} is installed, but images are built with exactly {ZIGLANG_VERSION}",
            mend,
        )
    found = importlib.util.find_spec("ziglang")
    if found is None or found.origin is None:
        raise ToolchainError("the package ziglang is installed but cannot be found", mend)
    directory = Path(found.origin).parent
    return ZigToolchain(directory, ObjectCache((cache or user_cache()) / "objects"))
