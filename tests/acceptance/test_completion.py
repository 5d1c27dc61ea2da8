# SPDX-License-Identifier: Apache-2.0
"""Shell completion, asked of the shells themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# The `coffret` beside this Python, as a person's PATH has it.
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

BASH = """
source <(coffret completion bash)
COMP_WORDS=(coffret {words}); COMP_CWORD={last}; _coffret_completion coffret
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# Outside of a line editor: what completion would offer is printed instead.
ZSH = """
compdef() {{ }}
_describe() {{ print -rl -- "${{(@P)3}}" }}
compadd() {{ print -rl -- "${{(@P)argv[-1]}}" }}
source <(coffret completion zsh)
words=(coffret {words}); CURRENT={place}; _coffret_completion
"""
FISH = 'coffret completion fish | source; complete -C "coffret {words}"'
SHELLS = {"bash": ("bash", "-c", BASH), "zsh": ("zsh", "-fc", ZSH), "fish": ("fish", "-c", FISH)}


def offered(shell: str, words: str) -> str:
    """What the shell offers for `coffret WORDS`, a line each."""
    program, option, script = SHELLS[shell]
    count = len(words.split())
    text = script.format(words=words, last=count, place=count + 1)
    done = subprocess.run(
        [program, option, text],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_verbs_and_options_are_completed(shell: str) -> None:
    verbs = offered(shell, "fl")
    assert "flash" in verbs and "fleet" in verbs and "flows" in verbs
    assert "devices" not in verbs
    assert "--transport" in offered(shell, "flash --tr")
    assert "picoboot" in offered(shell, "flash --transport pico")
