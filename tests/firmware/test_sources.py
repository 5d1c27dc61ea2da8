# SPDX-License-Identifier: Apache-2.0
"""The pinned sources: what is accepted, what is kept, and what a person is told."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from firmware.compiler import sources
from firmware.compiler.debian_source import FetchError, read_archive
from firmware.compiler.sources import (
    MBEDTLS,
    MICROPYTHON,
    PROJECTS,
    Project,
    SourceError,
    find_tree,
)

TOY = Project("toy", "COFFRET_TOY", ("1.0",), ("LICENSE", "src/*.c"), "toy")
FILES = {"LICENSE": b"free\n", "src/a.c": b"int a;\n", "src/b.c": b"int b;\n"}
NOTHING: dict[str, str] = {}


@pytest.fixture(autouse=True)
def toy_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and a lock of the test's own, and no network."""
    locks = tmp_path / "locks"
    locks.mkdir()
    lines = [f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in FILES.items()]
    (locks / "toy-1.0.sha256").write_text("".join(lines))
    monkeypatch.setattr(sources, "_LOCKS", locks)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    no_archive(monkeypatch)


def no_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def unreachable(package: str, _: Collection[str]) -> Iterator[tuple[str, Path]]:
        raise FetchError(f"no mirror has {package}")
        yield  # makes it a generator

    monkeypatch.setattr(sources, "fetch_source_archive", unreachable)


def serve(monkeypatch: pytest.MonkeyPatch, archive: Path, files: dict[str, bytes]) -> None:
    """Makes the package client deliver these files, and some that are not locked."""
    with tarfile.open(archive, "w:xz") as tar:
        for path, data in {**files, "docs/readme": b"", "../outside": b"evil"}.items():
            member = tarfile.TarInfo(f"toy-1.0/{path}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))

    @contextmanager
    def deliver(package: str, versions: Collection[str]) -> Iterator[tuple[str, Path]]:
        assert (package, tuple(versions)) == ("toy", ("1.0",))
        yield "1.0", archive

    monkeypatch.setattr(sources, "fetch_source_archive", deliver)


def unpacked(root: Path, **changed: bytes | None) -> Path:
    for path, data in FILES.items():
        content = changed.get(path.replace("/", "_").replace(".", "_"), data)
        if content is not None:
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return root


def test_a_named_tree_that_matches_is_used_where_it_is(tmp_path: Path) -> None:
    tree = find_tree(TOY, {"COFFRET_TOY": str(unpacked(tmp_path / "tree"))})
    assert (tree.name, tree.version, tree.origin) == ("toy", "1.0", "environment")
    assert tree.path == tmp_path / "tree"
    lock = (tmp_path / "locks/toy-1.0.sha256").read_bytes()
    assert tree.identity == hashlib.sha256(lock).hexdigest()


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"src_a_c": b"int A;\n"}, "src/a.c differs"), ({"src_b_c": None}, "src/b.c is missing")],
)
def test_a_wrong_tree_is_refused_by_its_first_wrong_file(
    changed: dict[str, bytes | None], said: str, tmp_path: Path
) -> None:
    root = unpacked(tmp_path / "tree", **changed)
    with pytest.raises(
        SourceError, match=rf"COFFRET_TOY=.*: {said} from the pinned 1\.0"
    ) as caught:
        find_tree(TOY, {"COFFRET_TOY": str(root)})
    assert caught.value.exit_code == 3
    assert "unset COFFRET_TOY" in caught.value.mend


def test_a_tree_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such directory"):
        find_tree(TOY, {"COFFRET_TOY": str(tmp_path / "nowhere")})


def test_a_fetched_tree_is_kept_and_used_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, tmp_path / "toy.tar.xz", FILES)
    fetched = find_tree(TOY, NOTHING)
    assert fetched.origin == "fetched"
    kept = {str(path.relative_to(fetched.path)) for path in fetched.path.rglob("*.*")}
    assert kept == {"src/a.c", "src/b.c"}
    assert not (tmp_path / "cache/coffret/outside").exists()
    no_archive(monkeypatch)
    again = find_tree(TOY, NOTHING)
    assert (again.path, again.origin) == (fetched.path, "cache")


def test_a_damaged_copy_is_thrown_away_and_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, tmp_path / "toy.tar.xz", FILES)
    path = find_tree(TOY, NOTHING).path
    (path / "src/a.c").write_bytes(b"int evil;\n")
    tree = find_tree(TOY, NOTHING)
    assert (tree.path, tree.origin) == (path, "fetched")
    assert (path / "src/a.c").read_bytes() == FILES["src/a.c"]


@pytest.mark.parametrize(
    ("files", "said"),
    [({**FILES, "src/a.c": b"int evil;\n"}, "src/a.c differs"), ({}, "LICENSE is missing")],
)
def test_a_wrong_archive_leaves_nothing_behind(
    files: dict[str, bytes], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, tmp_path / "toy.tar.xz", files)
    with pytest.raises(SourceError, match=rf"fetched toy 1\.0: {said}"):
        find_tree(TOY, NOTHING)
    assert not list((tmp_path / "cache").rglob("*.c"))


def test_an_archive_cut_short_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "toy.tar.xz"
    serve(monkeypatch, archive, FILES)
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(FetchError, match="cannot be read"):
        read_archive(archive, FILES)


def test_without_sources_a_person_learns_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PROJECTS", (TOY,))
    assert sources.main([]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: cannot fetch the sources of toy: no mirror has toy\nmend: ")
    assert "COFFRET_TOY" in said.err


def test_the_command_prints_one_line_a_tree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PROJECTS", (TOY,))
    monkeypatch.setenv("COFFRET_TOY", str(unpacked(tmp_path / "tree")))
    assert sources.main([]) == 0
    assert capsys.readouterr().out == f"toy 1.0 {tmp_path / 'tree'} (environment)\n"
    assert sources.main(["--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_a_new_lock_is_the_one_of_the_tree(tmp_path: Path) -> None:
    before = (tmp_path / "locks/toy-1.0.sha256").read_bytes()
    tree = unpacked(tmp_path / "tree")
    (tree / "src/notes.txt").write_text("not built\n")
    assert sources.write_lock(TOY, "1.0", tree).read_bytes() == before


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_every_lock_of_the_package_is_sorted_and_has_the_licence(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    for lock in sources.locks(project):
        assert list(lock.files) == sorted(lock.files)
        assert "LICENSE" in lock.files
        assert all(len(digest) == 64 for digest in lock.files.values())


def test_the_versions_are_the_ones_the_design_pins() -> None:
    assert (MICROPYTHON.versions, MBEDTLS.versions) == (("1.25.0",), ("3.6.6",))
