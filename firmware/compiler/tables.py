# SPDX-License-Identifier: Apache-2.0
"""`tables.c`: the plan as the const tables of include/coffret/tables.h, one text per slot.

Compile it without link-time optimisation: then the monitor reads these very bytes, and the audit
of the linked image (`firmware.image.audit`) is an audit of what will be enforced.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from boards.memory import Region
from boards.mpu import Access, RegionWords
from boards.regions import no_region, region
from firmware.planning.devices import GrantedDevice
from firmware.planning.monitor_features import HEADER, Feature
from firmware.planning.plan import TO_SINK, ChannelKind, Flag, Kind, Plan, Task

LABEL_WORDS = 2
WINDOW_REGION, MEMORY_REGION, FIRST_GRANT_REGION = 3, 4, 5
TASK_GRANTS = 2


@dataclass(frozen=True, slots=True)
class Component:
    """A line of the evidence: `runtime`, `enclave:NAME`, `radio`. `digest` has 32 bytes."""

    type: str
    version: str
    digest: bytes


def components(plan: Plan, runtime: Component) -> tuple[Component, ...]:
    """What the image says of itself: the runtime, every enclave, what its radio must have."""
    enclaves = (
        Component(f"enclave:{task.name}", plan.version, task.code_digest or b"")
        for task in plan.enclaves
    )
    radio = () if plan.radio is None else (Component("radio", plan.version, plan.radio),)
    return (runtime, *enclaves, *radio)


def window_words(plan: Plan) -> RegionWords:
    """Region 3."""
    return _words(plan, WINDOW_REGION, plan.window, Access.RAM)


def memory_words(plan: Plan, task: Task) -> RegionWords:
    """Region 4 of `task`."""
    return _words(plan, MEMORY_REGION, task.memory, Access.RAM)


def grant_words(plan: Plan, task: Task, slot: int) -> tuple[RegionWords, ...]:
    """Regions 5 and 6 of `task`; the unused ones are valid and disabled."""
    grants = task.grants[slot]
    words = []
    for index in range(TASK_GRANTS):
        number = FIRST_GRANT_REGION + index
        if index < len(grants):
            words.append(_words(plan, number, grants[index].region, grants[index].access))
        else:
            words.append(no_region(plan.board.mpu, number))
    return tuple(words)


def label_words(bits: int) -> tuple[int, ...]:
    """A label as the device holds it."""
    return tuple(bits >> 32 * n & 0xFFFF_FFFF for n in range(LABEL_WORDS))


def tables_c(plan: Plan, slot: int, runtime: Component) -> str:
    """The text of `tables.c` for slot 0 (A) or 1 (B). A pure function of its arguments."""
    parts = components(plan, runtime)
    entries = sorted({task.entry for task in plan.tasks})
    lines = [
        "// Made by firmware/compiler/tables.py. Compile without link-time optimisation.",
        '#include "coffret/tables.h"',
        '#include "monitor/state.h"',
        f'#include "{HEADER}"',
        "",
        *_needed(plan),
        "",
        *(f"_Noreturn void {entry}(const struct task *self);" for entry in entries),
        "",
        f"const char coffret_appliance_name[] = {_text(plan.appliance)};",
        f"const char coffret_appliance_version[] = {_text(plan.version)};",
        f"const char coffret_board_name[] = {_text(plan.board.name)};",
        *_array("char *const", "coffret_tag_names", [*map(_text, plan.tags), "0"]),
        f"const struct mpu_region coffret_window = {_mpu(window_words(plan))};",
        *_array("struct task", "coffret_tasks", [_task(plan, t, slot) for t in plan.tasks]),
        *_array("struct sink", "coffret_sinks", _sinks(plan)),
        *_array("struct gate", "coffret_gates", _gates(plan)),
        *_array("struct channel", "coffret_channels", _channels(plan)),
        *_array("struct component", "coffret_components", [_component(c) for c in parts]),
        *_struct(
            "const struct system_counts coffret_counts",
            tasks=len(plan.tasks),
            enclaves=len(plan.enclaves),
            channels=len(plan.channels),
            gates=len(plan.gates),
            sinks=len(plan.sinks),
            components=len(parts),
            slot=slot,
            devices=len(plan.devices),
        ),
        *_devices(plan),
        "",
        *_state("task", len(plan.tasks)),
        *_state("channel", len(plan.channels)),
        *_state("gate", len(plan.gates)),
        "",
    ]
    return "\n".join(lines)


def _needed(plan: Plan) -> Iterable[str]:
    """The compiler refuses rows that the monitor of this image has no code for."""
    kinds = {channel.kind for channel in plan.channels}
    flags = {task.flags for task in plan.tasks}
    needed = {
        Feature.CHANNELS: plan.channels,
        Feature.SINKS: any(channel.target & TO_SINK for channel in plan.channels),
        Feature.EMIT: ChannelKind.EMIT in kinds,
        Feature.CALLS: ChannelKind.CALL in kinds,
        Feature.GATES: plan.gates,
        Feature.REPORTS: ChannelKind.FAULTS in kinds,
        Feature.WORKERS: any(flags),
        Feature.SUMMONED: any(each & Flag.SUMMONED for each in flags),
        Feature.SLICES: any(task.slice_ms for task in plan.tasks),
        Feature.DEVICES: plan.devices,
    }
    for feature, rows in needed.items():
        if rows:
            yield f'_Static_assert({feature.constant}, "{feature}: not in this monitor");'


def _words(plan: Plan, number: int, area: Region, access: Access) -> RegionWords:
    return region(plan.board.mpu, number, area.base, area.size, access)


def _text(text: str) -> str:
    # Names come from a checked manifest; whatever else happens, C must not be injected.
    if not text.isascii() or not text.isprintable() or set(text) & set('"\\?'):
        raise ValueError(f"{text!r} cannot be a C string of the tables")
    return f'"{text}"'


def _word(value: int) -> str:
    return f"0x{value:08X}u"


def _mpu(words: RegionWords) -> str:
    return f"{{{_word(words.rbar)}, {_word(words.attributes)}}}"


def _label(bits: int) -> str:
    return f"{{{{{', '.join(map(_word, label_words(bits)))}}}}}"


def _fields(**values: object) -> str:
    return "{" + ", ".join(f".{name} = {value}" for name, value in values.items()) + "}"


def _struct(declaration: str, **values: object) -> Iterable[str]:
    yield f"{declaration} = {_fields(**values)};"


def _array(kind: str, name: str, rows: Sequence[str]) -> Iterable[str]:
    """A const array. C has none of length 0: an empty one has a row of zeros nobody reads."""
    yield f"const {kind} {name}[] = {{"
    yield from (f"    {row}," for row in rows or ["{0}"])
    yield "};"


def _state(name: str, count: int) -> Iterable[str]:
    yield f"struct {name}_state coffret_{name}_states[{max(1, count)}] MONITOR_BSS;"


def _task(plan: Plan, task: Task, slot: int) -> str:
    heap = task.heap
    return _fields(
        name=_text(task.name),
        module=_text(task.module) if task.module is not None else "0",
        entry=task.entry,
        memory=_mpu(memory_words(plan, task)),
        grants="{" + ", ".join(map(_mpu, grant_words(plan, task, slot))) + "}",
        memory_base=_word(task.memory.base),
        memory_size=_word(task.memory.size),
        stack_base=_word(task.memory.base),
        stack_size=_word(task.stack_size),
        window_save=_word(task.window_save),
        heap_base=_word(heap.base if heap else 0),
        heap_size=_word(heap.size if heap else 0),
        secrecy=_label(task.secrecy),
        integrity=_label(task.integrity),
        calls=_word(task.calls),
        backoff_ms=task.backoff_ms,
        kind="TASK_ENCLAVE" if task.kind is Kind.ENCLAVE else "TASK_SERVICE",
        priority=task.priority,
        restart=task.restart,
        slice_ms=task.slice_ms,
        flags=task.flags,
        body=task.body,
        partition=task.partition,
    )


def _sinks(plan: Plan) -> list[str]:
    return [
        _fields(name=_text(s.name), device=s.device, accepts=_label(s.accepts)) for s in plan.sinks
    ]


def _gates(plan: Plan) -> list[str]:
    return [
        _fields(
            name=_text(gate.name),
            releases=_label(gate.releases),
            vouches=_label(gate.vouches),
            max_bytes=gate.max_bytes,
            budget=gate.budget,
            window_s=gate.window_s,
            task=gate.task,
        )
        for gate in plan.gates
    ]


def _channels(plan: Plan) -> list[str]:
    return [
        _fields(
            name=_text(channel.name),
            from_name=_text(channel.from_name),
            queue=_word(channel.queue),
            min_size=channel.min_size,
            max_size=channel.max_size,
            depth=channel.depth,
            **{"from": channel.source},
            to=channel.target,
            gate=channel.gate,
            kind=channel.kind,
            reply_max=channel.reply_max,
        )
        for channel in plan.channels
    ]


def _devices(plan: Plan) -> Iterable[str]:
    """Where nothing is granted, neither the table nor its state is in the image."""
    if plan.devices:
        yield from _array("struct device", "coffret_devices", list(map(_device, plan.devices)))
        yield from _state("device", len(plan.tasks))


def _device(row: GrantedDevice) -> str:
    return _fields(
        name=_text(row.name),
        base=_word(row.base),
        size=_word(row.size),
        functions=_word(row.functions),
        irq=f"0x{row.irq:04X}u",
        kind=f"DEVICE_{row.kind.name}",
        id=row.id,
        task=row.task,
        event=row.event,
        function=row.function,
        implied=int(row.implied),
        pins="{" + ", ".join(map(str, row.pins)) + "}",
    )


def _component(component: Component) -> str:
    if len(component.digest) != 32:
        raise ValueError(f"{component.type} has a digest of {len(component.digest)} bytes")
    digest = "{" + ", ".join(f"0x{byte:02x}" for byte in component.digest) + "}"
    return _fields(type=_text(component.type), version=_text(component.version), digest=digest)
