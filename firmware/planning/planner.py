# SPDX-License-Identifier: Apache-2.0
"""From manifest and board to the plan: numbers, addresses and permissions are decided here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from boards.memory import Region
from boards.model import Board
from boards.mpu import Access
from enclaves.labels import label, mask
from firmware.appliance import schema
from firmware.appliance.manifest import Manifest
from firmware.appliance.modules import code_digest
from firmware.appliance.problems import ApplianceError
from firmware.planning.devices import granted_devices
from firmware.planning.fit import board_problems, memory_problem
from firmware.planning.memory import (
    WINDOW_GRAIN,
    DoesNotFitError,
    Need,
    RuntimeSizes,
    round_up,
    share_out,
)
from firmware.planning.monitor_features import (
    Feature,
    absent_calls,
    feature_reasons,
    log_bytes,
)
from firmware.planning.plan import (
    FLAGS,
    NO_GATE,
    RESTART,
    SERVICES_SLICE_MS,
    SLOTS,
    TO_SINK,
    Channel,
    ChannelKind,
    Gate,
    Grant,
    Kind,
    Plan,
    Sink,
    Task,
    queue_bytes,
)
from firmware.planning.syscalls import ATTESTER_CALLS, ENCLAVE_CALLS, MANAGER_CALLS, Call


def make_plan(manifest: Manifest, board: Board, sizes: RuntimeSizes | None = None) -> Plan:
    """Number and place everything. Raises ApplianceError (2): what the board lacks."""
    sizes = sizes or RuntimeSizes()
    problems = board_problems(manifest, board)
    if problems:
        raise ApplianceError(problems)
    queue_sizes = [
        0
        if channel.target in manifest.sinks
        else queue_bytes(channel.max_size, channel.depth, ChannelKind[channel.kind.upper()])
        for channel in manifest.channels
    ]
    bodies = {manifest.bodies.get(name, name): e for name, e in manifest.enclaves.items()}
    needs = [Need(name, _stack(e), e.heap) for name, e in bodies.items()]
    try:
        memory = share_out(board, sizes, needs, sum(queue_sizes))
    except DoesNotFitError as error:
        raise ApplianceError([memory_problem(manifest, board, error)]) from error
    numbers = {name: number for number, name in enumerate(manifest.tags)}
    features = frozenset(feature_reasons(manifest))
    return Plan(
        appliance=manifest.appliance.name,
        version=manifest.appliance.version,
        security_counter=manifest.appliance.security_counter,
        revokes_below=manifest.appliance.revokes_below,
        board=board,
        tags=tuple(manifest.tags),
        tasks=tuple(
            replace(task, calls=_calls_with(features, task))
            for task in _tasks(manifest, board, sizes, memory.tasks, numbers)
        ),
        channels=_channels(manifest, queue_sizes, memory.queues),
        gates=_gates(manifest, numbers),
        sinks=_sinks(manifest, board, numbers),
        devices=granted_devices(manifest, board),
        monitor=memory.monitor,
        main_stack=board.memory.main_stack,
        queues=memory.queues,
        window=memory.window,
        free_ram=memory.free,
        features=features,
        log=log_bytes(manifest),
        delta_updates=manifest.appliance.delta_updates,
        radio=manifest.radio.digest if manifest.radio is not None else None,
    )


def _stack(enclave: schema.Enclave) -> int:
    """The stack in bytes, such that the saved window behind it is aligned."""
    return round_up(enclave.stack, WINDOW_GRAIN)


def _calls_with(features: frozenset[Feature], task: Task) -> int:
    """What this task may ask of a monitor with these features.

    The attester tells a digest of the board's settings, where an enclave reads them.
    """
    calls = task.calls
    if Feature.SETTINGS in features and task.entry == "attester_main":
        calls |= _calls((Call.STORE_GET,))
    return calls & ~absent_calls(features)


def _calls(calls: tuple[Call, ...]) -> int:
    return sum(1 << call for call in set(calls))


def _tasks(
    manifest: Manifest,
    board: Board,
    sizes: RuntimeSizes,
    memory: Mapping[str, Region],
    numbers: Mapping[str, int],
) -> tuple[Task, ...]:
    tasks: list[Task] = []
    first: dict[str, int] = {}  # the number of the first task of each body
    sliced = any(enclave.slice_ms for enclave in manifest.enclaves.values())
    for name, enclave in manifest.enclaves.items():
        body = manifest.bodies.get(name, name)
        leads = body not in first
        first.setdefault(body, len(tasks))
        own = memory[body]
        saved = own.base + _stack(enclave)
        heap = saved + sizes.window
        devices = tuple(
            Grant(device, Region(base=d.base, size=d.size), Access.DEVICE)
            for device in enclave.devices
            if (d := board.device.get(device))
        )
        tasks.append(
            Task(
                number=len(tasks),
                name=name,
                kind=Kind.ENCLAVE,
                module=Path(enclave.module).stem,
                entry="vm_main",
                memory=own,
                stack_size=_stack(enclave),
                window_save=saved,
                heap=Region(base=heap, size=own.end - heap),  # what rounding added is heap too
                statics=None,
                secrecy=mask(label((*enclave.sees, *enclave.makes)), numbers),
                integrity=mask(label((*enclave.trusts, *enclave.vouched)), numbers),
                calls=_calls(ENCLAVE_CALLS + (Call.DEVICE,) * bool(enclave.devices)),
                priority=enclave.priority,
                restart=RESTART[enclave.restart],
                backoff_ms=enclave.backoff_ms,
                grants=(devices,) * SLOTS,
                code_digest=code_digest(manifest.modules[name]),
                flags=int(FLAGS[enclave.runs]),
                body=first[body],
                partition=first[body],
                slice_ms=(enclave.slice_ms or 0) if leads else 0,
            )
        )
    services = len(tasks)
    slice_ms = SERVICES_SLICE_MS if sliced else 0
    boot = Grant("boot", board.memory.boot, Access.CODE)
    others = tuple(Grant("other_slot", board.slot(1 - slot), Access.READ) for slot in range(SLOTS))
    manager = memory["manager"]
    attester = memory["attester"]
    statics_end = min(attester.end, board.memory.handoff.base)
    tasks.append(
        _service(
            len(tasks),
            "manager",
            manager,
            sizes.manager_stack,
            Region(
                base=manager.base + sizes.manager_stack, size=manager.size - sizes.manager_stack
            ),
            _calls(MANAGER_CALLS),
            tuple((boot, other) for other in others),
            services,
            slice_ms,
        )
    )
    statics = attester.base + sizes.attester_stack
    tasks.append(
        _service(
            len(tasks),
            "attester",
            attester,
            sizes.attester_stack,
            Region(base=statics, size=statics_end - statics),
            _calls(ATTESTER_CALLS),
            ((boot,),) * SLOTS,
            services,
        )
    )
    return tuple(tasks)


def _service(
    number: int,
    name: str,
    memory: Region,
    stack_size: int,
    statics: Region,
    calls: int,
    grants: tuple[tuple[Grant, ...], ...],
    partition: int,
    slice_ms: int = 0,
) -> Task:
    return Task(
        number=number,
        name=name,
        kind=Kind.SERVICE,
        module=None,
        entry=f"{name}_main",
        memory=memory,
        stack_size=stack_size,
        window_save=0,
        heap=None,
        statics=statics,
        secrecy=0,
        integrity=0,
        calls=calls,
        priority=8,
        restart=RESTART["always"],
        backoff_ms=100,
        grants=grants,
        code_digest=None,
        body=number,
        partition=partition,
        slice_ms=slice_ms,
    )


def _channels(
    manifest: Manifest, queue_sizes: list[int], queues: Region | None
) -> tuple[Channel, ...]:
    tasks = {name: number for number, name in enumerate(manifest.enclaves)}
    sinks = {name: TO_SINK | number for number, name in enumerate(_stream_sinks(manifest))}
    gates = {gate.name: number for number, gate in enumerate(manifest.gates)}
    at = queues.base if queues else 0
    channels = []
    for number, (channel, size) in enumerate(zip(manifest.channels, queue_sizes, strict=True)):
        channels.append(
            Channel(
                number=number,
                name=channel.sender_name,
                from_name=channel.receiver_name,
                queue=at if size else 0,
                min_size=channel.min_size,
                max_size=channel.max_size,
                depth=channel.depth,
                source=tasks[channel.source],
                target={**tasks, **sinks}[channel.target],
                gate=NO_GATE if channel.gate is None else gates[channel.gate],
                kind=ChannelKind[channel.kind.upper()],
                reply_max=channel.reply_max,
            )
        )
        at += size
    return tuple(channels)


def _gates(manifest: Manifest, numbers: Mapping[str, int]) -> tuple[Gate, ...]:
    tasks = {name: number for number, name in enumerate(manifest.enclaves)}
    return tuple(
        Gate(
            number=number,
            name=gate.name,
            task=tasks[gate.enclave],
            releases=mask(label(gate.releases), numbers),
            vouches=mask(label(gate.vouches), numbers),
            max_bytes=gate.budget.size,
            budget=gate.budget.messages,
            window_s=gate.budget.window_s,
        )
        for number, gate in enumerate(manifest.gates)
    )


def _stream_sinks(manifest: Manifest) -> list[str]:
    """The sinks behind a driver of the monitor; a granted device is its enclave's own."""
    granted = {device for enclave in manifest.enclaves.values() for device in enclave.devices}
    return [name for name in manifest.sinks if name not in granted]


def _sinks(manifest: Manifest, board: Board, numbers: Mapping[str, int]) -> tuple[Sink, ...]:
    streams = {stream.name: stream.number for stream in board.stream}
    return tuple(
        Sink(number, name, streams[name], mask(label(manifest.sinks[name].accepts), numbers))
        for number, name in enumerate(_stream_sinks(manifest))
    )
