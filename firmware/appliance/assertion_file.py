# SPDX-License-Identifier: Apache-2.0
"""`policy.toml`: the assertions of an appliance, read with their lines and asked of a graph."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, Strict, ValidationError, model_validator

from enclaves import assertions, budgets
from enclaves.assertions import Assertion
from enclaves.graph import FlowGraph
from firmware.appliance.lines import KeyPath, key_lines
from firmware.appliance.problems import ApplianceError, Problem, problem_at
from firmware.appliance.schema import Table

FILE_NAME = "policy.toml"
MAX_BYTES = 64 * 1024
MAX_ASSERTIONS = 256


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], Strict(False), BeforeValidator(_one_or_more)]


class _Asked(Table):
    """What every kind has in common."""

    says: str = Field(default="", max_length=200, description="what it is for, in plain words")


class _AboutTags(_Asked):
    """A kind that speaks of one tag, of several, or of all that an owner has."""

    tag: Words = Field(default=(), description='a tag, or a list, such as "alice/health"')
    owner: str | None = Field(default=None, description="an owner: every tag of theirs")

    @model_validator(mode="after")
    def _one_of_tag_and_owner(self) -> _AboutTags:
        if (self.owner is None) == (not self.tag):
            raise ValueError("needs either `tag` or `owner`")
        return self

    def tags(self, graph: FlowGraph) -> tuple[str, ...]:
        """The tags it speaks of in this appliance."""
        return assertions.tags_of_owner(graph, self.owner) if self.owner else self.tag


class ReachTable(_AboutTags):
    """`[[reach]]`."""

    to: Words = Field(min_length=1, description="a sink, device or enclave, or a list of them")
    only_through: Words = Field(default=(), description="enclaves and gates; none means never")

    def assertion(self, graph: FlowGraph) -> Assertion:
        """For this appliance."""
        return assertions.Reach(self.tags(graph), self.to, self.only_through)


class DriveTable(_Asked):
    """`[[drive]]`."""

    device: str = Field(description='a device that an enclave drives, such as "i2c0"')
    only: Words = Field(description="the enclaves that may")

    def assertion(self, graph: FlowGraph) -> Assertion:  # noqa: ARG002
        """For any appliance."""
        return assertions.Drive(self.device, self.only)


class SendTable(_Asked):
    """`[[send]]`."""

    to: str = Field(description='a sink or an enclave, such as "usb"')
    only: Words = Field(description='the enclaves and gates that may, such as ["uplink"]')

    def assertion(self, graph: FlowGraph) -> Assertion:  # noqa: ARG002
        """For any appliance."""
        return assertions.Send(self.to, self.only)


class ApartTable(_Asked):
    """`[[apart]]`."""

    tags: Words = Field(min_length=2, description="two tags or more that nobody may hold together")

    def assertion(self, graph: FlowGraph) -> Assertion:  # noqa: ARG002
        """For any appliance."""
        return assertions.Apart(self.tags)


class SpendTable(_AboutTags):
    """`[[spend]]`."""

    bytes: int = Field(ge=0, description="a whole number of bytes, over all gates together")
    per: str = Field(description=f"one of {', '.join(budgets.UNITS)}")

    @model_validator(mode="after")
    def _unit(self) -> SpendTable:
        if self.per not in budgets.UNITS:
            raise ValueError(f"`per` must be one of {', '.join(budgets.UNITS)}")
        return self

    def assertion(self, graph: FlowGraph) -> Assertion:
        """For this appliance."""
        return assertions.Spend(self.tags(graph), self.bytes, budgets.UNITS[self.per])


AssertionTable = ReachTable | DriveTable | SendTable | ApartTable | SpendTable


@dataclass(frozen=True, slots=True)
class Asked:
    """One assertion of a file, and its place there."""

    key: KeyPath
    table: AssertionTable


@dataclass(frozen=True, slots=True)
class AssertionFile:
    """A `policy.toml` that is well formed; whether its names exist depends on the appliance."""

    KINDS: ClassVar[Mapping[str, type[AssertionTable]]] = {
        "reach": ReachTable,
        "drive": DriveTable,
        "send": SendTable,
        "apart": ApartTable,
        "spend": SpendTable,
    }

    path: Path
    data: bytes
    asked: tuple[Asked, ...]
    lines: Mapping[KeyPath, int]

    def problems(self, graph: FlowGraph) -> list[Problem]:
        """Every assertion that does not hold in `graph`, and every name that it does not have."""
        found: list[Problem] = []
        for asked in self.asked:
            wrong = list(self._names(asked, graph))
            found += wrong or self._broken(asked, graph)
        return found

    def _broken(self, asked: Asked, graph: FlowGraph) -> Iterator[Problem]:
        says = f"{asked.table.says}: " if asked.table.says else ""
        for what in asked.table.assertion(graph).broken(graph):
            mend = f"change the appliance, or decide that {FILE_NAME} should allow it"
            yield problem_at(self.path, self.lines, asked.key, f"{says}{what}", mend)

    def _names(self, asked: Asked, graph: FlowGraph) -> Iterator[Problem]:
        known = assertions.known_names(graph)
        names = list(assertions.names_of(asked.table.assertion(graph)))
        owner = getattr(asked.table, "owner", None)
        if owner is not None:
            names.append(("owner", "owner", owner))
        for key, kind, name in names:
            if name not in known[kind]:
                what = f"there is no {_NOUNS[kind]} {name!r}, so this would hold for ever"
                yield problem_at(
                    self.path, self.lines, (*asked.key, key), what, _mend(name, known[kind])
                )


_NOUNS = {
    "tag": "tag",
    "owner": "owner of a tag",
    "end": "sink, device or enclave",
    "device": "device driven by an enclave",
    "enclave": "enclave",
    "holder": "enclave or gate",
}


def read_assertions(path: Path) -> AssertionFile | None:
    """The file at `path`, None when there is none. Raises ApplianceError (2) if it is malformed."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
        raise ApplianceError([Problem(path, 1, "policy", what, "make it readable")]) from None
    return parse_assertions(data, path)


def parse_assertions(data: bytes, path: Path) -> AssertionFile:
    """The assertions of `data`; `path` is for messages. Raises ApplianceError (2)."""
    if len(data) > MAX_BYTES:
        raise ApplianceError([Problem(path, 1, "policy", "longer than 64 KiB", "shorten it")])
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
        raw = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        mend = "correct the TOML"
        raise ApplianceError([Problem(path, 1, "policy", str(error), mend)]) from None
    lines = key_lines(text)
    asked: list[Asked] = []
    problems: list[Problem] = []
    for kind, tables in raw.items():
        model = AssertionFile.KINDS.get(kind)
        if model is None or not isinstance(tables, list):
            mend = f"write [[{kind}]]" if model else _mend(kind, tuple(AssertionFile.KINDS))
            problems.append(problem_at(path, lines, (kind,), "not a list of assertions", mend))
            continue
        for index, table in enumerate(tables):
            try:
                asked.append(Asked((kind, index), model.model_validate(table)))
            except ValidationError as error:
                problems += _malformed(path, lines, (kind, index), model, error)
    if len(asked) > MAX_ASSERTIONS:
        what = f"{len(asked)} assertions"
        problems.append(Problem(path, 1, "policy", what, f"{MAX_ASSERTIONS} is the most"))
    if problems:
        raise ApplianceError(problems)
    ordered = sorted(asked, key=lambda a: lines.get(a.key, 0))
    return AssertionFile(path, data, tuple(ordered), lines)


def _malformed(
    path: Path,
    lines: Mapping[KeyPath, int],
    key: KeyPath,
    model: type[AssertionTable],
    error: ValidationError,
) -> Iterator[Problem]:
    for detail in error.errors():
        loc = tuple(detail["loc"])
        field = model.model_fields.get(str(loc[0])) if loc else None
        if field is None:
            mend = f"[[{key[0]}]] has: {', '.join(model.model_fields)}"
        else:
            mend = f"give {field.description}"
        what = detail["msg"].removeprefix("Value error, ")
        yield problem_at(path, lines, (*key, *loc), what[:1].lower() + what[1:], mend)


def _mend(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known are: {', '.join(known) or 'none'}"
