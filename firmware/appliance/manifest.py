# SPDX-License-Identifier: Apache-2.0
"""The appliance manifest, resolved into values the plan can use; `manifest_file` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from enclaves.budgets import Budget, parse_rate
from firmware.appliance import schema
from firmware.appliance.lines import KeyPath
from firmware.appliance.modules import Module
from firmware.appliance.packages import Package
from firmware.appliance.problems import Problem, problem_at
from firmware.appliance.profile import Profile


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate of one enclave. `key` is its place in the manifest, `grants` files to be verified."""

    name: str  # "coach.weekly"
    short: str  # "weekly"
    enclave: str
    releases: tuple[str, ...]
    vouches: tuple[str, ...]
    budget: Budget
    grants: tuple[Path, ...]
    key: KeyPath
    raw: bool = False  # its code may pass a labelled message on as it came


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel with every default filled in; sizes in bytes, depth in messages."""

    index: int
    source: str  # enclave
    gate: str | None  # full name of the gate it goes through
    target: str  # enclave or sink
    message: str
    min_size: int
    max_size: int
    depth: int
    kind: str = "send"  # or "emit", "call", "faults"
    reply_max: int = 0

    @property
    def sender_name(self) -> str:
        """What the sender calls it: the other end, or the gate's short name."""
        return self.target if self.gate is None else self.gate.split(".", 1)[1]

    @property
    def receiver_name(self) -> str:
        """What the receiver calls it: the sender, and `sensor.faults` for the monitor's reports."""
        return f"{self.source}.faults" if self.kind == "faults" else self.source


@dataclass(frozen=True, slots=True)
class Radio:
    """What goes to the board's radio module: a file, and its content as it was checked."""

    path: Path
    content: bytes = field(repr=False)
    digest: bytes  # SHA-256


@dataclass(frozen=True, slots=True)
class Manifest:
    """One appliance, checked: every name refers to something, every file is there.

    The order of tags, enclaves, sinks and channels is the manifest's, and gives their numbers.
    """

    path: Path
    appliance: schema.Appliance
    requires: schema.Requires
    owners: Mapping[str, schema.Owner]
    tags: Mapping[str, schema.Tag]
    enclaves: Mapping[str, schema.Enclave]
    sinks: Mapping[str, schema.Sink]
    gates: tuple[Gate, ...]
    channels: tuple[Channel, ...]
    modules: Mapping[str, tuple[Module, ...]]  # by enclave, the main module first
    packages: tuple[Package, ...] = ()
    radio: Radio | None = None
    # By role of a worker whose roles take turns in one memory: its enclave.
    bodies: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[KeyPath, int] = field(repr=False, default_factory=dict)

    @property
    def folder(self) -> Path:
        """What relative paths start from."""
        return self.path.parent

    def gate(self, name: str) -> Gate:
        """The gate `coach.weekly`. Raises KeyError."""
        for gate in self.gates:
            if gate.name == name:
                return gate
        raise KeyError(name)

    def with_profile(self, profile: Profile | None) -> Manifest:
        """The same appliance in another profile; None: in its own."""
        if profile is None:
            return self
        return replace(self, appliance=self.appliance.model_copy(update={"profile": profile}))

    def problem(self, key: KeyPath, what: str, mend: str) -> Problem:
        """A problem at `key` of this manifest."""
        return problem_at(self.path, self.lines, key, what, mend)


def gate_of(enclave: str, table: schema.Release | schema.Vouch, folder: Path, key: KeyPath) -> Gate:
    """The gate that one table of `may_release` or `may_vouch` declares."""
    messages, window_s = parse_rate(table.at_most)
    releasing = isinstance(table, schema.Release)
    return Gate(
        name=f"{enclave}.{table.name}",
        short=table.name,
        enclave=enclave,
        releases=table.all_tags if releasing else (),
        vouches=() if releasing else table.all_tags,
        budget=Budget(messages, window_s, table.bytes),
        grants=tuple(folder / grant for grant in table.grant),
        key=key,
        raw=isinstance(table, schema.Release) and table.raw,
    )
