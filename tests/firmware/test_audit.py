# SPDX-License-Identifier: Apache-2.0
"""The audit reads a linked image back and finds any field that was changed."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from appliances import NOW, grant_everything, write_appliance
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from boards import model
from boards.config_header import config_header
from enclaves import cbor
from firmware.appliance.flows import FlowPolicy, flow_policy
from firmware.appliance.manifest_file import load
from firmware.compiler.object_cache import Roots
from firmware.compiler.tables import Component, tables_c
from firmware.compiler.toolchain import CORES, CompileJob, zig_toolchain
from firmware.image.audit import AuditError, audit_image
from firmware.planning.monitor_features import HEADER, constants, image_config
from firmware.planning.plan import Plan
from firmware.planning.planner import make_plan
from firmware.planning.syscalls import Call

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "firmware" / "runtime"
RUNTIME_COMPONENT = Component("runtime", "1.0.0", bytes(range(32)))

ENTRIES = """
struct task;
#define ENTRY(name) _Noreturn void name(const struct task *self) { (void)self; for (;;); }
ENTRY(vm_main) ENTRY(manager_main) ENTRY(attester_main)
"""
SCRIPT = """
SECTIONS {
  . = 0x21000200;
  .text : { KEEP(*(.text .text.*)) }
  .rodata : { KEEP(*(.rodata .rodata.*)) }
  .monitor 0x20000000 (NOLOAD) : { KEEP(*(.monitor.*)) }
  /DISCARD/ : { *(.ARM.exidx .ARM.exidx.*) }
}
"""


@dataclass(frozen=True, slots=True)
class Built:
    """A linked image of nothing but tables, with what it was made from."""

    elf: Path
    plan: Plan
    policy: FlowPolicy


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("audit")
    appliance = write_appliance(folder / "full")
    grant_everything(appliance)
    manifest = load(appliance)
    board = model.load("mps2-an385")
    plan = make_plan(manifest, board)
    work = folder / "work"
    work.mkdir()
    (work / "tables.c").write_text(tables_c(plan, 0, RUNTIME_COMPONENT))
    (work / "entries.c").write_text(ENTRIES)
    (work / "board_config.h").write_text(config_header(board))
    (work / HEADER).write_text(image_config(constants(plan.features)))
    (work / "image.ld").write_text(SCRIPT)
    includes = (work, RUNTIME, RUNTIME / "include", RUNTIME / "libc", *board.include_directories)
    toolchain, core = zig_toolchain(), CORES[board.core]
    flags = ("-Wall", "-Wextra", "-Werror")
    jobs = [CompileJob(work / name, includes, flags=flags) for name in ("tables.c", "entries.c")]
    objects = toolchain.compile(jobs, core, Roots({"coffret": ROOT, "work": work}))
    elf = toolchain.link(objects, work / "image.ld", work / "image.elf", core)
    return Built(elf, plan, flow_policy(manifest, NOW))


def audit(built: Built, elf: Path | None = None, **changes: object) -> None:
    arguments: dict[str, object] = {
        "plan": built.plan,
        "slot": 0,
        "runtime": RUNTIME_COMPONENT,
        "policy_document": built.policy.document,
        **changes,
    }
    audit_image(elf or built.elf, **arguments)  # type: ignore[arg-type]


def test_the_image_as_linked_passes(built: Built) -> None:
    report = audit_image(built.elf, built.plan, 0, RUNTIME_COMPONENT, built.policy.document)
    assert report.flows["channels"][2] == {
        "from": "meter",
        "to": "diary",
        "gate": "meter.checked",
        "min": 0,
        "max": 8,
        "depth": 4,
        "kind": "emit",
        "reply": 0,
    }
    assert report.flows["enclaves"][0]["devices"] == ["uart2"]
    assert report.regions["sensor"][1] == (0x4000_6000, 0x1000, "rw")
    absent = (Call.CALL, Call.REPLY, Call.ANSWER)  # no channel of the appliance is a call
    calls = (*range(13), Call.DEVICE)
    assert report.calls["sensor"] == tuple(call for call in calls if call not in absent)


def symbols(elf: Path) -> dict[str, tuple[int, int]]:
    """Offset in the file and size of every table."""
    found = {}
    with elf.open("rb") as file:
        image = ELFFile(file)
        for table in image.iter_sections():
            if not isinstance(table, SymbolTableSection):
                continue
            for symbol in table.iter_symbols():
                if not symbol.name.startswith("coffret_") or symbol["st_shndx"] == "SHN_UNDEF":
                    continue
                section = image.get_section(symbol["st_shndx"])
                if section["sh_type"] != "SHT_NOBITS":
                    offset = section["sh_offset"] + symbol["st_value"] - section["sh_addr"]
                    found[symbol.name] = (offset, symbol["st_size"])
    return found


TABLES = (
    "coffret_tasks",
    "coffret_channels",
    "coffret_gates",
    "coffret_sinks",
    "coffret_components",
    "coffret_counts",
    "coffret_window",
    "coffret_tag_names",
    "coffret_appliance_name",
    "coffret_appliance_version",
    "coffret_board_name",
)


def changed_images(built: Built, table: str) -> Iterator[tuple[int, bytes]]:
    """The image with each single byte of one table changed, one after the other."""
    data = built.elf.read_bytes()
    offset, size = symbols(built.elf)[table]
    assert size
    for at in range(offset, offset + size):
        changed = bytearray(data)
        changed[at] ^= 0x01
        yield at - offset, bytes(changed)


@pytest.mark.parametrize("table", TABLES)
def test_any_changed_byte_of_a_table_is_found(built: Built, table: str, tmp_path: Path) -> None:
    missed = []
    for at, image in changed_images(built, table):
        elf = tmp_path / "changed.elf"
        elf.write_bytes(image)
        try:
            audit(built, elf)
        except AuditError as error:
            assert error.differences
            assert error.exit_code == 1
        else:
            missed.append(at)
    assert not missed


def test_a_difference_names_the_field_and_both_values(built: Built, tmp_path: Path) -> None:
    data = bytearray(built.elf.read_bytes())
    offset, _ = symbols(built.elf)["coffret_gates"]
    struct.pack_into("<I", data, offset + 24, 2)  # the budget of the first gate
    elf = tmp_path / "changed.elf"
    elf.write_bytes(data)
    with pytest.raises(AuditError) as caught:
        audit(built, elf)
    assert "gates[0].budget: image 2, plan 1" in caught.value.differences
    assert any(
        "policy gates" in line and "'messages': 2" in line for line in caught.value.differences
    )


def test_the_other_slot_is_not_this_one(built: Built) -> None:
    with pytest.raises(AuditError, match="slot: image 0, plan 1"):
        audit(built, slot=1)


def test_another_policy_is_found_even_when_the_plan_agrees(built: Built) -> None:
    policy = cbor.decode(built.policy.document)
    assert isinstance(policy, dict)
    for section, key, value in (
        ("enclaves", "secrecy", ["alice/health", "bob/steps", "calibrated"]),
        ("enclaves", "integrity", ["calibrated", "x"]),
        ("enclaves", "code", bytes(32)),
        ("enclaves", "devices", ["gpio0"]),
        ("gates", "bytes", 17),
        ("gates", "messages", 2),
        ("gates", "window_s", 1),
        ("gates", "releases", []),
        ("gates", "vouches", ["bob/steps"]),
        ("channels", "to", "usb"),
        ("channels", "gate", "coach.count"),
        ("channels", "depth", 9),
        ("ends", "accepts", ["alice/health"]),
    ):
        document = cbor.decode(built.policy.document)
        assert isinstance(document, dict)
        rows = document[section]
        assert isinstance(rows, list)
        row = rows[0]
        assert isinstance(row, dict)
        assert row[key] != value
        row[key] = value
        with pytest.raises(AuditError, match=r"policy"):
            audit(built, policy_document=cbor.encode(document))


def test_memory_that_two_tasks_share_is_found_even_when_the_plan_says_so(
    built: Built, tmp_path: Path
) -> None:
    """The third question is asked of the words alone."""
    first, second, *rest = built.plan.tasks
    plan = replace(built.plan, tasks=(first, replace(second, memory=first.memory), *rest))
    with pytest.raises(AuditError):
        audit(built, plan=plan)
    data = bytearray(built.elf.read_bytes())
    offset, size = symbols(built.elf)["coffret_tasks"]
    row = size // len(built.plan.tasks)
    data[offset + row + 12 : offset + row + 20] = data[offset + 12 : offset + 20]
    elf = tmp_path / "changed.elf"
    elf.write_bytes(data)
    with pytest.raises(AuditError, match="diary and sensor share memory"):
        audit(built, elf, plan=plan)


def test_a_file_that_is_no_image_is_refused(built: Built, tmp_path: Path) -> None:
    junk = tmp_path / "junk.elf"
    junk.write_bytes(b"not an ELF")
    with pytest.raises(AuditError, match="not an ELF image"):
        audit(built, junk)
    junk.write_bytes(built.elf.read_bytes()[:3000])
    with pytest.raises(AuditError):
        audit(built, junk)


def test_a_table_that_is_only_asked_for_is_not_there(built: Built, tmp_path: Path) -> None:
    """The linker keeps the name of a weak table that an image has not; it has no address."""
    data = bytearray(built.elf.read_bytes())
    with built.elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        number = next(
            i for i, each in enumerate(table.iter_symbols()) if each.name == "coffret_devices"
        )
        struct.pack_into("<H", data, table["sh_offset"] + 16 * number + 14, 0)  # SHN_UNDEF
    elf = tmp_path / "asked.elf"
    elf.write_bytes(data)
    with pytest.raises(AuditError, match="the image has no coffret_devices"):
        audit(built, elf)
