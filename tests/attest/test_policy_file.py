# SPDX-License-Identifier: Apache-2.0
"""The verifier's policy.toml: what it may say, and how each mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest import policy_file
from attest.flows import Route
from attest.policy import DEFAULT, Policy, Rules, accepts
from firmware.appliance.problems import ApplianceError

WHOLE = """\
name = "fleet-1"
versions = [">=1.2, <2"]
minimum_security_counter = 3
lifecycle = ["secured"]
maximum_age = "5 min"

[appliance.heart-diary]
versions = ["1.4.0"]

[[appliance.heart-diary.flow]]
tag = "alice/health"
to = "usb"
through = "coach.weekly"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    return path


def test_a_whole_policy_is_read_and_appliances_override_the_general_rules(tmp_path: Path) -> None:
    policy = policy_file.read(written(tmp_path, WHOLE))
    general = Rules((">=1.2, <2",), 3, ("secured",), 300, None)
    assert policy.rules_for("thermostat") == general
    assert policy.rules_for(None) == general
    assert policy.rules_for("heart-diary") == Rules(
        ("1.4.0",), 3, ("secured",), 300, (Route("alice/health", "usb", "coach.weekly"),)
    )


def test_settings_are_asked_for_by_their_digests(tmp_path: Path) -> None:
    one, other = "ab" * 32, "cd" * 32
    text = f'settings = ["{one}"]\n[appliance.thermostat]\nsettings = ["{other}"]\n'
    policy = policy_file.read(written(tmp_path, text))
    assert policy.rules.settings == (bytes.fromhex(one),)
    assert policy.rules_for("thermostat").settings == (bytes.fromhex(other),)
    with pytest.raises(ApplianceError, match="SHA-256"):
        policy_file.read(written(tmp_path, 'settings = ["ab"]\n'))


def test_an_empty_file_asks_what_no_file_asks(tmp_path: Path) -> None:
    assert policy_file.read(written(tmp_path, "")).rules == DEFAULT.rules


def test_the_identifier_names_what_is_asked_and_nothing_else(tmp_path: Path) -> None:
    policy = policy_file.read(written(tmp_path, WHOLE))
    same = policy_file.read(written(tmp_path, f"# a comment\n{WHOLE}"))
    other = policy_file.read(written(tmp_path, WHOLE.replace("= 3", "= 4")))
    assert policy.identifier == same.identifier != other.identifier
    assert policy.identifier.startswith("fleet-1@")
    assert Policy().identifier == DEFAULT.identifier


@pytest.mark.parametrize(
    ("text", "line", "key", "what"),
    [
        ("versions = 1", 1, "versions", "list"),
        ('\nversions = ["new"]', 2, "versions", "neither a version nor a range"),
        ('versions = [">= one"]', 1, "versions", "neither a version nor a range"),
        ("minimum_security_counter = -1", 1, "minimum_security_counter", "greater than"),
        ('minimum_security_counter = "3"', 1, "minimum_security_counter", "integer"),
        ("minimum_security_counter = true", 1, "minimum_security_counter", "integer"),
        ("lifecycle = []", 1, "lifecycle", "at least 1"),
        ('lifecycle = ["open"]', 1, "lifecycle", "one of unknown, assembly-and-test"),
        ('maximum_age = "soon"', 1, "maximum_age", "a number and s, min, h or d"),
        ('maximum_age = "0 s"', 1, "maximum_age", "a number and s, min, h or d"),
        ("maximum_age = 5", 1, "maximum_age", "string"),
        ('minimum_counter = 1\nname = "x"', 1, "minimum_counter", "extra"),
        ('name = "x"\n[[flow]]\nto = "usb"', 2, "flow", "required"),
        ('[[flow]]\ntag = "a"\nto = "usb"\nvia = "b"', 4, "flow", "extra"),
        ('[appliance.x]\nversion = ["1"]', 2, "appliance.x.version", "extra"),
        ('name = "No Spaces"', 1, "name", "pattern"),
        ("name = ", 1, "policy", "not TOML"),
        ('a = 1\nname = "x', 2, "policy", "not TOML"),
    ],
)
def test_each_mistake_is_named_by_line_and_key(
    tmp_path: Path, text: str, line: int, key: str, what: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ApplianceError) as raised:
        policy_file.read(path)
    problem = raised.value.problems[0]
    assert (problem.line, problem.key.startswith(key)) == (line, True), str(problem)
    assert what in problem.what
    assert problem.mend
    assert raised.value.exit_code == 2


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match="no such file"):
        policy_file.read(tmp_path / "none.toml")
    path = tmp_path / "binary.toml"
    path.write_bytes(b'name = "x"\n\xff')
    with pytest.raises(ApplianceError, match=r":2: .*not UTF-8"):
        policy_file.read(path)
    path.write_bytes(b"#" * (policy_file.MAX_BYTES + 1))
    with pytest.raises(ApplianceError, match="longer than"):
        policy_file.read(path)


@pytest.mark.parametrize(
    ("wanted", "version", "accepted"),
    [
        ("1.2.0", "1.2.0", True),
        ("1.2.0", "1.2", False),
        (">=1.2, <2", "1.10.3", True),
        (">=1.2, <2", "2.0.0", False),
        (">=1.2", "1.2.0+7", True),
        ("~=1.4", "1.5.0", True),
        ("~=1.4", "not a version", False),
    ],
)
def test_versions_and_ranges(wanted: str, version: str, accepted: bool) -> None:
    assert accepts(wanted, version) is accepted
