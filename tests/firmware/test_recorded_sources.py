# SPDX-License-Identifier: Apache-2.0
"""The sources in a bundle are the appliance: the same policy and the same modules come of them."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import pytest

from boards.errors import CoffretError
from firmware.appliance.flows import flow_policy
from firmware.appliance.manifest_file import load
from firmware.appliance.packages import folder_digest
from firmware.bundle.recorded_sources import recorded_sources, unpack_sources
from firmware.specialiser.program import modules_of
from tests.firmware.builds import REPOSITORY

DIARY = REPOSITORY / "examples" / "heart_diary"


def _again(archive: bytes, folder: Path) -> Path:
    file = folder / "sources.zip"
    file.write_bytes(archive)
    place = folder / "unpacked"
    place.mkdir()
    return unpack_sources(file, place)


def test_what_is_unpacked_is_the_same_appliance(tmp_path: Path) -> None:
    before = load(DIARY)
    archive = recorded_sources(before)
    after = load(_again(archive, tmp_path))
    assert flow_policy(after).document == flow_policy(before).document
    assert [m.digest for m in modules_of(after)] == [m.digest for m in modules_of(before)]
    assert recorded_sources(after) == archive


def test_nothing_but_what_the_manifest_names_is_taken(tmp_path: Path) -> None:
    copy = shutil.copytree(DIARY, tmp_path / "diary")
    (copy / "keys" / "private.pem").write_text("a secret")
    (copy / "unused.py").write_text("secret = 1\n")
    assert recorded_sources(load(copy)) == recorded_sources(load(DIARY))


def test_files_outside_the_appliances_folder_keep_their_place(tmp_path: Path) -> None:
    folder = tmp_path / "one" / "appliance"
    library = tmp_path / "library"
    for each in (folder, library):
        each.mkdir(parents=True)
    (library / "answers.py").write_text("answer = 42\n")
    digest = folder_digest({"answers": library / "answers.py"}).hex()
    (folder / "main.py").write_text("import answers\n")
    (folder / "appliance.toml").write_text(
        '[appliance]\nname = "one"\nversion = "1.0.0"\n[enclave.main]\nmodule = "main.py"\n'
        f'[package.answers]\nfolder = "../../library"\nsha256 = "{digest}"\n'
    )
    again = load(_again(recorded_sources(load(folder)), tmp_path))
    assert [module.name for module in modules_of(again)] == ["answers", "main"]


def test_a_module_that_changed_meanwhile_is_not_recorded(tmp_path: Path) -> None:
    manifest = load(shutil.copytree(DIARY, tmp_path / "diary"))
    with (manifest.folder / "sensor.py").open("a") as file:
        file.write("# later\n")
    with pytest.raises(CoffretError, match="changed during the build"):
        recorded_sources(manifest)


def _zip(*names: str, compression: int = zipfile.ZIP_STORED, size: int = 1) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name in names:
            archive.writestr(name, b"x" * size)
    return stream.getvalue()


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"PK\x05\x06" + bytes(18),
        _zip("appliance.toml")[:-10],
        _zip("appliance.toml", "../outside"),
        _zip("appliance.toml", "/tmp/outside"),
        _zip("appliance.toml", "a//b"),
        _zip("appliance.toml", "a\\b"),
        _zip("appliance.toml", "a", "a/b"),
        _zip("appliance.toml", "_/appliance.toml"),
        _zip("other.toml"),
        _zip("appliance.toml", compression=zipfile.ZIP_DEFLATED),
        _zip("appliance.toml", size=(16 << 20) + 1),
        _zip(*(f"f{number}" for number in range(2001))),
    ],
)
def test_a_hostile_archive_is_refused_and_nothing_is_written_elsewhere(
    archive: bytes, tmp_path: Path
) -> None:
    with pytest.raises(CoffretError) as caught:
        _again(archive, tmp_path)
    assert caught.value.exit_code == 1
    assert {path.name for path in tmp_path.iterdir()} == {"sources.zip", "unpacked"}
