# SPDX-License-Identifier: Apache-2.0
"""Whether an appliance fits a board: its devices, its sinks, its memory."""

from __future__ import annotations

from collections.abc import Iterator

from boards.model import Board
from firmware.appliance.manifest import Manifest
from firmware.appliance.problems import Problem
from firmware.appliance.sections import did_you_mean
from firmware.planning.devices import (
    device_problems,
    event_problems,
    granted_devices,
    has_device,
    suggestion,
)
from firmware.planning.evidence_size import MOST_ENCLAVES, ROOM, reply_size
from firmware.planning.memory import DoesNotFitError

MAX_GATES = 16  # the monitor keeps their budgets in one record (monitor/gate.c, KEPT_GATES)


def board_problems(manifest: Manifest, board: Board) -> list[Problem]:
    """Every device and sink that `board` cannot give."""
    streams = {stream.name: stream for stream in board.stream}
    problems: list[Problem] = []
    for index, name in enumerate(manifest.requires.devices):
        if name not in streams and not has_device(board, name):
            what = f"{board.name} has no {name}"
            mend = f"choose another board, or {suggestion(board, name, streams)}"
            problems.append(manifest.problem(("requires", "devices", index), what, mend))
    problems += _missing_devices(manifest, board)
    granted = {name for table in manifest.enclaves.values() for name in table.devices}
    for name in manifest.sinks:
        if name not in streams and name not in granted:
            what = f"{board.name} has no sink {name}"
            mend = did_you_mean(name, streams)
            if has_device(board, name):
                mend = f'grant it to one enclave (`devices = ["{name}"]`), which then drives it'
            problems.append(manifest.problem(("sink", name), what, mend))
    for channel in manifest.channels:
        if channel.target in granted:
            user = next(e for e, t in manifest.enclaves.items() if channel.target in t.devices)
            what = f"{channel.target} is driven by {user} itself"
            mend = f"send to {user}, which writes to its device"
            problems.append(manifest.problem(("channel", channel.index, "to"), what, mend))
    if not problems:
        problems += device_problems(manifest, board)
        problems += event_problems(manifest, granted_devices(manifest, board))
    problems += _overheard_problems(manifest, board)
    problems += _settings_problems(manifest)
    problems += _radio_problems(manifest, board)
    problems += _pairwise_problems(manifest, board)
    return problems + _gate_problems(manifest) + _evidence_problems(manifest, board)


def _overheard_problems(manifest: Manifest, board: Board) -> Iterator[Problem]:
    """A device that measures a stream's line would read what leaves there, past every label."""
    for enclave, table in manifest.enclaves.items():
        for index, name in enumerate(table.devices):
            device = board.device.get(name)
            for stream in device.hears if device is not None else ():
                if stream in manifest.sinks:
                    what = f"{name} of {board.name} can measure the line of {stream}: {enclave} "
                    what += "would read all that leaves there"
                    mend = f"leave out the sink {stream}, or measure on another board"
                    yield manifest.problem(("enclave", enclave, "devices", index), what, mend)


def _settings_problems(manifest: Manifest) -> Iterator[Problem]:
    """Settings are an operator's words: public, and vouched for by nobody."""
    for enclave, table in manifest.enclaves.items():
        if "settings" in table.devices and (table.trusts or table.vouched):
            what = f"{enclave} takes only data that is vouched for; settings are not"
            mend = "let an enclave without integrity read them, and vouch for what it made of them"
            yield manifest.problem(("enclave", enclave, "devices"), what, mend)


def _radio_problems(manifest: Manifest, board: Board) -> Iterator[Problem]:
    if manifest.radio is None:
        return
    if board.radio is None:
        what = f"{board.name} has no radio module"
        yield manifest.problem(("radio",), what, "remove the table, or choose another board")
        return
    size, most = len(manifest.radio.content), board.radio.flash_size - board.radio.address
    if size > most:
        what = f"{size} bytes, the {board.radio.title} has room for {most}"
        yield manifest.problem(("radio", "firmware"), what, "name the firmware of this module")


def _pairwise_problems(manifest: Manifest, board: Board) -> Iterator[Problem]:
    """The attestation key is the attester's own only where there is no Secure world."""
    if manifest.appliance.pairwise and board.secure_world:
        what = f"{board.name} has its keys in the Secure world, which makes no pairwise identities"
        mend = "take the key away, or choose a board without a Secure world"
        yield manifest.problem(("appliance", "pairwise"), what, mend)


def _missing_devices(manifest: Manifest, board: Board) -> Iterator[Problem]:
    streams = {stream.name for stream in board.stream}
    for enclave, table in manifest.enclaves.items():
        for index, name in enumerate(table.devices):
            if has_device(board, name):
                continue
            if name in streams:
                what = f"{name} belongs to a driver of the monitor"
                mend = f'declare [sink.{name}] and a channel to = "{name}"'
            else:
                what = f"{board.name} has no device {name}"
                mend = suggestion(board, name)
            yield manifest.problem(("enclave", enclave, "devices", index), what, mend)


def _gate_problems(manifest: Manifest) -> list[Problem]:
    return [
        manifest.problem(
            ("enclave", gate.enclave),
            f"{gate.name} is one of {len(manifest.gates)} gates",
            f"{MAX_GATES} is the most",
        )
        for gate in manifest.gates[MAX_GATES:]
    ]


def _evidence_problems(manifest: Manifest, board: Board) -> list[Problem]:
    """The evidence lists every enclave, and must fit one answer of the board."""
    names = list(manifest.enclaves)
    gates = max((sum(g.enclave == name for g in manifest.gates) for name in names), default=0)
    radio = manifest.radio is not None
    size = reply_size(
        names,
        manifest.appliance.version,
        gates,
        board.name,
        radio=radio,
        pairwise=manifest.appliance.pairwise,
        settings=any("settings" in table.devices for table in manifest.enclaves.values()),
    )
    if size <= ROOM and len(names) <= MOST_ENCLAVES:
        return []
    what = f"the evidence can have {size} bytes with {len(names)} enclaves, {ROOM} fit an answer"
    mend = "merge enclaves that hold the same data, or give them shorter names"
    return [manifest.problem(("enclave", names[-1]), what, mend)]


def memory_problem(manifest: Manifest, board: Board, error: DoesNotFitError) -> Problem:
    """RAM is too small: blame the largest enclave."""
    largest = max(manifest.enclaves, key=lambda n: manifest.enclaves[n].heap)
    table = manifest.enclaves[largest]
    key = "heap" if "heap" in table.model_fields_set else "module"
    what = (
        f"the appliance needs {_kib(error.needed)} of RAM, {board.name} has {_kib(error.available)}"
    )
    mend = f"make `heap` of {largest} smaller than {_kib(table.heap)}, or choose a larger board"
    return manifest.problem(("enclave", largest, key), what, mend)


def _kib(size: int) -> str:
    return f"{-(-size // 1024)} KiB"
