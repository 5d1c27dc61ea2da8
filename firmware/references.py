# SPDX-License-Identifier: Apache-2.0
"""Everything in a manifest that names something else, resolved: tags, owners, ends, files."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from boards.devices import SHARED_DEVICES
from enclaves import keys
from firmware import schema
from firmware.lines import KeyPath
from firmware.manifest import Channel, Gate, Manifest, Radio, gate_of, problem_at
from firmware.modules import Module, ModuleError, enclave_modules
from firmware.packages import Package, PackageError, from_folder, from_wheel
from firmware.problems import Problem
from firmware.sections import MAX_CHANNELS, Sections, did_you_mean

# What a supervisor is told (struct fault_report): reason, how many faults, where, which address.
FAULT_REPORT = "<B3xIII"
FAULT_REPORT_BYTES = struct.calcsize(FAULT_REPORT)
FAULT_REPORTS = 4  # that may wait
MAX_RADIO_BYTES = 4 << 20


def resolve(
    path: Path, raw: Mapping[str, Any], sections: Sections, lines: Mapping[KeyPath, int]
) -> tuple[Manifest | None, list[Problem]]:
    """The manifest of well-formed tables, or None, and a problem for each dangling reference.

    A name whose own table is malformed still counts as declared: that was said once already.
    """
    resolver = _Resolver(path, raw, sections, lines)
    resolver.owners_and_tags()
    resolver.enclaves()
    gates = resolver.gates()
    channels = resolver.channels(gates)
    resolver.gates_lead_somewhere(gates, channels)
    channels += resolver.supervision(len(sections.channels))
    resolver.slices()
    packages = resolver.packages()
    radio = resolver.radio()
    modules = resolver.modules(packages)
    if sections.appliance is None or resolver.problems:
        return None, resolver.problems
    manifest = Manifest(
        path=path,
        appliance=sections.appliance,
        requires=sections.requires,
        owners=sections.owners,
        tags=sections.tags,
        enclaves=sections.enclaves,
        sinks=sections.sinks,
        gates=tuple(gates.values()),
        channels=tuple(channels),
        modules=modules,
        packages=packages,
        radio=radio,
        bodies={
            role: enclave
            for role, enclave in sections.bodies.items()
            if not sections.enclaves[role].apart
        },
        lines=lines,
    )
    return manifest, []


class _Resolver:
    """Collects problems while it follows the names of one document."""

    def __init__(
        self,
        path: Path,
        raw: Mapping[str, Any],
        sections: Sections,
        lines: Mapping[KeyPath, int],
    ) -> None:
        self._path = path
        self._sections = sections
        self._lines = lines
        self._declared = {
            name: dict.fromkeys(raw[name]) if isinstance(raw.get(name), dict) else {}
            for name in ("owner", "tag", "enclave", "sink")
        }
        for role, enclave in sections.bodies.items():
            self._declared["enclave"].pop(enclave, None)
            self._declared["enclave"][role] = None
        self.problems: list[Problem] = []

    def _say(self, key: KeyPath, what: str, mend: str) -> None:
        self.problems.append(problem_at(self._path, self._lines, key, what, mend))

    def _known(self, section: str, names: Iterable[str], key: KeyPath) -> None:
        """Every name is declared in `section`, and none stands twice."""
        seen: set[str] = set()
        declared = self._declared[section]
        for index, name in enumerate(names):
            at = (*key, index)
            if name in seen:
                self._say(at, f"{name} stands twice", "write it once")
            elif name not in declared:
                what = f"there is no {section} {name!r}"
                self._say(at, what, did_you_mean(name, declared))
            seen.add(name)

    def owners_and_tags(self) -> None:
        """Owners' key files are public keys; tags name owners."""
        for name, owner in self._sections.owners.items():
            key = ("owner", name, "key")
            try:
                keys.read_public(self._path.parent / owner.key)
            except OSError as error:
                what = f"{owner.key}: {(error.strerror or 'cannot be read').lower()}"
                self._say(key, what, f"`coffret keys public owner-{name}` prints one")
            except keys.KeyFileError as error:
                mend = "put the owner's P-256 public key there, as PEM"
                self._say(key, f"{owner.key}: {error}", mend)
        for name, tag in self._sections.tags.items():
            self._known("owner", tag.owner, ("tag", name, "owner"))

    def enclaves(self) -> None:
        """Labels name tags; a device has one user; names do not clash."""
        users: dict[str, str] = {}
        for name, enclave in self._sections.enclaves.items():
            for label in ("sees", "makes", "trusts", "vouched"):
                self._known("tag", getattr(enclave, label), ("enclave", name, label))
            for index, device in enumerate(enclave.devices):
                if device in enclave.devices[:index]:
                    key = ("enclave", name, "devices", index)
                    self._say(key, f"{device} stands twice", "write it once")
                elif device in users and device not in SHARED_DEVICES:
                    self._say(
                        ("enclave", name, "devices", index),
                        f"{device} already belongs to {users[device]}",
                        "give it to one enclave, and let the others ask that one by a channel",
                    )
                users.setdefault(device, name)
        for name in self._sections.sinks:
            if name in self._declared["enclave"]:
                mend = "rename the enclave: a sink bears its device's name"
                self._say(("sink", name), f"{name} is an enclave too", mend)

    def gates(self) -> dict[str, Gate]:
        """Every gate by its full name."""
        gates: dict[str, Gate] = {}
        for name, enclave in self._sections.enclaves.items():
            secrecy = {*enclave.sees, *enclave.makes}
            tables: list[tuple[str, int, schema.Release | schema.Vouch]] = [
                *(("may_release", index, table) for index, table in enumerate(enclave.may_release)),
                *(("may_vouch", index, table) for index, table in enumerate(enclave.may_vouch)),
            ]
            for section, index, table in tables:
                key = ("enclave", name, section, index)
                gate = gate_of(name, table, self._path.parent, key)
                place = (*key, "tags" if table.tags else "tag")
                self._known("tag", table.all_tags, place)
                if gate.name in gates:
                    self._say((*key, "as"), f"{gate.name} stands twice", "name them apart")
                for tag in gate.releases:
                    if tag in self._declared["tag"] and tag not in secrecy:
                        self._say(
                            place,
                            f"{name} releases {tag}, which it does not see",
                            f'add "{tag}" to `sees` of {name}, or drop the gate',
                        )
                gates.setdefault(gate.name, gate)
        return gates

    def channels(self, gates: Mapping[str, Gate]) -> list[Channel]:
        """Every channel whose two ends exist, with its sizes."""
        channels: list[Channel] = []
        seen: set[tuple[str, str]] = set()
        for index, table in self._sections.channels.items():
            key: KeyPath = ("channel", index)
            ends = self._ends(key, table, gates)
            sizes = self._sizes(key, table, gates.get(table.source))
            if ends is None or sizes is None:
                continue
            source, gate, target = ends
            if (table.source, target) in seen:
                mend = "remove one; a channel carries as many messages as its depth allows"
                self._say(key, f"there is a channel {table.source} -> {target} already", mend)
            seen.add((table.source, target))
            kind = self._kind(key, table, source, target)
            reply = self._reply(key, table)
            message = table.message
            channels.append(
                Channel(index, source, gate, target, message, *sizes, table.depth, kind, reply)
            )
        return channels

    def _kind(self, key: KeyPath, table: schema.Channel, source: str, target: str) -> str:
        """What it says; else silent exactly where the sender must not learn of the receiver."""
        enclaves, sinks = self._sections.enclaves, self._sections.sinks
        if table.kind == "call" and table.source not in enclaves:
            mend = "release with one channel, and get the answer by another"
            self._say((*key, "kind"), "a gate releases one way, a call goes both", mend)
        if table.kind == "call" and target in self._declared["sink"]:
            self._say((*key, "kind"), f"{target} is a sink", "a sink does not answer")
        sender = enclaves.get(source)
        receiver = enclaves.get(target)
        if sender is None or (receiver is None and target not in sinks):
            return table.kind or "send"
        knows = {*sender.sees, *sender.makes}
        has = {*receiver.sees, *receiver.makes} if receiver else {*sinks[target].accepts}
        if has <= knows:
            return table.kind or "send"
        if table.kind == "send":
            what = f"{source} would learn from it when {target}, which sees more, has not read"
            mend = 'say `kind = "emit"` (or nothing): one way, silent, what finds no room is lost'
            self._say((*key, "kind"), what, mend)
        return table.kind or "emit"

    def _reply(self, key: KeyPath, table: schema.Channel) -> int:
        """The most bytes of a reply, 0 unless it is a call."""
        if table.kind != "call":
            for name in ("reply", "reply_size"):
                if getattr(table, name) is not None:
                    self._say((*key, name), "only a call has a reply", 'say `kind = "call"`')
            return 0
        if table.reply is not None and table.reply != "bytes":
            size = struct.calcsize(table.reply)
            if table.reply_size not in (None, size):
                self._say((*key, "reply_size"), f"{table.reply!r} has {size} bytes", "remove it")
            if size > schema.MAX_MESSAGE_BYTES:
                mend = f"{schema.MAX_MESSAGE_BYTES} is the most"
                self._say((*key, "reply"), f"{size} bytes", mend)
            return size
        if table.reply_size is None:
            self._say((*key, "reply_size"), "missing", "write the most bytes of a reply")
        return table.reply_size or 0

    def supervision(self, first: int) -> list[Channel]:
        """The channels by which supervisors are told of faults."""
        channels: list[Channel] = []
        for name, enclave in self._sections.enclaves.items():
            key: KeyPath = ("enclave", name, "supervises")
            self._known("enclave", enclave.supervises, key)
            for index, watched in enumerate(enclave.supervises):
                if watched == name:
                    self._say((*key, index), f"{name} supervises itself", "name another enclave")
                number = first + len(channels)
                channels.append(
                    Channel(
                        number,
                        watched,
                        None,
                        name,
                        FAULT_REPORT,
                        FAULT_REPORT_BYTES,
                        FAULT_REPORT_BYTES,
                        FAULT_REPORTS,
                        "faults",
                    )
                )
        if first + len(channels) > MAX_CHANNELS:
            what = f"{first + len(channels)} with those of `supervises`"
            self._say(("channel",), what, f"{MAX_CHANNELS} is the most")
        return channels

    def slices(self) -> None:
        """Fixed slices are for all or for none: without one an enclave would never run."""
        enclaves = self._sections.enclaves
        if any(enclave.slice_ms for enclave in enclaves.values()):
            for name, enclave in enclaves.items():
                if enclave.slice_ms is None:
                    mend = "give every enclave a slice, or none"
                    self._say(("enclave", name, "slice_ms"), "missing, where others have one", mend)

    def _ends(
        self, key: KeyPath, table: schema.Channel, gates: Mapping[str, Gate]
    ) -> tuple[str, str | None, str] | None:
        """(enclave, gate or None, target)."""
        declared = self._declared["enclave"]
        targets = {**declared, **self._declared["sink"]}
        found = len(self.problems)
        source, _, short = table.source.partition(".")
        gate = table.source if short else None
        if table.source in self._sections.bodies:
            source, gate = table.source, None
        if source in self._declared["sink"]:
            self._say((*key, "from"), f"{source} is a sink", "data only goes into a sink")
        elif source not in declared:
            what = f"there is no enclave {source!r}"
            self._say((*key, "from"), what, did_you_mean(source, declared))
        # The gates of an enclave whose own table is malformed are not known.
        elif gate is not None and gate not in gates and source in self._sections.enclaves:
            mine = {name: g for name, g in gates.items() if g.enclave == source}
            self._say((*key, "from"), f"{source} has no gate {short!r}", did_you_mean(gate, mine))
        if table.target not in targets:
            what = f"there is no enclave or sink {table.target!r}"
            self._say((*key, "to"), what, did_you_mean(table.target, targets))
        elif table.target == source:
            self._say((*key, "to"), f"{source} sends to itself", "keep the data in a variable")
        return None if len(self.problems) > found else (source, gate, table.target)

    def _sizes(
        self, key: KeyPath, table: schema.Channel, gate: Gate | None
    ) -> tuple[int, int] | None:
        """(smallest, largest message) in bytes."""
        fixed, limit = table.fixed_size, gate.budget.size if gate else None
        largest = fixed if fixed is not None else table.size or limit
        if fixed is not None and table.size not in (None, fixed):
            mend = f"remove `size`, or write {fixed}"
            self._say((*key, "size"), f"{table.message!r} has {fixed} bytes", mend)
            return None
        if largest is None:
            if "." not in table.source:  # else a gate that does not exist, which was said already
                self._say((*key, "size"), "missing", "write the most bytes of one message")
            return None
        if not 1 <= largest <= schema.MAX_MESSAGE_BYTES:
            mend = f"1 to {schema.MAX_MESSAGE_BYTES} bytes fit a message"
            self._say((*key, "message"), f"{largest} bytes", mend)
            return None
        if limit is not None and largest > limit:
            what = f"{largest} bytes, the gate {table.source} lets at most {limit} pass"
            mend = "make the message smaller, or raise `bytes` of the gate (and have it granted)"
            self._say((*key, "size" if table.size else "message"), what, mend)
            return None
        return (largest if fixed is not None else 0), largest

    def gates_lead_somewhere(self, gates: Mapping[str, Gate], channels: list[Channel]) -> None:
        """A gate has exactly one channel: `release(data)` names no other end."""
        broken = {table.source for table in self._sections.channels.values()} - {
            channel.gate for channel in channels
        }
        for gate in gates.values():
            mine = [channel for channel in channels if channel.gate == gate.name]
            if not mine and gate.name not in broken:
                mend = f'add [[channel]] with from = "{gate.name}", or drop the gate'
                self._say(gate.key, f"no channel goes through {gate.name}", mend)
            for channel in mine[1:]:
                what = f"{gate.name} has a channel already, to {mine[0].target}"
                mend = "a gate has one channel: declare a second gate, which needs its own grant"
                self._say(("channel", channel.index, "from"), what, mend)

    def packages(self) -> tuple[Package, ...]:
        """Those that are what the manifest pins."""
        found = []
        for name, table in self._sections.packages.items():
            try:
                if table.folder is not None:
                    folder = self._path.parent / table.folder
                    found.append(from_folder(name, folder, table.sha256))
                else:
                    found.append(from_wheel(name, str(table.wheel), table.sha256))
            except PackageError as error:
                self._say(("package", name, error.key), error.what, error.mend)
        return tuple(found)

    def radio(self) -> Radio | None:
        """The radio module's firmware, if it is what the manifest pins."""
        table = self._sections.radio
        if table is None:
            return None
        path = self._path.parent / table.firmware
        try:
            with path.open("rb") as file:
                content = file.read(MAX_RADIO_BYTES + 1)
        except OSError as error:
            what = f"{table.firmware}: {(error.strerror or 'cannot be read').lower()}"
            self._say(("radio", "firmware"), what, "put the file there, or correct its path")
            return None
        if not 0 < len(content) <= MAX_RADIO_BYTES:
            what = f"{table.firmware}: is empty, or longer than {MAX_RADIO_BYTES} bytes"
            self._say(("radio", "firmware"), what, "name the radio module's firmware")
            return None
        digest = hashlib.sha256(content).digest()
        if digest.hex() != table.sha256:
            mend = "get the file that was pinned, or pin this one once you have checked it"
            self._say(("radio", "sha256"), f"{table.firmware} has {digest.hex()}", mend)
            return None
        return Radio(path, content, digest)

    def modules(self, packages: Sequence[Package]) -> dict[str, tuple[Module, ...]]:
        """The source files of every enclave; one import name means one file in the whole image."""
        packaged = {n: path for package in packages for n, path in package.modules.items()}
        modules: dict[str, tuple[Module, ...]] = {}
        files: dict[str, Module] = {}
        for name, enclave in self._sections.enclaves.items():
            key = ("enclave", name, "module")
            main = self._path.parent / enclave.module
            try:
                modules[name] = enclave_modules(main, packaged)
            except ModuleError as error:
                what = f"enclave.{name}"
                self.problems.append(Problem(error.path, error.line, what, error.what, error.mend))
                continue
            except OSError as error:
                what = f"{enclave.module}: {(error.strerror or 'cannot be read').lower()}"
                self._say(key, what, "write the module, or correct its path")
                continue
            for module in modules[name]:
                other = files.setdefault(module.name, module)
                if other.digest != module.digest:
                    what = f"two different files are called {module.name}: {other.path.name}"
                    mend = "rename one; the modules of all enclaves share one image"
                    self._say(key, f"{what} in {other.path.parent} and {module.path.parent}", mend)
        self._borrowed_mains(modules)
        return modules

    def _borrowed_mains(self, modules: Mapping[str, tuple[Module, ...]]) -> None:
        """To import another enclave's main module would run that enclave's code in this one."""
        mains = {group[0].name: enclave for enclave, group in modules.items()}
        for enclave, group in modules.items():
            for module in group[1:]:
                if module.name in mains:
                    what = f"imports {module.name}, the main module of {mains[module.name]}"
                    mend = "move what both need into a module of its own"
                    self._say(("enclave", enclave, "module"), what, mend)
