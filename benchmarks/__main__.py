# SPDX-License-Identifier: Apache-2.0
"""`./dev bench [GROUP...]`: measures, and prints each figure beside what it is to be read against.

`--json` prints a list of `{"name", "value", "unit", "against", "ratio"}`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.appraisal import appraisal
from benchmarks.calls import calls
from benchmarks.fleet import fleet
from benchmarks.measure import Measure
from benchmarks.service import service
from benchmarks.sizes import sizes
from benchmarks.speed import speed
from benchmarks.starts import starts
from benchmarks.uploads import uploads
from benchmarks.workshop import Groups, Workshop

# In this order; what takes minutes comes last.
GROUPS: Groups = {
    "sizes": sizes,
    "appraisal": appraisal,
    "starts": starts,
    "calls": calls,
    "uploads": uploads,
    "speed": speed,
    "service": service,
    "fleet": fleet,
}


def measures(groups: list[str], workshop: Workshop) -> Iterator[Measure]:
    """The figures of some groups, of all if none is named."""
    for name, group in GROUPS.items():
        if not groups or name in groups:
            yield from group(workshop)


def main() -> None:
    """Runs the benchmarks."""
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    if unknown := set(arguments.groups) - set(GROUPS):
        parser.error(f"no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    with tempfile.TemporaryDirectory(prefix="coffret-bench-") as folder:
        workshop = Workshop(Path(folder).resolve(), ec.generate_private_key(ec.SECP256R1()))
        found = []
        for each in measures(arguments.groups, workshop):
            found.append(each)
            if not arguments.json:
                figure = f"{each.value:>14,} {each.unit:<13}"
                print(f"{each.name:<32}{figure}{each.ratio:>9} x {each.against}", flush=True)
    if arguments.json:
        print(json.dumps([asdict(each) for each in found], indent=2))


main()
