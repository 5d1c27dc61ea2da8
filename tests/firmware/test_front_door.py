# SPDX-License-Identifier: Apache-2.0
"""A verb that starts without the other packages is the package's own."""

from __future__ import annotations

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
