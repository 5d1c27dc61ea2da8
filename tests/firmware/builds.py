# SPDX-License-Identifier: Apache-2.0
"""Whole builds for tests: a key of their own, and the caches they are told to use."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

import boards
from boards.model import Board
from firmware.appliance.manifest_file import load
from firmware.build import Means, build
from firmware.bundle.folder import Bundle
from firmware.compiler.sources import find_trees
from firmware.compiler.toolchain import zig_toolchain
from firmware.image.signer import LocalSigner
from firmware.sign_cli import signed_reference_values

REPOSITORY = Path(__file__).parents[2]
HELLO = REPOSITORY / "examples" / "hello"
# Any number in range is a private key; this one is public, and good for nothing but tests.
TEST_KEY = ec.derive_private_key(0xC0FF4E7, ec.SECP256R1())


def board() -> Board:
    """The board every build test uses."""
    return boards.load("mps2-an385")


def means(work: Path, cache: Path | None = None, said: list[str] | None = None) -> Means:
    """Ways to build with the test key. `cache`: of objects; None is the user's."""
    lines = [] if said is None else said
    return Means(
        toolchain=zig_toolchain(cache),
        trees=find_trees(),
        signer=LocalSigner(TEST_KEY),
        endorse=lambda facts: signed_reference_values(facts, TEST_KEY),
        work=work,
        say=lines.append,
    )


def build_bundle(appliance: Path, folder: Path, cache: Path | None = None) -> Bundle:
    """Builds an appliance into `folder`/bundle."""
    ways = means(folder / "work", cache)
    return build(load(appliance), board(), folder / "bundle", ways)
