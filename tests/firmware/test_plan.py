# SPDX-License-Identifier: Apache-2.0
"""The plan: numbers in the manifest's order, memory that the MPU can express, least permission."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path

import pytest
from appliances import FULL, write_appliance
from hypothesis import given, settings
from hypothesis import strategies as st

from boards import model
from boards.memory import Region
from boards.mpu import Access
from boards.regions import region
from firmware.appliance.manifest_file import load
from firmware.appliance.problems import ApplianceError
from firmware.compiler.tables import Component, tables_c
from firmware.image.mpu_words import decode
from firmware.planning.memory import DoesNotFitError, Need, RuntimeSizes, share_out
from firmware.planning.plan import ChannelKind, Plan
from firmware.planning.plan_document import plan_document
from firmware.planning.planner import make_plan
from firmware.planning.syscalls import Call

BOARD = model.load("mps2-an385")
INCLUDE = Path(__file__).parents[2] / "firmware/runtime/include/coffret"
RUNTIME = Component("runtime", "1", bytes(32))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_plan(load(write_appliance(tmp_path)), BOARD)


ROLES = """
[appliance]
name = "roles"
version = "1.0.0"
[enclave.sensor]
module = "sensor.py"
slice_ms = 5
[enclave.reader]
module = "diary.py"
runs = "worker"
slice_ms = 5
[enclave.reader.role.alice]
[enclave.reader.role.bob]
[[channel]]
from = "sensor"
to = "reader.bob"
size = 8
"""


def test_roles_take_turns_in_one_memory_and_one_slice_or_have_their_own_apart(
    tmp_path: Path,
) -> None:
    together = make_plan(load(write_appliance(tmp_path / "together", ROLES)), BOARD)
    text = ROLES.replace('runs = "worker"', 'runs = "worker"\napart = true')
    apart = make_plan(load(write_appliance(tmp_path / "apart", text)), BOARD)
    alice, bob = (together.task(f"reader.{role}") for role in ("alice", "bob"))
    assert alice.memory == bob.memory
    assert (bob.body, bob.partition, bob.slice_ms) == (alice.number, alice.number, 0)
    alice, bob = (apart.task(f"reader.{role}") for role in ("alice", "bob"))
    assert alice.memory.end <= bob.memory.base or bob.memory.end <= alice.memory.base
    assert (bob.body, bob.partition, bob.slice_ms) == (bob.number, bob.number, 5)


def test_only_a_worker_with_roles_has_them_apart(tmp_path: Path) -> None:
    text = ROLES.replace('module = "sensor.py"', 'module = "sensor.py"\napart = true')
    with pytest.raises(ApplianceError) as caught:
        load(write_appliance(tmp_path, text))
    (problem,) = caught.value.problems
    assert "there are no roles; remove it" in str(problem)


def test_calls_have_the_numbers_of_the_header() -> None:
    text = (INCLUDE / "syscall.h").read_text()
    header = {m[1]: int(m[2]) for m in re.finditer(r"SYS_([A-Z_]+) = ([0-9]+)", text)}
    del header["COUNT"]
    assert header == {call.name: call.value for call in Call}


def test_tasks_are_enclaves_in_the_manifests_order_then_the_services(plan: Plan) -> None:
    names = [task.name for task in plan.tasks]
    assert names == ["sensor", "diary", "coach", "meter", "uplink", "manager", "attester"]
    assert [task.number for task in plan.tasks] == list(range(7))
    assert plan.tags == ("alice/health", "calibrated", "bob/steps")
    diary = plan.task("diary")
    assert (diary.secrecy, diary.integrity) == (0b101, 0b010)


def test_an_enclave_may_make_the_calls_of_what_the_appliance_has_and_no_service_call(
    plan: Plan,
) -> None:
    absent = sum(1 << call for call in (Call.CALL, Call.REPLY, Call.ANSWER))  # no channel is a call
    for task in plan.enclaves:
        devices = any(row.task == task.number for row in plan.devices)
        assert task.calls == 0x1FFF & ~absent | devices << Call.DEVICE
    manager, attester = plan.task("manager"), plan.task("attester")
    assert not manager.calls >> Call.SEND & 1
    assert not manager.calls >> Call.EVIDENCE_NEXT & 1
    # The evidence says how the tasks fare and what the log was: both are only read.
    services = attester.calls & sum(1 << call for call in range(16, 28))
    assert services == 1 << Call.LOG_READ | 1 << Call.TASK_INFO


def test_memory_of_a_task_is_stack_then_window_then_heap_and_no_gap(plan: Plan) -> None:
    for task in plan.enclaves:
        assert task.heap is not None
        assert task.window_save == task.memory.base + task.stack_size
        assert task.window_save % 64 == 0
        assert task.heap.base == task.window_save + plan.window.size
        assert task.heap.end == task.memory.end
    assert plan.task("coach").stack_size == 3008  # 3000, in whole blocks of the window
    assert plan.task("attester").memory.end == BOARD.memory.ram.end


def test_no_two_of_monitor_queues_window_and_tasks_share_a_byte(plan: Plan) -> None:
    assert plan.queues is not None
    areas = [plan.monitor, plan.queues, plan.window, *(task.memory for task in plan.tasks)]
    for one, other in combinations(areas, 2):
        assert one.end <= other.base or other.end <= one.base
        assert BOARD.memory.ram.contains(one)


def test_queues_have_room_for_every_message_and_its_length(plan: Plan) -> None:
    assert plan.queues is not None
    at = plan.queues.base
    for channel in plan.channels:
        if channel.target & 0x80:
            assert channel.queue == 0
            continue
        assert channel.queue == at
        entries = channel.depth + (channel.kind is ChannelKind.EMIT)  # one for what is dropped
        at += entries * (4 + (channel.max_size + 3) // 4 * 4)
    assert at == plan.queues.end


def test_the_manager_sees_the_other_slot_and_nobody_can_write_it(plan: Plan) -> None:
    manager = plan.task("manager")
    for slot in (0, 1):
        other = next(g for g in manager.grants[slot] if g.name == "other_slot")
        assert other.region == BOARD.slot(1 - slot)
        assert other.access is Access.READ
    assert plan.task("sensor").grants[0][0].region.base == BOARD.device["uart2"].base
    assert all(not task.grants[0] for task in plan.enclaves if task.name != "sensor")


def test_the_same_manifest_gives_the_same_plan_and_tables(plan: Plan, tmp_path: Path) -> None:
    again = make_plan(load(tmp_path), BOARD)
    assert again == plan
    assert asdict(again) == asdict(plan)
    assert tables_c(again, 0, RUNTIME) == tables_c(plan, 0, RUNTIME)
    assert tables_c(again, 1, RUNTIME) != tables_c(plan, 0, RUNTIME)


def test_a_text_that_would_break_out_of_a_c_string_is_never_written(plan: Plan) -> None:
    for version in ('1"; evil();', "1\\", "1\n", "??/", "é"):
        with pytest.raises(ValueError, match="C string"):
            tables_c(plan, 0, Component("runtime", version, bytes(32)))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            'devices = ["uart2"]',
            'devices = ["uart9"]',
            "appliance.toml:27: enclave.sensor.devices[0]: mps2-an385 has no device uart9; "
            "did you mean `uart2`?",
        ),
        (
            'devices = ["uart2"]',
            'devices = ["usb"]',
            "appliance.toml:27: enclave.sensor.devices[0]: usb belongs to a driver of the monitor; "
            'declare [sink.usb] and a channel to = "usb"',
        ),
        (
            'devices = ["usb"]\n',
            'devices = ["camera"]\n',
            "appliance.toml:7: requires.devices[0]: mps2-an385 has no camera; choose another "
            "board, or known are: usb, uart2, gpio0, timer1, spi2, spi3, i2c2, i2c3, wdt, "
            "unique_id, settings, and pins (coffret boards show mps2-an385)",
        ),
        (
            "[sink.usb]",
            "[sink.gpio0]\n[sink.usb]",
            "appliance.toml:65: sink.gpio0: mps2-an385 has no sink gpio0; grant it to one enclave "
            '(`devices = ["gpio0"]`), which then drives it',
        ),
        (
            'module = "diary.py"',
            'module = "diary.py"\nheap = "1M"',
            "appliance.toml:35: enclave.diary.heap: the appliance needs 1670 KiB of RAM, "
            "mps2-an385 has 256 KiB; make `heap` of diary smaller than 1024 KiB, or choose a "
            "larger board",
        ),
    ],
)
def test_what_the_board_lacks_is_said_with_the_line(
    before: str, after: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert before in FULL
    write_appliance(tmp_path, FULL.replace(before, after))
    monkeypatch.chdir(tmp_path)
    board = BOARD
    if "RAM" in expected:  # a board with less
        memory = BOARD.memory.model_copy(
            update={"ram": Region(base=BOARD.memory.ram.base, size=0x40000)}
        )
        board = BOARD.model_copy(update={"memory": memory})
    with pytest.raises(ApplianceError) as caught:
        make_plan(load(Path()), board)
    assert caught.value.text().splitlines()[0] == expected
    assert caught.value.exit_code == 2


def test_a_channel_to_a_device_that_an_enclave_drives_is_refused(tmp_path: Path) -> None:
    text = FULL.replace("[sink.usb]", "[sink.uart2]\naccepts = []\n[sink.usb]")
    text = text.replace('from = "uplink"\nto = "usb"', 'from = "uplink"\nto = "uart2"')
    with pytest.raises(ApplianceError, match="uart2 is driven by sensor itself; send to sensor"):
        make_plan(load(write_appliance(tmp_path, text)), BOARD)


NEEDS = st.lists(st.tuples(st.integers(2048, 9000), st.integers(2048, 200_000)), max_size=8)


@settings(max_examples=40)
@given(NEEDS, st.integers(0, 5000))
def test_any_mix_of_sizes_is_placed_apart_and_expressible_or_refused(
    sizes: list[tuple[int, int]], queues: int
) -> None:
    needs = [Need(f"e{n}", stack // 32 * 32, heap) for n, (stack, heap) in enumerate(sizes)]
    try:
        memory = share_out(BOARD, RuntimeSizes(), needs, queues // 4 * 4)
    except DoesNotFitError as error:
        assert error.needed > error.available
        return
    for need in needs:
        area = memory.tasks[need.name]
        assert area.size >= need.stack + need.heap + memory.window.size
        words = region(BOARD.mpu, 4, area.base, area.size, Access.RAM)
        (opened,) = decode((words.rbar, words.attributes))
        assert (opened.base, opened.size, opened.rights) == (area.base, area.size, "rw")
    areas = [memory.monitor, memory.window, *memory.tasks.values()]
    areas += [memory.queues] if memory.queues else []
    for one, other in combinations(areas, 2):
        assert one.end <= other.base or other.end <= one.base


@given(st.integers(0, 7), st.integers(5, 20), st.integers(0, 255), st.sampled_from(list(Access)))
def test_words_are_decoded_as_the_board_model_encodes_them(
    number: int, exponent: int, seed: int, access: Access
) -> None:
    whole = 1 << exponent
    parts = 8 if whole >= 256 else 1
    first, count = seed % parts, 1 + seed // parts % parts
    if first + count > parts:
        first, count = 0, parts
    base = 0x2000_0000 + first * whole // parts
    size = count * whole // parts
    words = region(BOARD.mpu, number, base, size, access)
    areas = list(decode((words.rbar, words.attributes)))
    if access in (Access.NONE, Access.PRIVILEGED_FLASH, Access.PRIVILEGED_RAM):
        assert areas == []
        return
    (area,) = areas
    assert (area.base, area.size) == (base, size)
    assert area.writable == (access in (Access.RAM, Access.DEVICE))
    assert area.executable == (access is Access.CODE)


def test_a_plan_is_a_document_that_shows_every_difference(plan: Plan) -> None:
    text = plan_document(plan)
    assert text == plan_document(plan)
    document = json.loads(text)
    assert document["board"] == "mps2-an385"
    assert document["tasks"][1]["secrecy"] == ["alice/health", "bob/steps"]
    assert document["tasks"][0]["grants"][0][0] == {
        "name": "uart2",
        "region": "0x40006000..0x40007000",
        "access": "device",
    }
    first, *rest = plan.gates
    other = plan_document(replace(plan, gates=(replace(first, budget=2), *rest)))
    changed = [
        (before, after)
        for before, after in zip(text.splitlines(), other.splitlines(), strict=True)
        if before != after
    ]
    assert [(b.strip(), a.strip()) for b, a in changed] == [('"budget": 1,', '"budget": 2,')]


def test_more_gates_than_the_monitor_can_remember_are_refused(tmp_path: Path) -> None:
    manifest = load(write_appliance(tmp_path))
    many = replace(manifest, gates=manifest.gates * 17)
    with pytest.raises(ApplianceError, match="16 is the most"):
        make_plan(many, BOARD)
