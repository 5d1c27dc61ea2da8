# SPDX-License-Identifier: Apache-2.0
"""Each table of a manifest checked by itself, so that one mistake does not hide the others."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from enclaves.tags import MAX_TAGS, TAG_NAME_BYTES, is_tag_name
from firmware.appliance import schema
from firmware.appliance.lines import KeyPath
from firmware.appliance.problems import Problem, key_text, problem_at

MAX_ENCLAVES = 16
MAX_CHANNELS = 32  # SYS_WAIT takes a mask of channel numbers (include/coffret/syscall.h)
MAX_PACKAGES = 32
MAX_SINKS = 8

# pydantic's words for Python values, in TOML's.
_WORDS = {
    "tuple_type": "must be a list",
    "string_type": "must be a text, in quotes",
    "int_type": "must be a whole number",
    "too_short": "is empty",
    "string_too_short": "is empty",
    "too_long": "has too many",
    "string_too_long": "is too long",
    "model_type": "must be a table",
}

TableT = TypeVar("TableT", bound=schema.Table)


@dataclass(slots=True)
class Sections:
    """The tables that are well formed by themselves; `channels` by index."""

    appliance: schema.Appliance | None = None
    requires: schema.Requires = field(default_factory=schema.Requires)
    packages: dict[str, schema.Package] = field(default_factory=dict)
    radio: schema.Radio | None = None
    owners: dict[str, schema.Owner] = field(default_factory=dict)
    tags: dict[str, schema.Tag] = field(default_factory=dict)
    enclaves: dict[str, schema.Enclave] = field(default_factory=dict)
    sinks: dict[str, schema.Sink] = field(default_factory=dict)
    channels: dict[int, schema.Channel] = field(default_factory=dict)
    bodies: dict[str, str] = field(default_factory=dict)  # the enclave of each role `reader.alice`


class _Validator:
    """Collects problems while it reads the sections of one document."""

    def __init__(self, path: Path, raw: Mapping[str, Any], lines: Mapping[KeyPath, int]) -> None:
        self._path = path
        self._raw = raw
        self._lines = lines
        self.problems: list[Problem] = []

    def say(self, key: KeyPath, what: str, mend: str) -> None:
        self.problems.append(problem_at(self._path, self._lines, key, what, mend))

    def table(self, model: type[TableT], key: KeyPath, value: object) -> TableT | None:
        """One table, or None and its problems."""
        if not isinstance(value, dict):
            self.say(key, "must be a table", f"write [{key_text(key)}] and its keys below")
            return None
        try:
            return model.model_validate(value)
        except ValidationError as error:
            for detail in error.errors():
                self._detail(model, key, detail)
            return None

    def named(self, model: type[TableT], section: str, most: int) -> dict[str, TableT]:
        """The tables `[section.NAME]`."""
        raw = self._raw.get(section, {})
        if not isinstance(raw, dict):
            self.say((section,), "must be tables", f"write [{section}.NAME] for each")
            return {}
        if len(raw) > most:
            self.say((section,), f"{len(raw)} of them", f"{most} is the most")
        return {
            name: table
            for name, value in raw.items()
            if self._name(section, name)
            and (table := self.table(model, (section, name), value)) is not None
        }

    def _name(self, section: str, name: str) -> bool:
        if section == "tag":
            if is_tag_name(name):
                return True
            mend = f'a tag is named as "health" or "alice/health", at most {TAG_NAME_BYTES} bytes'
        else:
            try:
                schema.check_name(name)
                return True
            except ValueError:
                mend = f"give {schema.NAMES}"
        self.say((section, name), f"{name!r} is not a name", mend)
        return False

    def _detail(self, model: type[schema.Table], key: KeyPath, detail: ErrorDetails) -> None:
        loc = tuple(detail["loc"])
        inner = _model_at(model, loc[:-1])
        full = (*key, *loc)
        match detail["type"]:
            case "extra_forbidden":
                self.say(full, "unknown key", did_you_mean(str(loc[-1]), _fields(inner)))
            case "missing":
                self.say(full, "missing", _describe(model, loc))
            case kind:
                what = _WORDS.get(kind) or detail["msg"].removeprefix("Value error, ")
                self.say(full, what.replace("Input should be", "must be"), _describe(model, loc))


def validate(
    path: Path, raw: Mapping[str, Any], lines: Mapping[KeyPath, int]
) -> tuple[Sections, list[Problem]]:
    """The well-formed tables of `raw`, and a problem for everything else."""
    check = _Validator(path, raw, lines)
    for name in raw:
        if name not in schema.SECTIONS:
            check.say((name,), "unknown section", did_you_mean(name, schema.SECTIONS))
    sections = Sections()
    if "appliance" in raw:
        sections.appliance = check.table(schema.Appliance, ("appliance",), raw["appliance"])
    else:
        check.say(("appliance",), "missing", "write [appliance] with `name` and `version`")
    if "requires" in raw:
        requires = check.table(schema.Requires, ("requires",), raw["requires"])
        sections.requires = requires or sections.requires
    if "radio" in raw:
        sections.radio = check.table(schema.Radio, ("radio",), raw["radio"])
    sections.packages = check.named(schema.Package, "package", MAX_PACKAGES)
    sections.owners = check.named(schema.Owner, "owner", MAX_TAGS)
    sections.tags = check.named(schema.Tag, "tag", MAX_TAGS)
    sections.enclaves = check.named(schema.Enclave, "enclave", MAX_ENCLAVES)
    _roles(check, sections)
    sections.sinks = check.named(schema.Sink, "sink", MAX_SINKS)
    if not raw.get("enclave"):
        check.say(("enclave",), "missing", "write [enclave.NAME] with `module` for at least one")
    channels = raw.get("channel", [])
    if not isinstance(channels, list):
        check.say(("channel",), "must be a list of tables", "write [[channel]], with two brackets")
        channels = []
    if len(channels) > MAX_CHANNELS:
        check.say(("channel",), f"{len(channels)} of them", f"{MAX_CHANNELS} is the most")
    for index, value in enumerate(channels):
        channel = check.table(schema.Channel, ("channel", index), value)
        if channel is not None:
            sections.channels[index] = channel
    return sections, check.problems


def _roles(check: _Validator, sections: Sections) -> None:
    """Each role of a worker becomes an enclave `reader.alice` of its own, in the worker's place."""
    expanded: dict[str, schema.Enclave] = {}
    for name, enclave in sections.enclaves.items():
        key: KeyPath = ("enclave", name)
        if not enclave.role:
            if enclave.apart:
                check.say((*key, "apart"), "there are no roles", "remove it, or declare the roles")
            expanded[name] = enclave
            continue
        if enclave.runs == "always":
            mend = 'say runs = "worker" (or "summoned"): it is wiped before it takes another role'
            check.say((*key, "role"), "only a worker has roles", mend)
        for what in ("may_release", "may_vouch", "devices"):
            if getattr(enclave, what):
                mend = "give it to an enclave of one label, and let the worker send to that"
                check.say((*key, what), "a worker of several roles cannot have this", mend)
        for role, table in enclave.role.items():
            labels = {
                label: (*getattr(enclave, label), *getattr(table, label))
                for label in schema.Role.model_fields
            }
            expanded[f"{name}.{role}"] = enclave.model_copy(update={**labels, "role": {}})
            sections.bodies[f"{name}.{role}"] = name
    if len(expanded) > MAX_ENCLAVES:
        check.say(("enclave",), f"{len(expanded)} with their roles", f"{MAX_ENCLAVES} is the most")
    sections.enclaves = expanded


def did_you_mean(name: str, known: Mapping[str, object]) -> str:
    """`did you mean sees?`, or the list of what there is."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known are: {', '.join(known) or 'none'}"


def _fields(model: type[schema.Table]) -> dict[str, object]:
    return {info.alias or name: info for name, info in model.model_fields.items()}


def _model_at(model: type[schema.Table], loc: tuple[str | int, ...]) -> type[schema.Table]:
    """The table that a location inside `model` lies in."""
    nested: dict[str | int, type[schema.Table]] = {
        "may_release": schema.Release,
        "may_vouch": schema.Vouch,
        "role": schema.Role,
    }
    for part in loc:
        model = nested.get(part, model)
    return model


def _describe(model: type[schema.Table], loc: tuple[str | int, ...]) -> str:
    """The mend for the key at `loc`, from the description of the innermost field it names."""
    for end in range(len(loc), 0, -1):
        inner = _model_at(model, loc[: end - 1])
        for name, info in inner.model_fields.items():
            if loc[end - 1] in (name, info.alias) and info.description:
                return f"give {info.description}"
    return "see docs/manifest.md"
