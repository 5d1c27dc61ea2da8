# SPDX-License-Identifier: Apache-2.0
"""What of the monitor an appliance needs: what its manifest does not name leaves the image.

Each feature is a constant 0 or 1 in `image_config.h`, which the monitor's C uses in plain
conditions; link-time optimisation removes what is behind a 0. The system calls of a feature that is
out are in no task's mask, and the monitor has no code for them: who makes one faults.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum

from firmware.appliance.lines import KeyPath
from firmware.appliance.manifest import Channel, Manifest
from firmware.appliance.profile import DEFAULT, TELLS_FRAMES, Profile, profile_switches
from firmware.planning.syscalls import Call
from firmware.specialiser.features.needs import Reason

HEADER = "image_config.h"
LOG_BYTES = 1024
# Where there is any feature, there is more to tell: releases of gates, faults, other enclaves.
LARGER_LOG_BYTES = 2048


class Feature(StrEnum):
    """A part of the monitor that can be left out."""

    CHANNELS = "channels"
    SINKS = "sinks"  # streams of the board behind a driver of the monitor
    EMIT = "emit"  # channels that tell their sender nothing
    CALLS = "calls"
    GATES = "gates"
    REPORTS = "reports"  # of faults, to a supervisor
    WORKERS = "workers"
    SUMMONED = "summoned"  # workers that exist for one message
    SLICES = "slices"
    DEVICES = "devices"
    PAIRWISE = "pairwise"  # identities, one for each verifier
    SETTINGS = "settings"  # of this board, which the manager takes and the monitor gives

    @property
    def constant(self) -> str:
        """Its name in C."""
        return f"COFFRET_HAS_{self.name}"


EVERYTHING = frozenset(Feature)

# What only those who have the feature can ask for.
_CALLS: Mapping[Feature, tuple[Call, ...]] = {
    Feature.CHANNELS: (Call.SEND, Call.RECEIVE, Call.DROPPED),
    Feature.CALLS: (Call.CALL, Call.REPLY, Call.ANSWER),
    Feature.GATES: (Call.GATE_INFO,),
    Feature.DEVICES: (Call.DEVICE,),
}


def feature_reasons(manifest: Manifest) -> Mapping[Feature, tuple[Reason, ...]]:
    """The features that are in, each with every place of the manifest that asks for it."""
    found: dict[Feature, list[Reason]] = {}
    for feature, key, what in _needs(manifest):
        problem = manifest.problem(key, what, "")
        found.setdefault(feature, []).append(Reason(manifest.path.name, problem.line, what))
    return {feature: tuple(found[feature]) for feature in Feature if feature in found}


def log_bytes(manifest: Manifest) -> int:
    """The ring of what happened, unless the manifest says how large it is."""
    larger = bool(feature_reasons(manifest).keys() - {Feature.PAIRWISE})
    return manifest.appliance.log or (LARGER_LOG_BYTES if larger else LOG_BYTES)


def absent_calls(features: Collection[Feature]) -> int:
    """The mask of system calls that nobody may make without them."""
    absent = {
        call for feature in Feature if feature not in features for call in _CALLS.get(feature, ())
    }
    return sum(1 << call for call in absent)


def constants(
    features: Collection[Feature], log: int = LOG_BYTES, *, profile: Profile = DEFAULT
) -> Mapping[str, str]:
    """Each constant of C with its value. `log`: bytes of the ring of what happened."""
    has = {each.constant: str(int(each in features)) for each in Feature}
    frames = profile_switches(profile)[TELLS_FRAMES]
    return {**has, "COFFRET_LOG_BYTES": f"{log}u", TELLS_FRAMES: frames}


def image_config(constants: Mapping[str, str]) -> str:
    """The text of `image_config.h`."""
    lines = [
        "// Made by firmware/planning/monitor_features.py: what of the monitor is in this image.",
        "#ifndef IMAGE_CONFIG_H",
        "#define IMAGE_CONFIG_H",
        "",
        *(f"#define {name} {value}" for name, value in constants.items()),
        "",
        "#endif",
        "",
    ]
    return "\n".join(lines)


def _needs(manifest: Manifest) -> Iterator[tuple[Feature, KeyPath, str]]:
    if manifest.appliance.pairwise:
        yield Feature.PAIRWISE, ("appliance", "pairwise"), "pairwise identities"
    granted = {device for enclave in manifest.enclaves.values() for device in enclave.devices}
    for channel in manifest.channels:
        key = _key(channel)
        way = f"{channel.gate or channel.source} -> {channel.target}"
        yield Feature.CHANNELS, key, f"the channel {way}"
        kinds = {"emit": Feature.EMIT, "call": Feature.CALLS, "faults": Feature.REPORTS}
        if channel.kind in kinds:
            yield kinds[channel.kind], key, f"{way} is of kind {channel.kind}"
        if channel.target in manifest.sinks and channel.target not in granted:
            yield Feature.SINKS, key, f"{channel.target} is a sink"
    for gate in manifest.gates:
        yield Feature.GATES, gate.key, f"the gate {gate.name}"
    for name, enclave in manifest.enclaves.items():
        if enclave.runs in ("worker", "summoned"):
            yield Feature.WORKERS, ("enclave", name, "runs"), f"{name} is a worker"
        if enclave.runs == "summoned":
            yield Feature.SUMMONED, ("enclave", name, "runs"), f"{name} is summoned"
        if enclave.slice_ms:
            yield Feature.SLICES, ("enclave", name, "slice_ms"), f"{name} has a fixed slice"
        if enclave.devices:
            devices = ", ".join(enclave.devices)
            yield Feature.DEVICES, ("enclave", name, "devices"), f"{name} has {devices}"
        if "settings" in enclave.devices:
            yield Feature.SETTINGS, ("enclave", name, "devices"), f"{name} reads settings"


def _key(channel: Channel) -> KeyPath:
    """Where it stands; that of a supervisor stands with the supervisor."""
    if channel.kind == "faults":
        return ("enclave", channel.target, "supervises")
    return ("channel", channel.index)
