# SPDX-License-Identifier: Apache-2.0
"""`fleet.toml` and its CSV files: which boards there are, what they run, how careful to be."""

from __future__ import annotations

import csv
import difflib
import io
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import boards
from firmware.appliance.lines import KeyPath, key_lines, line_of
from firmware.appliance.problems import ApplianceError, Problem
from flasher import settings

MAX_BYTES = 1 << 20
CSV_MAX_BYTES = 64 << 20
MAX_SETTINGS = 32
SERIAL_MAX, NAME_MAX = 128, 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_STRICT = ConfigDict(extra="forbid", frozen=True)
_PLACE = re.compile(r"\(at line (\d+)")


class Fleet(BaseModel):
    """`[fleet]`."""

    model_config = _STRICT
    name: Annotated[str, Field(min_length=1, max_length=NAME_MAX, pattern=_NAME.pattern + "$")]


class Retry(BaseModel):
    """`[retry]`: a board that fails is tried again after `backoff_s`, doubled each time."""

    model_config = _STRICT
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    backoff_s: Annotated[float, Field(ge=0, le=3600)] = 2.0


class Rollout(BaseModel):
    """`[rollout]`: an update goes to the canaries first, then to these percentages of a group."""

    model_config = _STRICT
    canaries: Annotated[int, Field(ge=0, le=10_000)] = 1
    stages: Annotated[list[Annotated[int, Field(ge=1, le=100)]], Field(max_length=16)] = [10, 50]
    halt_after: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class Group(BaseModel):
    """`[group.NAME]`: boards of one kind that run one bundle."""

    model_config = _STRICT
    bundle: Annotated[str, Field(min_length=1)]
    board: str | None = None
    units: str | None = None  # a CSV file
    match: str | None = None  # serial numbers at hand, with * and ?


@dataclass(frozen=True, slots=True)
class Member:
    """One unit as its group names it; without a CSV file its name is its serial number."""

    serial: str
    name: str
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupFile:
    """A group with its CSV read. `members` is None when it takes what `match` finds."""

    name: str
    bundle: Path
    board: str | None
    match: str | None
    members: tuple[Member, ...] | None


@dataclass(frozen=True, slots=True)
class FleetFile:
    """A whole fleet file, checked by itself: no board was asked, no bundle read."""

    path: Path
    fleet: Fleet
    retry: Retry
    rollout: Rollout
    groups: tuple[GroupFile, ...]
    lines: Mapping[KeyPath, int] = field(repr=False, default_factory=dict)

    def problem(self, key: KeyPath, what: str, mend: str) -> Problem:
        """A problem at `key` of the file."""
        return Problem(self.path, line_of(self.lines, key), _text(key), what, mend)


class FleetFileError(ApplianceError):
    """What is wrong with a fleet file or its CSV files: one line each. Exit code 2."""


_SECTIONS: dict[str, type[BaseModel]] = {"fleet": Fleet, "retry": Retry, "rollout": Rollout}
_MENDS = {
    "bundle": "name a bundle folder that `coffret build` made",
    "name": "use letters, digits, - _ and .; at most 64",
    "attempts": "a whole number from 1 to 100",
    "backoff_s": "seconds, from 0 to 3600",
    "stages": "percentages that grow, such as [10, 50]",
    "canaries": "a whole number of boards",
    "halt_after": "a whole number of failures, at least 1",
}


def load(path: Path) -> FleetFile:
    """Reads and checks a fleet file and its CSV files. Raises FleetFileError with all problems."""
    path = path / "fleet.toml" if path.is_dir() else path
    text = _read(path, MAX_BYTES)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _PLACE.search(str(error))
        line = int(at[1]) if at else 1
        mend = "write it as TOML"
        raise FleetFileError([Problem(path, line, "fleet", str(error), mend)]) from None
    return _Reader(path, raw, key_lines(text)).read()


class _Reader:
    """Collects problems while it reads one file."""

    def __init__(self, path: Path, raw: Mapping[str, Any], lines: Mapping[KeyPath, int]) -> None:
        self._path = path
        self._raw = raw
        self._lines = lines
        self._problems: list[Problem] = []

    def read(self) -> FleetFile:
        for name in self._raw:
            if name not in (*_SECTIONS, "group"):
                self._say((name,), "unknown section", _meant(name, [*_SECTIONS, "group"]))
        if "fleet" not in self._raw:
            self._say(("fleet",), "missing", "write [fleet] with `name`")
        tables = {
            name: self._table(model, (name,), self._raw.get(name, {}))
            for name, model in _SECTIONS.items()
            if name in self._raw or name != "fleet"
        }
        groups = tuple(self._groups())
        self._seen_twice(groups)
        rollout = tables["rollout"]
        if isinstance(rollout, Rollout) and rollout.stages != sorted(set(rollout.stages)):
            self._say(("rollout", "stages"), "does not grow", _MENDS["stages"])
        if self._problems:
            raise FleetFileError(self._problems)
        return FleetFile(
            self._path,
            groups=groups,
            lines=self._lines,
            **{name: table for name, table in tables.items()},  # type: ignore[arg-type]
        )

    def _say(self, key: KeyPath, what: str, mend: str) -> None:
        self._problems.append(
            Problem(self._path, line_of(self._lines, key), _text(key), what, mend)
        )

    def _table(self, model: type[BaseModel], key: KeyPath, value: object) -> BaseModel | None:
        if not isinstance(value, dict):
            self._say(key, "must be a table", f"write [{_text(key)}] and its keys below")
            return None
        try:
            return model.model_validate(value)
        except ValidationError as error:
            for detail in error.errors():
                loc = tuple(detail["loc"])
                last = next((str(part) for part in reversed(loc) if isinstance(part, str)), "")
                mend = _MENDS.get(last, "see docs/fleets.md")
                what = detail["msg"].replace("Input should be", "must be")
                if detail["type"] == "extra_forbidden":
                    what, mend = "unknown key", _meant(last, list(model.model_fields))
                elif detail["type"] == "missing":
                    what = "missing"
                self._say((*key, *loc), what, mend)
        return None

    def _groups(self) -> Iterator[GroupFile]:
        raw = self._raw.get("group", {})
        if not isinstance(raw, dict) or not raw:
            self._say(("group",), "missing", "write [group.NAME] with `bundle` and `units`")
            return
        for name, value in raw.items():
            key: KeyPath = ("group", name)
            group = self._table(Group, key, value)
            if not isinstance(group, Group):
                continue
            if not _NAME.fullmatch(name) or len(name) > NAME_MAX:
                self._say(key, f"{name!r} is not a name", _MENDS["name"])
            if group.board is not None and group.board not in boards.names():
                mend = _meant(group.board, list(boards.names()))
                self._say((*key, "board"), f"there is no board {group.board!r}", mend)
            if (group.units is None) == (group.match is None):
                mend = 'write units = "FILE.csv", or match = "kitchen-*" for boards at hand'
                self._say(key, "needs one of `units` and `match`", mend)
            members = None
            if group.units is not None:
                members = tuple(self._members((*key, "units"), self._path.parent / group.units))
            folder = self._path.parent / group.bundle
            yield GroupFile(name, folder, group.board, group.match, members)

    def _members(self, key: KeyPath, path: Path) -> Iterator[Member]:
        try:
            rows = csv.reader(io.StringIO(_read(path, CSV_MAX_BYTES)), strict=True)
            header = next(rows, [])
        except FleetFileError as error:
            what = error.problems[0].what
            self._say(key, f"{path.name}: {what}", "name a CSV file with a column `serial`")
            return
        except csv.Error as error:
            self._problems.append(Problem(path, 1, "serial", str(error), "write it as CSV"))
            return
        header = [column.strip() for column in header]
        if "serial" not in header or len(set(header)) != len(header) or "" in header:
            what = "its first line must name the columns, each once, `serial` among them"
            mend = "begin the file with: serial,name"
            self._problems.append(Problem(path, 1, "serial", what, mend))
            return
        if len(header) > MAX_SETTINGS + 2:
            what, mend = f"{len(header)} columns", f"at most {MAX_SETTINGS} settings"
            self._problems.append(Problem(path, 1, "serial", what, mend))
            return
        try:
            for row in rows:
                if member := self._member(path, rows.line_num, header, row):
                    yield member
        except csv.Error as error:
            at = rows.line_num
            self._problems.append(Problem(path, at, "serial", str(error), "write it as CSV"))

    def _member(self, path: Path, line: int, header: list[str], row: list[str]) -> Member | None:
        def bad(column: str, what: str, mend: str) -> None:
            self._problems.append(Problem(path, line, column, what, mend))

        if not any(cell.strip() for cell in row):
            return None
        if len(row) != len(header):
            what = f"{len(row)} values under {len(header)} columns"
            bad("serial", what, "give each column a value; put texts with commas in quotes")
            return None
        facts = {column: cell.strip() for column, cell in zip(header, row, strict=True)}
        serial = facts.pop("serial")
        if not serial or len(serial) > SERIAL_MAX or not serial.isprintable():
            bad("serial", "is empty or too long", "write the serial number the board shows")
            return None
        name = facts.pop("name", "") or serial
        if not _NAME.fullmatch(name) or len(name) > NAME_MAX:
            bad("name", f"{name!r} is not a name", _MENDS["name"])
            return None
        given = {column: value for column, value in facts.items() if value}
        try:
            settings.encode(given)
        except settings.SettingsError as error:
            bad(next(iter(given)), error.message, error.mend)
            return None
        return Member(serial, name, given)

    def _seen_twice(self, groups: tuple[GroupFile, ...]) -> None:
        for what in ("serial", "name"):
            seen: dict[str, str] = {}
            for group in groups:
                for member in group.members or ():
                    value = str(getattr(member, what))
                    if value in seen:
                        where = f"group {seen[value]}" if seen[value] != group.name else "the file"
                        self._say(
                            ("group", group.name, "units"),
                            f"two boards with one {_LONG[what]}: {value} is in {where} already",
                            f"give each board its own {_LONG[what]}, on one line of one CSV file",
                        )
                    seen[value] = group.name


_LONG: dict[str, Literal["serial number", "name"]] = {"serial": "serial number", "name": "name"}


def _text(key: KeyPath) -> str:
    return ".".join(str(part) for part in key)


def _meant(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else f"there is: {', '.join(known)}"


def _read(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
        raise FleetFileError([Problem(path, 1, "fleet", what, "name a fleet file")]) from None
    except UnicodeDecodeError:
        raise FleetFileError([Problem(path, 1, "fleet", "is no text", "write UTF-8")]) from None
    if len(data) > limit:
        raise FleetFileError([Problem(path, 1, "fleet", f"over {limit} bytes", "shorten it")])
    return text
