# SPDX-License-Identifier: Apache-2.0
"""docs/json-schema.json says what every verb prints with `--json`, and every verb keeps to it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.acceptance.verbs import ROOT, Teller, front_door, tell_all, verbs_with_json
from tests.qemu import needs_qemu

SCHEMA = json.loads((ROOT / "docs" / "json-schema.json").read_text())
# Only told by a test that takes minutes, below.
LONG = {"demo"}


def problems(verb: str, document: Any) -> list[str]:
    """What is not as the schema says, with the place in the document."""
    schema = {"$schema": SCHEMA["$schema"], "$defs": SCHEMA["$defs"], **SCHEMA["verbs"][verb]}
    return [
        f"{verb}: {error.json_path}: {error.message[:300]}"
        for error in Draft202012Validator(schema).iter_errors(document)
    ]


def test_every_verb_with_json_has_a_schema_and_no_schema_is_left_over() -> None:
    """A new verb: describe its document in docs/json-schema.json and tell it in verbs.py."""
    assert sorted(SCHEMA["verbs"]) == sorted(verbs_with_json(front_door()))


def test_the_schemas_are_schemas() -> None:
    for part in (*SCHEMA["$defs"].values(), *SCHEMA["verbs"].values()):
        Draft202012Validator.check_schema(part)


def test_a_document_that_is_not_as_the_schema_says_is_noticed() -> None:
    good = {"device": "00", "name": "kitchen", "board": "rpi-pico", "changed": True}
    assert problems("provision", good) == []
    assert problems("provision", {**good, "changed": "yes"})
    assert problems("provision", {**good, "more": 1})
    assert problems("provision", {"device": "00"})


@needs_qemu
def test_what_every_verb_prints_is_what_its_schema_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teller = Teller(tmp_path, monkeypatch)
    tell_all(teller)
    assert [said for verb, document in teller.said for said in problems(verb, document)] == []
    told = {verb for verb, _ in teller.said}
    assert told | LONG == set(SCHEMA["verbs"])


@pytest.mark.all
@needs_qemu
def test_the_demo_prints_what_its_schema_says() -> None:
    command = [sys.executable, "-m", "coffret", "demo", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert problems("demo", json.loads(done.stdout)) == []
