# SPDX-License-Identifier: Apache-2.0
"""The plan of a campaign: which board gets what, in which stage. Nothing is touched yet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from attest.inventory import Inventory
from attest.units import QUARANTINED, RETIRED, Unit, Units
from boards.errors import NO, CoffretError
from enclaves.policy_reader import PolicyError, read_policy
from enclaves.widening import compare
from firmware.appliance.problems import Problem
from flasher.fleet.bundles import FleetBundle, read
from flasher.fleet.config import FleetFile, FleetFileError, GroupFile, Member, Rollout
from flasher.fleet.reach import Reach

PROVISION, UPDATE, ATTEST = "provision", "update", "attest"


@dataclass(frozen=True, slots=True)
class Entry:
    """One board in a plan. `skipped` says why it is left alone; no `port`: it is not at hand."""

    serial: str
    name: str
    group: str
    board: str
    settings: Mapping[str, str]
    stage: int
    port: str | None
    skipped: str | None = None

    def to_json(self) -> dict[str, object]:
        return {
            "serial": self.serial,
            "name": self.name,
            "group": self.group,
            "board": self.board,
            "stage": self.stage,
            "port": self.port,
            "skipped": self.skipped,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole campaign before it begins. `wider`: what an update would newly allow, by group."""

    kind: str
    file: FleetFile
    bundles: Mapping[str, FleetBundle]  # by group
    entries: tuple[Entry, ...]
    wider: Mapping[str, tuple[str, ...]]

    @property
    def work(self) -> tuple[Entry, ...]:
        """The boards something is done to."""
        return tuple(entry for entry in self.entries if entry.skipped is None)

    def document(self) -> dict[str, object]:
        """What makes the campaign: the same document twice is the same campaign."""
        groups = {name: bundle.digest for name, bundle in self.bundles.items()}
        halt_after = self.file.rollout.halt_after if self.kind == UPDATE else None
        return {
            "groups": groups,
            "units": {entry.serial: entry.group for entry in self.entries},
            "attempts": self.file.retry.attempts,
            "backoff_ms": int(self.file.retry.backoff_s * 1000),
            "halt_after": halt_after,
        }

    def rows(self) -> list[dict[str, object]]:
        """The units, as the inventory registers them."""
        return [
            {
                "serial": entry.serial,
                "group_name": entry.group,
                "name": entry.name,
                "board": entry.board,
                "settings": json.dumps(dict(entry.settings), sort_keys=True),
            }
            for entry in self.entries
        ]


def make(kind: str, file: FleetFile, inventory: Inventory, reach: Reach) -> Plan:
    """The plan for a fleet file. Raises FleetFileError and BundleError."""
    problems: list[Problem] = []
    known = {unit.serial: unit for unit in Units(inventory).all()}
    bundles = {group.name: read(group.bundle) for group in file.groups}
    entries: list[Entry] = []
    for group in file.groups:
        bundle = bundles[group.name].bundle
        if group.board not in (None, bundle.board):
            problems.append(
                file.problem(
                    ("group", group.name, "bundle"),
                    f"wrong bundle: it is for {bundle.board}, the group's boards are {group.board}",
                    f"build it for them: coffret build ... --board {group.board}",
                )
            )
        members = _members(group, reach, known)
        for member in members:
            if member.serial in reach.doubles:
                where = " and ".join(reach.doubles[member.serial])
                problems.append(
                    file.problem(
                        ("group", group.name),
                        f"two boards with one serial number: {member.serial} is at {where}",
                        "unplug one and find out which is the copy",
                    )
                )
        mine = [
            Entry(
                serial=member.serial,
                name=member.name,
                group=group.name,
                board=bundle.board,
                settings=member.settings,
                stage=0,
                port=reach.ports.get(member.serial),
                skipped=_skipped(kind, known.get(member.serial)),
            )
            for member in members
        ]
        entries += _staged(mine, file.rollout) if kind == UPDATE else mine
    problems += _shared(file, entries)
    if problems:
        raise FleetFileError(problems)
    wider = {}
    if kind == UPDATE:
        wider = dict(_widenings(file, bundles, entries, known, inventory))
    return Plan(kind, file, bundles, tuple(entries), wider)


def _members(group: GroupFile, reach: Reach, known: Mapping[str, Unit]) -> list[Member]:
    if group.members is not None:
        return sorted(group.members, key=lambda member: member.name)
    assert group.match is not None
    at_hand = set(reach.matching(group.match))
    before = {unit.serial for unit in known.values() if unit.group == group.name}
    return [Member(serial, serial) for serial in sorted(at_hand | before)]


def _skipped(kind: str, unit: Unit | None) -> str | None:
    if unit is not None and unit.state == RETIRED:
        return "retired"
    if unit is not None and unit.state == QUARANTINED and kind != ATTEST:
        return f"in quarantine: {unit.why}"
    if kind != PROVISION and (unit is None or unit.instance_id is None):
        return "not provisioned"
    return None


def _staged(entries: list[Entry], rollout: Rollout) -> Iterator[Entry]:
    """The canaries first, then up to each percentage of the group, then the rest."""
    work = [entry for entry in entries if entry.skipped is None]
    bounds = [min(rollout.canaries, len(work))]
    bounds += [-(-len(work) * percent // 100) for percent in rollout.stages]
    stage_of = {}
    for number, entry in enumerate(work):
        stage_of[entry.serial] = sum(number >= bound for bound in bounds)
    for entry in entries:
        yield replace(entry, stage=stage_of.get(entry.serial, 0))


def _shared(file: FleetFile, entries: Iterable[Entry]) -> Iterator[Problem]:
    """Boards that two groups claim by their patterns."""
    groups: dict[str, str] = {}
    for entry in entries:
        if groups.setdefault(entry.serial, entry.group) != entry.group:
            yield file.problem(
                ("group", entry.group),
                f"two groups claim {entry.serial}: {groups[entry.serial]} has it already",
                "make the patterns tell the boards apart",
            )


def _widenings(
    file: FleetFile,
    bundles: Mapping[str, FleetBundle],
    entries: list[Entry],
    known: Mapping[str, Unit],
    inventory: Inventory,
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What the new policy of each group allows that some board's present one does not."""
    units = Units(inventory)
    for group in file.groups:
        new = bundles[group.name]
        present = {
            known[entry.serial].policy
            for entry in entries
            if entry.group == group.name and entry.skipped is None and entry.serial in known
        }
        wider: dict[str, None] = {}
        for digest in sorted(present - {None, new.policy_digest}, key=lambda d: d or b""):
            document = None if digest is None else units.policy_document(digest)
            if document is None:
                wider["the flow policy of what the boards run is not known here"] = None
                continue
            try:
                changes = compare(read_policy(document), read_policy(new.policy))
            except PolicyError as error:
                raise CoffretError(
                    f"a flow policy cannot be read: {error}", "build the bundle again", NO
                ) from None
            wider |= dict.fromkeys(change.what for change in changes if change.wider)
        if wider:
            yield group.name, tuple(wider)


class WideningError(CoffretError):
    """An update that lets data flow where it did not: one line each."""

    def __init__(self, plan: Plan) -> None:
        lines = [
            f"{plan.file.path}: group.{group}.bundle: widens the flows: {what}"
            for group, widenings in plan.wider.items()
            for what in widenings
        ]
        super().__init__(
            "\n".join(lines),
            "if those whose data it is agree: --allow-widening; the audit log will say so",
            NO,
        )
