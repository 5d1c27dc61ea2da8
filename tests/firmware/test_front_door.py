# SPDX-License-Identifier: Apache-2.0
"""A verb that starts without the other packages is the package's own."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest
import rich_click as click

import coffret


@pytest.mark.parametrize("verb", sorted(coffret.ALONE))
def test_a_verb_that_starts_alone_is_of_its_package(verb: str) -> None:
    group = click.Group()
    for package in coffret.needed([verb, "--json"]):
        import_module(f"{package}.cli").mount(group)
    assert verb in group.commands


@pytest.mark.parametrize("words", [[], ["--help"], ["attest"], ["no-such-verb"]])
def test_any_other_command_line_has_all_packages(words: list[str]) -> None:
    assert coffret.needed(words) == coffret.PACKAGES


def test_usage_names_the_command_as_a_person_types_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/coffret.py", "--version"])
    with pytest.raises(SystemExit) as end:
        coffret.main()
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("coffret, version ")


@pytest.mark.parametrize("number", sorted(coffret.OF_THE_DISK))
def test_a_disk_that_takes_nothing_is_the_environments_fault(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(number, "refused", "there")

    monkeypatch.setattr(coffret, "coffret", refuse)
    monkeypatch.setattr(coffret, "PACKAGES", ())
    monkeypatch.setattr(sys, "argv", ["coffret"])
    with pytest.raises(SystemExit) as end:
        coffret.main()
    assert end.value.code == 3
    said = capsys.readouterr().err
    assert f"error: there: {coffret.OF_THE_DISK[number]}" in said
    assert "mend: " in said


def test_an_interrupt_while_the_verbs_are_loaded_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(coffret, "import_module", interrupted)
    monkeypatch.setattr(sys, "argv", ["coffret", "keys", "list"])
    with pytest.raises(SystemExit) as end:
        coffret.main()
    assert end.value.code == 1
    assert capsys.readouterr().err == "Aborted.\n"
