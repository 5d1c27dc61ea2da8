# SPDX-License-Identifier: Apache-2.0
"""docs/attacks.md from the tests' own lists: `python -m tests.monitor.attack_table --write`."""

# ruff: noqa: E501 - lines as the pages of docs/ have them

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from tests.monitor.controls import CONTROLS, Effect
from tests.monitor.defences import DEFENCES
from tests.monitor.rig import PROGRAM

PAGE = Path(__file__).parents[2] / "docs/attacks.md"
_HEAD = """# Attacks

What a hostile enclave tries, what stops it, and what the same attack comes to on a monitor that lacks that one defence. Made from the
lists of the tests by `python -m tests.monitor.attack_table --write`; `tests/monitor/test_isolation.py` shows each stopped (on Cortex-M3 and
Cortex-M33), its enclave named in the log and restarted, the others undisturbed; `tests/monitor/test_controls.py` shows each succeed without
its defence (on Cortex-M3; a sample in every run, all with `--all`).

Also attacked: every call that an enclave may not make (it ends the enclave), every pointer of the calls that only services have, 20,000 calls
by chance, pins and devices of others and an interrupt that never ends (`tests/machine`), the same from Python (`tests/monitor/test_python_enclaves.py`),
and without Main Extension on the emulated Pico (`tests/armv6m`).
"""
_NUISANCE = "its neighbours get their share"


def stopped() -> dict[str, str]:
    """What each attack ends in, as attacks.h has it."""
    text = (PROGRAM / "attacks.h").read_text(encoding="utf-8")
    found = {
        name: "fault: " + reason.removeprefix("FAULT_").replace("_", " ").lower()
        for name, reason in re.findall(r"^ +ATTACK\((\w+), (\w+)\)", text, re.MULTILINE)
    }
    for name, answer in re.findall(r"^ +PROBE\((\w+), .*, (\w+)\)", text, re.MULTILINE):
        found[name] = f"`{answer}`" if answer != "0" else "0, whatever happens"
    return found | dict.fromkeys(re.findall(r"NUISANCE\((\w+)\)", text), _NUISANCE)


def render() -> str:
    """The page."""
    ends = stopped()
    lines = [_HEAD]
    for name, defence in DEFENCES.items():
        lines += [
            f"## {name[0].upper()}{name[1:]}",
            f"{defence.says[0].upper()}{defence.says[1:]}.",
            "",
        ]
        lines += ["| attack | stopped | without the defence |", "| --- | --- | --- |"]
        for control in CONTROLS:
            if control.defence == name:
                effect = str(control.effect)
                if control.effect is Effect.ANSWERS:
                    effect += f" {control.value}"
                attack = control.attack.replace("_", " ")
                lines.append(f"| {attack} | {ends[control.attack]} | {effect} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/attacks.md")
    if parser.parse_args().write:
        PAGE.write_text(render(), encoding="utf-8")
    else:
        sys.stdout.write(render())
