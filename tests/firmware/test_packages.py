# SPDX-License-Identifier: Apache-2.0
"""Packages are pinned by digest, and go the way of the appliance's own modules."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from boards.errors import CoffretError
from firmware.appliance.manifest_file import load
from firmware.appliance.modules import with_absolute_imports
from firmware.appliance.packages import folder_digest
from firmware.appliance.problems import ApplianceError
from firmware.specialiser.program import (
    frozen_modules,
    modules_of,
    shrink_appliance,
    specialise_appliance,
)
from tests.firmware.builds import build_bundle
from tests.firmware.vm_rig import build_image
from tests.qemu import needs_qemu

FILTERS = "def mean(values: list[int]) -> int:\n    return sum(values) // len(values)\n\n\n"
FILTERS += "def unused(x: set[int]) -> set[int]:\n    return {1} | x\n"
MAIN = "import enclave\nimport filters\n\nenclave.log(str(filters.mean([1, 2, 6])))\n"
MANIFEST = '[appliance]\nname = "user"\nversion = "1.0.0"\n\n[enclave.user]\nmodule = "user.py"\n\n'


def _folder(tmp_path: Path, sha256: str = "") -> Path:
    """An appliance with a package in a folder; its digest is the right one unless given."""
    appliance = tmp_path / "appliance"
    vendor = appliance / "vendor" / "filters"
    vendor.mkdir(parents=True)
    (vendor / "filters.py").write_text(FILTERS)
    right = folder_digest({"filters": vendor / "filters.py"}).hex()
    table = f'[package.filters]\nfolder = "vendor/filters"\nsha256 = "{sha256 or right}"\n'
    (appliance / "appliance.toml").write_text(MANIFEST + table)
    (appliance / "user.py").write_text(MAIN)
    return appliance


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel where pip looks for it, and an empty cache."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = wheels / "micro_filters-1.2-py3-none-any.whl"
    info = "micro_filters-1.2.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("filters.py", FILTERS)
        archive.writestr("inner/evil.py", "")
        archive.writestr("../escaped.py", "")
        head = "Metadata-Version: 2.1\nName: micro-filters\nVersion: 1.2\n"
        archive.writestr(f"{info}/METADATA", head)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return wheel


def _wheel(tmp_path: Path, sha256: str) -> Path:
    appliance = tmp_path / "appliance"
    appliance.mkdir()
    table = f'[package.filters]\nwheel = "micro-filters==1.2"\nsha256 = "{sha256}"\n'
    (appliance / "appliance.toml").write_text(MANIFEST + table)
    (appliance / "user.py").write_text(MAIN)
    return appliance


def test_a_packages_modules_are_analysed_with_the_appliances_own(tmp_path: Path) -> None:
    manifest = load(_folder(tmp_path))
    assert [module.name for module in modules_of(manifest)] == ["filters", "user"]
    assert "MICROPY_PY_BUILTINS_SET" not in specialise_appliance(manifest).reasons
    assert [each.name for each in shrink_appliance(manifest).removals] == ["unused"]


def test_bundle_and_bill_of_materials_list_a_package(tmp_path: Path) -> None:
    appliance = _folder(tmp_path)
    bundle = build_bundle(appliance, tmp_path)
    digest = load(appliance).packages[0].digest.hex()
    assert bundle.facts.inputs["package filters"] == digest
    bill = json.loads(bundle.path("sbom").read_text())
    listed = {each["name"]: each["hashes"][0]["content"] for each in bill["components"]}
    assert listed["filters"] == digest
    assert listed["filters.py"] == hashlib.sha256(FILTERS.encode()).hexdigest()


def test_a_wrong_digest_is_told_with_file_line_and_key(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError) as caught:
        load(_folder(tmp_path, "0" * 64))
    assert caught.value.exit_code == 2
    assert "appliance.toml:10: package.filters.sha256: " in caught.value.message


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    appliance = _folder(tmp_path)
    (appliance / "vendor" / "filters").rename(appliance / "elsewhere")
    with pytest.raises(ApplianceError) as caught:
        load(appliance)
    assert "appliance.toml:9: package.filters.folder: " in caught.value.message


def test_a_table_with_both_or_neither_is_refused(tmp_path: Path) -> None:
    appliance = _folder(tmp_path)
    path = appliance / "appliance.toml"
    path.write_text(path.read_text().replace("sha256", 'wheel = "a==1"\nsha256'))
    with pytest.raises(ApplianceError) as caught:
        load(appliance)
    assert "give either `folder` or `wheel`" in caught.value.message


def test_a_wheel_is_fetched_checked_and_unpacked_without_running_it(
    index: Path, tmp_path: Path
) -> None:
    manifest = load(_wheel(tmp_path, hashlib.sha256(index.read_bytes()).hexdigest()))
    (package,) = manifest.packages
    assert sorted(package.modules) == ["filters"]
    assert [module.name for module in modules_of(manifest)] == ["filters", "user"]
    assert not list((tmp_path / "cache").rglob("e*d.py"))
    index.unlink()  # from now on the cache answers
    assert load(tmp_path / "appliance") == manifest


@pytest.mark.usefixtures("index")
def test_a_wheel_with_another_digest_is_refused(tmp_path: Path) -> None:
    appliance = _wheel(tmp_path, "ab" * 32)
    with pytest.raises(ApplianceError) as caught:
        load(appliance)
    assert "appliance.toml:10: package.filters.sha256: the wheel of" in caught.value.message
    assert not list((tmp_path / "cache").rglob("filters.py"))


def test_a_wheel_that_is_nowhere_is_a_matter_of_the_environment(
    index: Path, tmp_path: Path
) -> None:
    index.unlink()
    with pytest.raises(CoffretError) as caught:
        load(_wheel(tmp_path, "ab" * 32))
    assert caught.value.exit_code == 3


NESTED = {
    "shapes/__init__.py": "from .solid import cube\nNAME = 'shapes'\n",
    "shapes/solid/__init__.py": "from . import cube\nfrom .. import edges as lines\n",
    "shapes/solid/cube.py": (
        "from ..edges import EDGES\n\ndef volume(side: int) -> int:\n"
        "    return side * side * side\n\n\ndef unused() -> set[int]:\n    return {1}\n"
    ),
    "shapes/edges.py": "EDGES = 12\n",
    "shapes/tests/test_cube.py": "import unittest\n",
}
USER = """\
import shapes.solid
import shapes.solid.cube as block
from shapes import edges
from shapes.solid.cube import EDGES, volume

print(shapes.NAME, shapes.cube.volume(2), block.volume(3), volume(4), edges.EDGES, EDGES)
print(shapes.solid.lines is edges, block is shapes.cube)
"""


def _nested(tmp_path: Path, *, at: str = "vendor", without: str = "") -> Path:
    """An appliance with a package of packages."""
    appliance = tmp_path / "appliance"
    for name, text in NESTED.items():
        path = appliance / at / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name != without:
            path.write_text(text)
    (appliance / "user.py").write_text(USER)
    (appliance / "appliance.toml").write_text(MANIFEST)
    return appliance


def _with_table(appliance: Path) -> Path:
    with (appliance / "appliance.toml").open("a") as manifest:
        manifest.write(f'[package.shapes]\nfolder = "vendor"\nsha256 = "{"0" * 64}"\n')
    with pytest.raises(ApplianceError) as caught:
        load(appliance)
    found = re.search(r"has the digest ([0-9a-f]{64})", caught.value.message)
    assert found is not None
    path = appliance / "appliance.toml"
    path.write_text(path.read_text().replace("0" * 64, found[1]))
    return appliance


@needs_qemu
def test_packages_within_packages_are_imported_by_their_dotted_names(tmp_path: Path) -> None:
    manifest = load(_with_table(_nested(tmp_path)))
    names = ["shapes", "shapes.edges", "shapes.solid", "shapes.solid.cube", "user"]
    assert [module.name for module in modules_of(manifest)] == names
    shrunk = shrink_appliance(manifest)
    assert [each.name for each in shrunk.removals] == ["unused"]
    specialisation = specialise_appliance(manifest)
    assert "MICROPY_PY_BUILTINS_SET" not in specialisation.reasons
    assert "MICROPY_PY_PACKAGES" in specialisation.reasons
    modules = frozen_modules(shrunk)
    image = build_image(modules, tmp_path, specialisation.switches)
    said = subprocess.run(
        [sys.executable, "-B", str(tmp_path / "appliance" / "user.py")],
        env={"PYTHONPATH": str(tmp_path / "appliance" / "vendor")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert image.run("user") == f"{said.stdout}[exit 0]\n"


def test_packages_may_lie_beside_the_main_module(tmp_path: Path) -> None:
    manifest = load(_nested(tmp_path, at="."))
    assert len(modules_of(manifest)) == 5


def test_a_folder_without_an_init_file_is_no_package(tmp_path: Path) -> None:
    appliance = _nested(tmp_path, at=".", without="shapes/solid/__init__.py")
    with pytest.raises(ApplianceError) as caught:
        load(appliance)
    assert "shapes.solid is no package; put __init__.py into the folder" in caught.value.message


def test_an_import_beyond_the_package_is_refused(tmp_path: Path) -> None:
    appliance = _nested(tmp_path, at=".")
    (appliance / "shapes" / "edges.py").write_text("from ... import user\n")
    with pytest.raises(ApplianceError) as caught:
        load(appliance)
    assert "edges.py:1: enclave.user: ...: a relative import beyond" in caught.value.message


def test_relative_imports_become_absolute_on_their_line() -> None:
    text = b"def f():\n    from . . import a, b  # both\n    from .c.d import (\n        e)\n"
    found = with_absolute_imports("p.q.r", Path("r.py"), text)
    assert (
        found
        == b"def f():\n    from p import a, b  # both\n    from p.q.c.d import (\n        e)\n"
    )
    inside = with_absolute_imports("p", Path("__init__.py"), b"from . import a\n")
    assert inside == b"from p import a\n"
