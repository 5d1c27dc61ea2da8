# SPDX-License-Identifier: Apache-2.0
"""Where benchmarks are made: a folder and a key of the moment, and bundles built once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

import boards
from benchmarks.measure import Measure
from firmware.appliance.manifest_file import load
from firmware.build import Means, build
from firmware.bundle.folder import Bundle
from firmware.compiler.sources import find_trees
from firmware.compiler.toolchain import zig_toolchain
from firmware.image.signer import LocalSigner
from firmware.sign_cli import signed_reference_values

BOARD = "mps2-an385"
EXAMPLES = Path(__file__).parents[1] / "examples"


@dataclass(slots=True)
class Workshop:
    """`folder` is gone when the benchmarks end."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    _examples: dict[tuple[str, str], Bundle] = field(default_factory=dict)

    def say(self, line: str) -> None:
        """A line of progress, not of the result."""
        print(line, file=sys.stderr)

    def means(self) -> Means:
        """What a build is done with."""
        return Means(
            toolchain=zig_toolchain(None),
            trees=find_trees(),
            signer=LocalSigner(self.key),
            endorse=lambda facts: signed_reference_values(facts, self.key),
            work=self.folder / "work",
            say=self.say,
        )

    def build(self, appliance: Path, board: str = BOARD) -> Bundle:
        """An appliance, built below `bundles/`."""
        target = self.folder / "bundles" / board / appliance.name
        target.parent.mkdir(parents=True, exist_ok=True)
        return build(load(appliance), boards.load(board), target, self.means())

    def example(self, name: str, board: str = BOARD) -> Bundle:
        """One of the examples, built once."""
        if (name, board) not in self._examples:
            self._examples[name, board] = self.build(EXAMPLES / name, board)
        return self._examples[name, board]


# What a group of benchmarks is: a function from the workshop to its figures.
Groups = Mapping[str, Callable[[Workshop], Iterator[Measure]]]
