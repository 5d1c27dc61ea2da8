# SPDX-License-Identifier: Apache-2.0
"""The compiler driver: what it caches, what it refuses, and that its output depends on contents
only.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from firmware.compiler.object_cache import Roots, digest_of, write_atomically
from firmware.compiler.toolchain import (
    CORES,
    CompileJob,
    ToolchainError,
    ZigToolchain,
    zig_toolchain,
)

M3 = CORES["cortex_m3"]
SCRIPT = """ENTRY(start)
SECTIONS {
  .text ORIGIN_OF_CODE : { *(.text .text.*) *(.rodata .rodata.*) }
  /DISCARD/ : { *(.ARM.exidx*) *(.comment) }
}
"""


@pytest.fixture
def toolchain(tmp_path: Path) -> ZigToolchain:
    return zig_toolchain(tmp_path / "cache")


def write(root: Path, **files: str) -> Roots:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_h", ".h").replace("_c", ".c")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Roots({"src": root})


def compile_one(toolchain: ZigToolchain, root: Path, **more: object) -> Path:
    job = CompileJob(root / "main.c", (root / "include",), **more)  # type: ignore[arg-type]
    return toolchain.compile([job], M3, Roots({"src": root}))[0]


def test_the_same_source_elsewhere_is_the_same_object(
    toolchain: ZigToolchain, tmp_path: Path
) -> None:
    text = '#include "size.h"\nconst char *where(void) { return __FILE__; }\nint n = SIZE;\n'
    objects = []
    for place in ("one", "another/place"):
        root = tmp_path / place
        write(root, main_c=text, include__size_h="#define SIZE 3\n")
        objects.append(compile_one(toolchain, root))
        fresh = zig_toolchain(tmp_path / place / "cache")
        objects.append(compile_one(fresh, root))
    assert objects[0] == objects[2]
    assert objects[1].read_bytes() == objects[0].read_bytes() == objects[3].read_bytes()
    assert b"main.c\0" in objects[0].read_bytes()
    assert str(tmp_path).encode() not in objects[0].read_bytes()


def test_bitcode_does_not_know_where_it_was_compiled(tmp_path: Path) -> None:
    found = set()
    for place in ("one", "another/place"):
        root = tmp_path / place
        write(root, main_c="int f(void) { return 1; }\n", include__x_h="")
        found.add(compile_one(zig_toolchain(root / "cache"), root, lto=True).read_bytes())
    assert len(found) == 1
    assert str(tmp_path).encode() not in found.pop()


def test_an_edited_header_recompiles_and_an_edited_back_one_does_not(
    toolchain: ZigToolchain, tmp_path: Path
) -> None:
    main = '#include "size.h"\nint n = SIZE;\n'
    write(tmp_path, main_c=main, include__size_h="#define SIZE 3\n")
    first = compile_one(toolchain, tmp_path)
    stamp = first.stat().st_mtime_ns
    write(tmp_path, include__size_h="#define SIZE 40\n")
    second = compile_one(toolchain, tmp_path)
    assert second != first
    write(tmp_path, include__size_h="#define SIZE 3\n")
    assert compile_one(toolchain, tmp_path) == first
    assert first.stat().st_mtime_ns == stamp


def test_flags_and_defines_are_part_of_an_objects_key(
    toolchain: ZigToolchain, tmp_path: Path
) -> None:
    write(tmp_path, main_c="int n = N;\n", include__x_h="")
    objects = {
        compile_one(toolchain, tmp_path, defines=("N=1",)),
        compile_one(toolchain, tmp_path, defines=("N=2",)),
        compile_one(toolchain, tmp_path, defines=("N=1",), flags=("-O2",)),
        compile_one(toolchain, tmp_path, defines=("N=1",), lto=True),
    }
    assert len(objects) == 4


def test_a_header_of_nowhere_is_refused(toolchain: ZigToolchain, tmp_path: Path) -> None:
    stray = tmp_path / "stray.h"
    stray.write_text("")
    root = tmp_path / "src"
    write(root, main_c=f'#include "{stray}"\n', include__x_h="")
    with pytest.raises(ToolchainError, match=r"stray\.h lies in none of the build's directories"):
        compile_one(toolchain, root)


def test_the_compilers_words_reach_the_person(toolchain: ZigToolchain, tmp_path: Path) -> None:
    write(tmp_path, main_c="int main(void) {\n  return nothing;\n}\n", include__x_h="")
    with pytest.raises(ToolchainError, match=r"main\.c:2:10: error: .*nothing") as caught:
        compile_one(toolchain, tmp_path)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("name", CORES)
def test_every_core_links_division_and_memory_functions(
    name: str, toolchain: ZigToolchain, tmp_path: Path
) -> None:
    target = CORES[name]
    source = """
struct big { char bytes[300]; };
unsigned long long divide(unsigned long long a, unsigned long long b) { return a / b; }
float multiply(float a, double b) { return a * (float)b; }
void copy(struct big *to, const struct big *from) { *to = *from; }
void *const start[] = {divide, multiply, copy};
"""
    roots = write(tmp_path, main_c=source)
    script = tmp_path / "image.ld"
    script.write_text(SCRIPT)
    objects = toolchain.compile([CompileJob(tmp_path / "main.c")], target, roots)
    elf = toolchain.link(objects, script, tmp_path / "out.elf", target, {"ORIGIN_OF_CODE": 0x1000})
    with elf.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        symbols = {symbol.name: symbol for symbol in table.iter_symbols()}
        assert {"__aeabi_uldivmod", "__aeabi_fmul", "__aeabi_d2f"} <= set(symbols)
        # Ours, which branches to memcpy; the compiler's own branches to itself.
        body = _body(ELFFile(stream), symbols["__aeabi_memcpy"]["st_value"] & ~1, 4)
        assert body not in (b"\xff\xf7\xfe\xbf", b"\xff\xf7\xfe\xff")


def _body(elf: ELFFile, address: int, length: int) -> bytes:
    text = elf.get_section_by_name(".text")
    assert text is not None
    start = address - text["sh_addr"]
    return bytes(text.data()[start : start + length])


def test_what_nobody_defines_is_an_error_at_the_link(
    toolchain: ZigToolchain, tmp_path: Path
) -> None:
    roots = write(tmp_path, main_c="int missing(void); int start(void) { return missing(); }\n")
    script = tmp_path / "image.ld"
    script.write_text(SCRIPT)
    jobs = [CompileJob(tmp_path / "main.c", lto=True)]
    whole = toolchain.optimise(toolchain.compile(jobs, M3, roots), M3, ("start",))
    with pytest.raises(ToolchainError, match="undefined symbol: missing"):
        toolchain.link([whole], script, tmp_path / "out.elf", M3, {"ORIGIN_OF_CODE": 0})
    assert not (tmp_path / "out.elf").exists()


def test_optimising_drops_what_nothing_kept_reaches(
    toolchain: ZigToolchain, tmp_path: Path
) -> None:
    text = "int used = 1; int start(void) { return ++used; } int unused(void) { return 1; }\n"
    roots = write(tmp_path, main_c=text)
    jobs = [CompileJob(tmp_path / "main.c", lto=True)]
    whole = toolchain.optimise(toolchain.compile(jobs, M3, roots), M3, ("start",))
    with whole.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        names = {symbol.name for symbol in table.iter_symbols()}
    assert "start" in names
    assert "unused" not in names


def test_a_missing_compiler_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(ToolchainError, match="the C compiler is missing") as caught:
        zig_toolchain()
    assert caught.value.exit_code == 3
    assert caught.value.mend == 'install it: pip install "ziglang==0.15.2"'


def test_another_version_of_the_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.14.1")
    with pytest.raises(ToolchainError, match=r"ziglang 0\.14\.1 is installed"):
        zig_toolchain()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_lists_that_only_join_alike_have_different_digests() -> None:
    assert digest_of(["ab", "c"]) != digest_of(["a", "bc"])
