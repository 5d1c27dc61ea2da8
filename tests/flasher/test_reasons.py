# SPDX-License-Identifier: Apache-2.0
"""The host's words for a refusal against the board's numbers."""

import re
from pathlib import Path

import pytest

from flasher.reasons import IMAGE_ERRORS, Reason

RUNTIME = Path(__file__).parents[2] / "firmware" / "runtime"


def _numbers(text: str, prefix: str) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(rf"{prefix}(\w+) = (\d+)", text)}


def test_every_reason_of_the_header_has_the_same_number_here() -> None:
    header = (RUNTIME / "include" / "coffret" / "reason.h").read_text()
    assert {reason.name: reason.value for reason in Reason} == _numbers(header, "REASON_")


def test_the_board_says_each_reason_with_the_error_that_the_host_expects() -> None:
    source = (RUNTIME / "smp" / "image.c").read_text()
    server = (RUNTIME / "smp" / "server.h").read_text()
    codes = {
        name: int(code) for name, code in re.findall(r"IMAGE_(\w+) = GROUP_ERROR \| (\d+)", server)
    }
    table = dict(re.findall(r"\[REASON_(\w+)\] = IMAGE_(\w+)", source))
    said = {Reason[reason]: codes[error] for reason, error in table.items()}
    assert said == {reason: int(error) for reason, error in IMAGE_ERRORS.items()}


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_words_and_a_mend(reason: Reason) -> None:
    assert reason.words
    assert reason.mend
