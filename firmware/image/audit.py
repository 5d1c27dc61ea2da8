# SPDX-License-Identifier: Apache-2.0
"""The audit before signing: what the linked image will enforce is what was proved.

Three questions of the tables read back from the ELF. Is every field the plan's? Do the tables,
by names alone, make the flow graph of the policy document that is about to be signed? And do the
MPU words themselves keep tasks apart (no overlap, nothing both writable and executable)?
Any difference is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from boards.errors import NO, CoffretError
from boards.memory import Region
from enclaves import cbor
from enclaves.labels import from_mask
from firmware.compiler.tables import Component, components, grant_words, memory_words, window_words
from firmware.image import table_reader as reader
from firmware.image.mpu_words import decode
from firmware.planning.devices import NO_IRQ, SHARED_KINDS, DeviceKind
from firmware.planning.plan import FLAGS, NO_GATE, TO_SINK, ChannelKind, Flag, Kind, Plan, Task

_LIVES = {int(flags): life for life, flags in FLAGS.items()}


class AuditError(CoffretError):
    """The image differs from the policy; `differences` has a line each."""

    def __init__(self, elf: Path, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        listed = "\n".join(f"  {line}" for line in differences)
        super().__init__(
            f"{elf.name} does not enforce what was proved, and is not signed:\n{listed}",
            "remove the build folder and build again; if it stays, the toolchain is at fault",
            NO,
        )


@dataclass(frozen=True, slots=True)
class Audit:
    """What an image that passed holds, by name: for the bundle and for golden files."""

    flows: Mapping[str, Any]
    calls: Mapping[str, tuple[int, ...]]
    regions: Mapping[str, tuple[tuple[int, int, str], ...]]


def audit_image(
    elf: Path, plan: Plan, slot: int, runtime: Component, policy_document: bytes
) -> Audit:
    """Audit one linked image. Raises AuditError (exit code 1) with every difference."""
    try:
        tables = reader.read_tables(elf)
    except reader.TableError as error:
        raise AuditError(elf, [str(error)]) from error
    differences = list(_against_plan(tables, plan, slot, runtime))
    flows: Mapping[str, Any] = {}
    try:
        flows = flows_of(tables)
        differences += _against_policy(flows, policy_document)
    except (IndexError, KeyError, ValueError) as error:
        differences.append(f"the tables name what is not there: {error}")
    differences += _isolation(tables, plan)
    if differences:
        raise AuditError(elf, differences)
    return Audit(
        flows,
        {row.name: tuple(n for n in range(32) if row.calls >> n & 1) for row in tables.tasks},
        {
            row.name: tuple(
                (area.base, area.size, area.rights)
                for words in (row.memory, *row.grants)
                for area in decode(words, plan.board.mpu.flavour)
            )
            for row in tables.tasks
        },
    )


def _against_plan(
    tables: reader.Tables, plan: Plan, slot: int, runtime: Component
) -> Iterator[str]:
    """Every field against the plan."""
    expected = reader.Tables(
        appliance=plan.appliance,
        version=plan.version,
        board=plan.board.name,
        slot=slot,
        enclaves=len(plan.enclaves),
        tags=plan.tags,
        window=_pair(window_words(plan)),
        tasks=tuple(_task_row(plan, task, slot) for task in plan.tasks),
        sinks=tuple(reader.SinkRow(s.name, s.device, s.accepts) for s in plan.sinks),
        gates=tuple(
            reader.GateRow(g.name, g.releases, g.vouches, g.max_bytes, g.budget, g.window_s, g.task)
            for g in plan.gates
        ),
        channels=tuple(
            reader.ChannelRow(
                c.name,
                c.from_name,
                c.queue,
                c.min_size,
                c.max_size,
                c.depth,
                c.source,
                c.target,
                c.gate,
                c.reply_max,
                int(c.kind),
            )
            for c in plan.channels
        ),
        components=tuple(
            reader.ComponentRow(c.type, c.version, c.digest) for c in components(plan, runtime)
        ),
        devices=tuple(
            reader.DeviceRow(
                d.name,
                d.base,
                d.size,
                d.functions,
                d.irq,
                int(d.kind),
                d.id,
                d.task,
                d.event,
                d.function,
                int(d.implied),
                d.pins,
            )
            for d in plan.devices
        ),
    )
    yield from _compare("", tables, expected)


def _task_row(plan: Plan, task: Task, slot: int) -> reader.TaskRow:
    return reader.TaskRow(
        name=task.name,
        module=task.module,
        entry=task.entry,
        memory=_pair(memory_words(plan, task)),
        grants=tuple(map(_pair, grant_words(plan, task, slot))),
        memory_base=task.memory.base,
        memory_size=task.memory.size,
        stack_base=task.memory.base,
        stack_size=task.stack_size,
        window_save=task.window_save,
        heap_base=task.heap.base if task.heap else 0,
        heap_size=task.heap.size if task.heap else 0,
        secrecy=task.secrecy,
        integrity=task.integrity,
        calls=task.calls,
        backoff_ms=task.backoff_ms,
        slice_ms=task.slice_ms,
        kind=int(task.kind),
        priority=task.priority,
        restart=task.restart,
        flags=task.flags,
        body=task.body,
        partition=task.partition,
    )


def _compare(where: str, found: Any, expected: Any) -> Iterator[str]:
    """The differing leaves of two equal-shaped values: `tasks[1].secrecy: image 1, plan 0`."""
    if isinstance(expected, tuple) and isinstance(found, tuple):
        if len(found) != len(expected):
            yield f"{where}: image has {len(found)}, plan {len(expected)}"
        for index, pair in enumerate(zip(found, expected, strict=False)):
            yield from _compare(f"{where}[{index}]", *pair)
    elif hasattr(expected, "__dataclass_fields__"):
        for field in fields(expected):
            name = f"{where}.{field.name}" if where else field.name
            yield from _compare(name, getattr(found, field.name), getattr(expected, field.name))
    elif found != expected:
        yield f"{where}: image {_shown(found)}, plan {_shown(expected)}"


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)


def _pair(words: Any) -> tuple[int, int]:
    return words.rbar, words.attributes


def flows_of(tables: reader.Tables) -> dict[str, Any]:
    """The flow graph that the tables make, by name, in the shape of the policy document.

    Raises IndexError or KeyError when a number in them names nothing.
    """
    tags, tasks = tables.tags, tables.tasks
    code = {c.type.removeprefix("enclave:"): c.digest for c in tables.components}

    def names(bits: int) -> list[str]:
        return sorted(from_mask(bits, tags))

    def end(number: int) -> str:
        return tables.sinks[number - TO_SINK].name if number >= TO_SINK else tasks[number].name

    return {
        "appliance": tables.appliance,
        "tags": list(tags),
        "enclaves": [
            {
                "name": row.name,
                "secrecy": names(row.secrecy),
                "integrity": names(row.integrity),
                "life": _LIVES.get(row.flags, f"flags {row.flags:#x}"),
                "slice_ms": tasks[row.partition].slice_ms,
                "code": code[row.name],
                "devices": [
                    d.name
                    for d in tables.devices
                    if d.task == number and not d.implied and d.kind not in SHARED_KINDS
                ],
            }
            for number, row in enumerate(tasks)
            if row.kind == Kind.ENCLAVE
        ],
        "sinks": [{"name": s.name, "accepts": names(s.accepts)} for s in tables.sinks],
        "gates": [
            {
                "name": g.name,
                "enclave": tasks[g.task].name,
                "releases": names(g.releases),
                "vouches": names(g.vouches),
                "bytes": g.max_bytes,
                "messages": g.budget,
                "window_s": g.window_s,
            }
            for g in tables.gates
        ],
        "channels": [
            {
                "from": tasks[c.source].name,
                "to": end(c.target),
                "gate": None if c.gate == NO_GATE else tables.gates[c.gate].name,
                "min": c.min_size,
                "max": c.max_size,
                "depth": c.depth,
                "kind": ChannelKind(c.kind).name.lower(),
                "reply": c.reply_max,
            }
            for c in tables.channels
        ],
    }


def _against_policy(flows: Mapping[str, Any], document: bytes) -> Iterator[str]:
    """The graph of the image against the document that will be signed.

    What only the document has (words, owners, what is made, the grants) is not the monitor's.
    """
    policy: Any = cbor.decode(document)
    said = {
        "appliance": policy["appliance"],
        "tags": [tag["name"] for tag in policy["tags"]],
        "enclaves": [_without(e, "makes") for e in policy["enclaves"]],
        "sinks": [_without(e, "kind") for e in policy["ends"] if e["kind"] == "sink"],
        "gates": [_without(g, "grants", "raw") for g in policy["gates"]],
        "channels": policy["channels"],
    }
    for key, value in said.items():
        if flows[key] == value:
            continue
        if not isinstance(value, list) or len(value) != len(flows[key]):
            yield f"policy {key}: image {flows[key]!r}, policy {value!r}"
            continue
        for image, policy_row in zip(flows[key], value, strict=True):
            if image != policy_row:
                yield f"policy {key}: image {image!r}, policy {policy_row!r}"


def _without(row: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in keys}


def _registers(tables: reader.Tables, flavour: str) -> Iterator[str]:
    """What an enclave's protection regions open beside its memory is what its devices say."""
    for number, row in enumerate(tables.tasks):
        if row.kind != Kind.ENCLAVE:
            continue
        said = sorted((d.base, d.size) for d in tables.devices if d.task == number and d.size)
        opened = sorted(
            (area.base, area.size) for words in row.grants for area in decode(words, flavour)
        )
        if said != opened:
            yield f"{row.name}: its regions open {opened}, its devices have {said}"


def _pins(tables: reader.Tables) -> Iterator[str]:
    """One pin, one enclave; one interrupt of a device, one enclave."""
    owners: dict[tuple[str, int], str] = {}
    for row in tables.devices:
        if not row.task < tables.enclaves:
            yield f"{row.name} belongs to no enclave"
            continue
        name = tables.tasks[row.task].name
        mine = [("pin", row.id)] if row.kind == DeviceKind.PIN else []
        if row.kind != DeviceKind.PIN and row.irq != NO_IRQ:
            mine = [("interrupt", row.irq)]
        for what in mine:
            if owners.setdefault(what, name) != name:
                yield f"{what[0]} {what[1]} belongs to {owners[what]} and {name}"


def _isolation(tables: reader.Tables, plan: Plan) -> Iterator[str]:
    """The MPU words by themselves: who can reach what."""
    yield from _registers(tables, plan.board.mpu.flavour)
    yield from _pins(tables)
    private = [("the monitor", plan.monitor)]
    if plan.queues is not None:
        private.append(("the queues", plan.queues))
    writable: list[tuple[str, Region]] = [
        ("the window", area.region)
        for area in decode(tables.window, plan.board.mpu.flavour)
        if area.writable
    ]
    for row in tables.tasks:
        for words in (row.memory, *row.grants):
            for area in decode(words, plan.board.mpu.flavour):
                if area.writable and area.executable:
                    yield f"{row.name}: {area.base:#x} is writable and executable"
                if area.writable:
                    writable.append((row.name, area.region))
    # The roles of one worker take turns in one memory, and the monitor wipes it between them.
    bodies = {row.name: row.body for row in tables.tasks if row.flags & Flag.WORKER}
    for index, (name, mine) in enumerate(writable):
        for other, theirs in (*private, *writable[:index]):
            if name in bodies and bodies[name] == bodies.get(other) and mine == theirs:
                continue
            if other != name and mine.base < theirs.end and theirs.base < mine.end:
                yield f"{name} and {other} share memory at {max(mine.base, theirs.base):#x}"
