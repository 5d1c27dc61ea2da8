# SPDX-License-Identifier: Apache-2.0
"""A bundle loads whole or not at all, and says truly what is in it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from elftools.elf.elffile import ELFFile

import attest
from firmware.bundle.folder import FACTS_FILE, Bundle, BundleError, load_bundle, staged
from firmware.bundle.sbom import MIT, Part, Tool, sbom
from firmware.bundle.sizes import PARTS, MapError, part_sizes, pieces
from firmware.cli import inspect_command
from firmware.image.format import HEADER_SIZE
from tests.firmware.builds import TEST_KEY


@pytest.fixture
def copy(hello: Bundle, tmp_path: Path) -> Path:
    """A bundle that a test may damage."""
    folder = tmp_path / "bundle"
    shutil.copytree(hello.folder, folder)
    return folder


def change_facts(folder: Path, change: Callable[[Any], None]) -> None:
    """Rewrites bundle.json."""
    path = folder / FACTS_FILE
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


def put(folder: Path, name: str, data: bytes) -> None:
    """Replaces a file and its digest in bundle.json, as a clever forger would."""
    (folder / name).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    change_facts(folder, lambda facts: facts["contents"].update({name: digest}))


def refused(folder: Path, code: int) -> str:
    """What loading says."""
    with pytest.raises(BundleError) as caught:
        load_bundle(folder)
    assert caught.value.exit_code == code
    assert caught.value.mend
    return caught.value.message


def test_a_bundle_survives_being_moved(copy: Path, hello: Bundle) -> None:
    assert load_bundle(copy).facts == hello.facts


@pytest.mark.parametrize(
    "name",
    [
        *("slot_a.bin", "slot_b.bin", "boot.elf", "boot.bin", "policy.cbor", "sbom.json"),
        *("corim.cbor", "provenance.intoto.jsonl", "elf/slot_a.elf", "elf/slot_b.elf"),
    ],
)
def test_a_changed_byte_in_any_file_is_noticed(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    assert name in refused(copy, 1)


def test_a_missing_file_is_noticed(copy: Path) -> None:
    (copy / "policy.cbor").unlink()
    assert "policy.cbor" in refused(copy, 2)


def test_an_image_with_a_fitting_digest_but_a_changed_bit_is_refused(copy: Path) -> None:
    data = bytearray((copy / "slot_a.bin").read_bytes())
    data[HEADER_SIZE + 100] ^= 1
    put(copy, "slot_a.bin", bytes(data))
    assert "its digest is wrong" in refused(copy, 1)


def test_the_images_of_the_slots_cannot_be_swapped(copy: Path) -> None:
    a, b = (copy / "slot_a.bin").read_bytes(), (copy / "slot_b.bin").read_bytes()
    put(copy, "slot_a.bin", b)
    put(copy, "slot_b.bin", a)
    assert "digest" in refused(copy, 1)


def test_another_policy_than_the_signed_one_is_refused(copy: Path) -> None:
    data = (copy / "policy.cbor").read_bytes() + b"\0"
    put(copy, "policy.cbor", data)
    digest = hashlib.sha256(data).hexdigest()
    change_facts(copy, lambda facts: facts["digests"].update(policy=digest))
    assert "policy digest" in refused(copy, 1)


def test_another_sbom_than_the_signed_one_is_refused(copy: Path) -> None:
    put(copy, "sbom.json", (copy / "sbom.json").read_bytes() + b"\n")
    assert "SBOM digest" in refused(copy, 1)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("board", "other", "board"),
        ("version", "1.0.1", "version"),
        ("security_counter", 9, "security counter"),
    ],
)
def test_facts_that_the_images_do_not_sign_are_refused(
    copy: Path, key: str, value: object, what: str
) -> None:
    change_facts(copy, lambda facts: facts.update({key: value}))
    assert f"its {what} is" in refused(copy, 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.pop("sizes"),
        lambda facts: facts.update(more=1),
        lambda facts: facts.update(format=2),
        lambda facts: facts["files"].update(slot_a="../../etc/passwd"),
        lambda facts: facts["contents"].update({"/etc/passwd": "0" * 64}),
        lambda facts: facts["contents"].pop("slot_a.bin"),
        lambda facts: facts["digests"].update(policy="x"),
        lambda facts: facts["sizes"].update(vm=-1),
    ],
)
def test_malformed_facts_name_the_key(copy: Path, change: Callable[[Any], None]) -> None:
    change_facts(copy, change)
    assert FACTS_FILE in refused(copy, 2)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '"\ud800"'])
def test_facts_that_are_no_document_are_refused(copy: Path, text: str) -> None:
    (copy / FACTS_FILE).write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(copy, 2)


def test_a_folder_without_facts_is_no_bundle(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path, 2)


def test_inspect_prints_what_scripts_rely_on(hello: Bundle) -> None:
    result = CliRunner().invoke(inspect_command, [str(hello.folder), "--json"])
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    keys = {"appliance", "version", "board", "sizes", "ram", "digests", "files"}
    assert set(document) == keys
    assert set(document["sizes"]) == {"boot", "image", *PARTS}
    assert set(document["ram"]) == {"monitor", "enclaves"}
    assert list(document["ram"]["enclaves"]) == ["hello"]
    assert set(document["digests"]) == {"image_a", "image_b", "policy"}
    for name in document["files"].values():
        assert (hello.folder / name).is_file()
    assert "virtual machine" in CliRunner().invoke(inspect_command, [str(hello.folder)]).stdout


def test_the_sizes_of_the_parts_add_up_to_the_image(hello: Bundle) -> None:
    sizes = hello.facts.sizes.model_dump()
    body = len(hello.images[0].body)
    assert sum(sizes[part] for part in PARTS) == body
    assert sizes["image"] == hello.path("slot_a").stat().st_size == hello.images[0].size
    assert sizes["boot"] == (hello.folder / "boot.bin").stat().st_size
    with hello.folder.joinpath("elf/slot_a.elf").open("rb") as stream:
        symbols = ELFFile(stream).get_section_by_name(".symtab")
        tables = [
            int(symbol["st_size"])
            for symbol in symbols.iter_symbols()
            if symbol.name.startswith("coffret_") and not symbol.name.endswith("_states")
        ]
    # The tables' own symbols are most of what is counted as tables; the rest is their strings.
    assert 0.6 * sizes["tables"] < sum(tables) <= sizes["tables"]


def test_hello_fits_what_was_promised(hello: Bundle) -> None:
    assert hello.facts.sizes.image <= 72 * 1024
    assert hello.facts.sizes.boot <= 16 * 1024 + 512


def test_the_reference_values_are_signed_and_those_of_the_bundle(hello: Bundle) -> None:
    values = attest.load_bundle(hello.folder, TEST_KEY.public_key())
    facts = hello.facts
    assert values.image_a.hex() == facts.digests.image_a
    assert values.boot.hex() == facts.reference.boot
    assert values.runtime.hex() == facts.reference.runtime
    assert [name for name, _ in values.enclaves] == ["hello"]


def test_the_sbom_is_valid_cyclonedx_and_names_every_source(hello: Bundle) -> None:
    text = hello.path("sbom").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    found = {c["name"]: c["hashes"][0]["content"] for c in document["components"]}
    assert set(found) == {"micropython", "mbedtls", "coffret-runtime", "hello.py"}
    assert {name: found[name] for name in ("hello.py", "micropython", "mbedtls")} == (
        hello.facts.inputs
    )
    assert "timestamp" not in document["metadata"]
    assert document["metadata"]["component"]["name"] == "hello"


def test_the_sbom_depends_on_its_content_alone() -> None:
    appliance = Part("firmware", "a", "1.0.0", bytes(32))
    parts = [Part("library", "b", "1", bytes(32), MIT)]
    tools = [Tool("c", "1")]
    assert sbom(appliance, parts, tools) == sbom(appliance, parts, tools)
    other = sbom(appliance, [Part("library", "b", "2", bytes(32), MIT)], tools)
    serial = json.loads(other)["serialNumber"]
    assert serial != json.loads(sbom(appliance, parts, tools))["serialNumber"]


def test_a_failed_build_leaves_the_old_bundle(copy: Path) -> None:
    with pytest.raises(RuntimeError), staged(copy) as fresh:
        (fresh / "half").write_bytes(b"")
        raise RuntimeError
    load_bundle(copy)
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_a_new_bundle_replaces_the_old_one_as_a_whole(copy: Path) -> None:
    with staged(copy) as fresh:
        (fresh / FACTS_FILE).write_bytes(b"{}")
    assert [path.name for path in copy.iterdir()] == [FACTS_FILE]
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_a_folder_that_is_no_bundle_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError), staged(tmp_path):
        pass
    assert (tmp_path / "thesis.txt").is_file()


MAP = """\
             VMA              LMA     Size Align Out     In      Symbol
        21000200         21000200       40     4 .vectors
        21000200         21000200       40     1         /c/aa/monitor.o:(.vectors)
        21000200         21000200       40     1                 core_vectors
        21000240         21000240      100     4 .text
        21000240         21000240       80     4         /c/bb/vm.o:(.text.mp_init)
        210002c0         210002c0       20     4         /c/lib.a(u.o):(.text.u)
        210002e0         210002e0       10     4         /c/aa/monitor.o:(.text.monitor_call)
        210002f4         210002f4        c     4         /c/bb/vm.o:(.rodata.fun_data_hello)
        21000300         21000300       40     4         /c/cc/tables.o:(.rodata.coffret_tasks)
        20000000         20000000       40     4         /c/aa/monitor.o:(.monitor.bss)
"""


def test_every_byte_of_a_map_belongs_to_one_part() -> None:
    origins = {Path("/c/aa/monitor.o"): "monitor", Path("/c/cc/tables.o"): "tables"}
    sizes = part_sizes(MAP, origins, 0x21000200, 0x140)
    # 4 bytes of alignment count to the monitor's function before them.
    assert sizes == {"monitor": 0x40 + 0x14, "vm": 0xA0, "bytecode": 0xC, "tables": 0x40}
    assert len(pieces(MAP)) == 7
    with pytest.raises(MapError):
        part_sizes("nothing", origins, 0, 1)
