# SPDX-License-Identifier: Apache-2.0
"""The whole way from an appliance to a bundle, and that it is the same everywhere."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from elftools.elf.elffile import ELFFile

from firmware.appliance.manifest_file import load
from firmware.appliance.problems import ApplianceError
from firmware.build import RUNTIME_VERSION, build
from firmware.bundle.folder import Bundle, load_bundle
from firmware.bundle.rebuild import differences, same_key
from firmware.cli import build_command
from firmware.image.signer import LocalSigner
from firmware.sign_cli import signed_reference_values
from firmware.specialiser.program import specialise_appliance
from tests.firmware.builds import HELLO, REPOSITORY, TEST_KEY, board, means


def bundle_files(bundle: Bundle) -> dict[str, bytes]:
    """Every file by its name in the bundle."""
    paths = [path for path in bundle.folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(bundle.folder)): path.read_bytes() for path in paths}


def write_appliance(folder: Path, manifest: str, **modules: str) -> Path:
    """An appliance in a folder."""
    folder.mkdir(exist_ok=True)
    head = '[appliance]\nname = "test"\nversion = "1.0.0"\n'
    (folder / "appliance.toml").write_text(head + manifest)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_no_file_of_a_bundle_names_a_place_on_this_machine(hello: Bundle) -> None:
    for name, data in bundle_files(hello).items():
        assert str(Path.home()).encode() not in data, name
        assert str(hello.folder.parent).encode() not in data, name


def test_imgtool_verifies_both_slot_images(hello: Bundle) -> None:
    for slot in ("slot_a", "slot_b"):
        command = [sys.executable, "-m", "imgtool.main", "verify", "-k"]
        command += [str(hello.folder / "signing.pub.pem"), str(hello.path(slot))]
        good = subprocess.run(command, capture_output=True, check=False)
        assert good.returncode == 0, good.stderr


def test_the_sealed_image_has_no_compiler_and_no_repl(hello: Bundle) -> None:
    with hello.folder.joinpath("elf/slot_a.elf").open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        names = {symbol.name for symbol in table.iter_symbols()}
    assert "vm_main" in names
    unsealing = {"compile", "lexer", "pyexec", "repl", "readline", "eval", "exec", "execfile"}
    assert [name for name in names if unsealing & set(name.lower().split("_"))] == []


def test_an_appliance_without_devices_has_nothing_of_them(hello: Bundle) -> None:
    with hello.folder.joinpath("elf/slot_a.elf").open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        names = {symbol.name for symbol in table.iter_symbols()}
    assert "monitor_start" in names or "core_vectors" in names
    prefixes = ("device_", "machine_", "driver_", "board_pin", "board_device", "coffret_device")
    assert [name for name in names if name.startswith(prefixes)] == []


def test_nothing_of_an_image_is_both_writable_and_executable(hello: Bundle) -> None:
    with hello.folder.joinpath("elf/slot_a.elf").open("rb") as stream:
        flags = [section["sh_flags"] for section in ELFFile(stream).iter_sections()]
    assert not [flag for flag in flags if flag & 0x1 and flag & 0x4]  # SHF_WRITE, SHF_EXECINSTR


def test_a_build_says_what_it_did_and_how_long_it_took(hello: Bundle, tmp_path: Path) -> None:
    said: list[str] = []
    build(load(HELLO), board(), tmp_path / "b", means(hello.folder.parent / "work", said=said))
    assert len(said) >= 8
    assert all(line.endswith(" s)") for line in said)
    *steps, whole = (float(line.rpartition("(")[2].removesuffix(" s)")) for line in said)
    assert said[-1].startswith("all of it")
    assert whole >= sum(steps) - 0.005 * len(said)  # each is rounded


def test_another_enclaves_main_module_cannot_be_imported(tmp_path: Path) -> None:
    appliance = write_appliance(
        tmp_path / "a",
        '[enclave.one]\nmodule = "one.py"\n[enclave.two]\nmodule = "two.py"\n',
        one="import two\n",
        two="x = 1\n",
    )
    with pytest.raises(ApplianceError) as caught:
        specialise_appliance(load(appliance))
    assert caught.value.exit_code == 2
    assert "the main module of two" in caught.value.message
    assert "appliance.toml:5" in caught.value.message


def test_a_shared_module_can_be_imported_by_both(tmp_path: Path) -> None:
    appliance = write_appliance(
        tmp_path / "a",
        '[enclave.one]\nmodule = "one.py"\n[enclave.two]\nmodule = "two.py"\n',
        one="import common\n",
        two="import common\n",
        common="x = {1}\n",
    )
    assert "MICROPY_PY_BUILTINS_SET" in specialise_appliance(load(appliance)).reasons


def test_the_verb_refuses_what_a_sealed_image_does_not_have(tmp_path: Path) -> None:
    appliance = write_appliance(
        tmp_path / "a", '[enclave.one]\nmodule = "one.py"\n', one='\nexec("1")\n'
    )
    arguments = [str(appliance), "--board", "mps2-an385", "-o", str(tmp_path / "b")]
    key = tmp_path / "key.pem"
    key.touch(mode=0o600)
    key.write_bytes(
        TEST_KEY.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    result = CliRunner().invoke(build_command, [*arguments, "--key", str(key), "--json"])
    assert result.exit_code == 2
    problem = json.loads(result.stdout)["problems"][0]
    assert problem["file"].endswith("one.py")
    assert problem["line"] == 2
    assert "`exec`" in problem["what"]
    assert not (tmp_path / "b").exists()


def test_explain_builds_nothing_and_gives_reasons(tmp_path: Path) -> None:
    appliance = write_appliance(
        tmp_path / "a",
        '[enclave.one]\nmodule = "one.py"\n',
        one="x = {1}\nprint(1.5)\nunused = 3\n",
    )
    arguments = [str(appliance), "--board", "mps2-an385", "--explain"]
    every = CliRunner().invoke(build_command, arguments)
    assert every.exit_code == 0
    assert "FLOAT" in every.stdout
    assert "left out: one.py:3 unused" in every.stdout
    one = CliRunner().invoke(build_command, [*arguments, "set", "--json"])
    assert list(json.loads(one.stdout)) == ["MICROPY_PY_BUILTINS_SET"]
    assert one.stdout.count("one.py") == 1


def test_the_runtime_has_the_version_of_the_project() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["version"] == RUNTIME_VERSION


def test_what_was_built_is_what_loads(hello: Bundle) -> None:
    assert load_bundle(hello.folder) == hello


def test_a_bundle_reproduces_and_an_edit_shows(hello: Bundle, tmp_path: Path) -> None:
    again = build(load(HELLO), board(), tmp_path / "same", means(tmp_path / "work"))
    assert differences(hello, again, None) == ()
    edited = tmp_path / "edited"
    shutil.copytree(HELLO, edited)
    with (edited / "hello.py").open("a") as file:
        file.write("# a comment\n")
    changed = build(load(edited), board(), tmp_path / "changed", means(tmp_path / "work"))
    found = differences(hello, changed, None)
    assert found[0].what == "input hello.py"
    assert "digest image_a" in [difference.what for difference in found]


def test_who_has_another_key_can_still_check_a_bundle(hello: Bundle, tmp_path: Path) -> None:
    ways = means(tmp_path / "work")
    key = ec.derive_private_key(0xBAD, ec.SECP256R1())
    ways = dataclasses.replace(
        ways,
        signer=LocalSigner(key),
        endorse=lambda facts: signed_reference_values(facts, key),
    )
    again = build(load(HELLO), board(), tmp_path / "bundle", ways)
    assert not same_key(hello, again)
    assert differences(hello, again, None) == ()
    assert hello.facts.contents["elf/slot_a.elf"] == again.facts.contents["elf/slot_a.elf"]
