# SPDX-License-Identifier: Apache-2.0
"""The appliance manifest: read, checked as a whole, resolved into values the plan can use."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from enclaves.budgets import Budget, parse_rate
from firmware import schema
from firmware.lines import KeyPath, key_lines, line_of
from firmware.modules import Module
from firmware.packages import Package
from firmware.problems import ApplianceError, Problem
from firmware.profile import Profile

FILE_NAME = "appliance.toml"
MAX_BYTES = 256 * 1024
_TWICE = re.compile(r"Cannot declare \((.*)\) twice")


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

    def module_path(self, enclave: str) -> Path:
        """The file of the enclave's main module."""
        return self.folder / self.enclaves[enclave].module

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


def manifest_path(appliance: Path) -> Path:
    """The manifest of an appliance given as its folder or as the file itself."""
    return appliance / FILE_NAME if appliance.is_dir() else appliance


def load(appliance: Path) -> Manifest:
    """Read and check a manifest. Raises ApplianceError (exit code 2) with all that is wrong."""
    from firmware.references import resolve  # noqa: PLC0415 - it imports this module
    from firmware.sections import validate  # noqa: PLC0415

    path = manifest_path(appliance)
    text = _read(path)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ApplianceError([_toml_problem(path, str(error))]) from error
    lines = key_lines(text)
    sections, problems = validate(path, raw, lines)
    manifest, more = resolve(path, raw, sections, lines)
    problems += more
    if problems or manifest is None:
        raise ApplianceError(sorted(problems, key=lambda p: (str(p.file) != str(path), p.line)))
    return manifest


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


def key_text(key: KeyPath) -> str:
    """A key as TOML writes it: `enclave.coach.may_release`, `channel[2].from`."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            quoted = part if part.replace("_", "").replace("-", "").isalnum() else f'"{part}"'
            text += f".{quoted}" if text else quoted
    return text


def written(lines: Mapping[KeyPath, int], key: KeyPath) -> KeyPath:
    """`key` as it stands in the file: a lone table, where a list is allowed, has no index."""
    path: KeyPath = ()
    for part in key:
        if part != 0 or (*path, part) in lines:
            path = (*path, part)
    return path


def _of_role(lines: Mapping[KeyPath, int], key: KeyPath) -> KeyPath:
    """The role `reader.alice` of a worker stands in the manifest below its enclave."""
    match key:
        case ("enclave", str(name), *rest) if "." in name:
            enclave, _, role = name.partition(".")
            inner = ("enclave", enclave, "role", role, *rest)
            return inner if inner in lines else ("enclave", enclave, *rest)
    return key


def problem_at(
    path: Path, lines: Mapping[KeyPath, int], key: KeyPath, what: str, mend: str
) -> Problem:
    """A problem at `key` of the manifest `path`, or at the nearest table around it."""
    key = written(lines, _of_role(lines, key))
    return Problem(path, line_of(lines, key), key_text(key), what, mend)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
        mend = "name an appliance's folder or its appliance.toml; `coffret new NAME` makes one"
        raise ApplianceError([Problem(path, 1, "appliance", what, mend)]) from error
    if len(data) > MAX_BYTES:
        raise ApplianceError([Problem(path, 1, "appliance", "longer than 256 KiB", "shorten it")])
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ApplianceError(
            [Problem(path, line, "appliance", "not UTF-8", "save it as UTF-8")]
        ) from error


def _toml_problem(path: Path, message: str) -> Problem:
    """tomllib says `what (at line N, column M)`, or `(at end of document)`."""
    what, _, place = message.partition(" (at ")
    number = place.removeprefix("line ").split(",")[0]
    line = int(number) if number.isdecimal() else 1
    twice = _TWICE.fullmatch(what)
    if twice:
        names = tuple(name[1:-1] for name in re.findall(r"'[^']*'|\"[^\"]*\"", twice[1]))
        return Problem(path, line, key_text(names), "declared twice", "write it once")
    mend = "write each key once" if "overwrite" in what else "correct the TOML"
    return Problem(path, line, "appliance", what[:1].lower() + what[1:], mend)
