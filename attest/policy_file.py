# SPDX-License-Identifier: Apache-2.0
"""`policy.toml` of a verifier: read strictly, every mistake named by file, line and key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from attest.flows import Route
from attest.policy import LIFECYCLES, Policy, Rules, version_problem
from firmware.appliance.lines import KeyPath, key_lines
from firmware.appliance.problems import ApplianceError, Problem, problem_at

MAX_BYTES = 64 * 1024
_DURATION = re.compile(r"([1-9][0-9]{0,8}) ?(s|min|h|d)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_MEND = "see docs/operators.md, The verifier's policy"


def _duration(text: str) -> str:
    if not _DURATION.fullmatch(text):
        raise ValueError('must be a number and s, min, h or d, such as "5 min"')
    return text


def _version(text: str) -> str:
    problem = version_problem(text)
    if problem:
        raise ValueError(problem)
    return text


def _lifecycle(text: str) -> str:
    if text not in LIFECYCLES:
        raise ValueError(f"must be one of {', '.join(LIFECYCLES)}")
    return text


def _digest(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise ValueError("must be SHA-256 digests of 64 hex digits: `coffret settings` prints them")
    return text


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Flow(_Table):
    """`[[flow]]`: one way out that is allowed."""

    tag: str = Field(min_length=1, max_length=64)
    to: str = Field(min_length=1, max_length=64)
    through: str | None = Field(default=None, min_length=1, max_length=64)


class _Rules(_Table):
    """What is asked, in general or of one appliance."""

    versions: list[Annotated[str, AfterValidator(_version)]] | None = None
    minimum_security_counter: int | None = Field(default=None, ge=0, le=0x7FFFFFFF, strict=True)
    lifecycle: list[Annotated[str, AfterValidator(_lifecycle)]] | None = Field(None, min_length=1)
    maximum_age: Annotated[str, AfterValidator(_duration)] | None = None
    maximum_faults: int | None = Field(default=None, ge=0, le=0x7FFFFFFF, strict=True)
    settings: list[Annotated[str, AfterValidator(_digest)]] | None = Field(None, max_length=4096)
    flow: list[_Flow] | None = None

    def over(self, general: Rules) -> Rules:
        """These rules where they are given, the general ones elsewhere."""
        flows = self.flow
        return Rules(
            versions=general.versions if self.versions is None else tuple(self.versions),
            minimum_security_counter=general.minimum_security_counter
            if self.minimum_security_counter is None
            else self.minimum_security_counter,
            lifecycle=general.lifecycle if self.lifecycle is None else tuple(self.lifecycle),
            maximum_age=general.maximum_age
            if self.maximum_age is None
            else _seconds(self.maximum_age),
            maximum_faults=general.maximum_faults
            if self.maximum_faults is None
            else self.maximum_faults,
            settings=general.settings
            if self.settings is None
            else tuple(map(bytes.fromhex, self.settings)),
            flows=general.flows
            if flows is None
            else tuple(Route(each.tag, each.to, each.through) for each in flows),
        )


class _File(_Rules):
    name: str = Field(default="policy", pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")
    appliance: dict[str, _Rules] = Field(default_factory=dict, max_length=256)


def _seconds(text: str) -> int:
    match = _DURATION.fullmatch(text)
    assert match is not None  # the model looked
    return int(match[1]) * _SECONDS[match[2]]


def read(path: Path) -> Policy:
    """The policy in `path`. Raises ApplianceError, which names file, line, key and mend."""
    text = _text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ApplianceError([_syntax(path, text, str(error))]) from error
    try:
        file = _File.model_validate(document)
    except ValidationError as error:
        lines = key_lines(text)
        raise ApplianceError(
            [
                problem_at(path, lines, _key(each["loc"]), _what(each["msg"]), _MEND)
                for each in error.errors()
            ]
        ) from error
    general = file.over(Rules())
    special = tuple((name, rules.over(general)) for name, rules in sorted(file.appliance.items()))
    return Policy(file.name, general, special)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ApplianceError([Problem(path, 1, "policy", "longer than 64 KiB", "shorten it")])
        return data.decode("utf-8").replace("\r\n", "\n")
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
        raise ApplianceError([Problem(path, 1, "policy", what, "name a policy.toml")]) from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ApplianceError(
            [Problem(path, line, "policy", "not UTF-8", "save it as UTF-8")]
        ) from error


def _syntax(path: Path, text: str, message: str) -> Problem:
    """tomllib says `what (at line N, column M)`, or `(at end of document)`."""
    what, _, place = message.partition(" (at ")
    number = place.removeprefix("line ").split(",")[0]
    line = int(number) if number.isdigit() else text.count("\n") + 1
    return Problem(path, line, "policy", f"not TOML: {what}", "mend the syntax")


def _key(location: tuple[int | str, ...]) -> KeyPath:
    return tuple(location)


def _what(message: str) -> str:
    words = message.removeprefix("Value error, ")
    return words[:1].lower() + words[1:]
