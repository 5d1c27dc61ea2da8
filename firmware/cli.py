# SPDX-License-Identifier: Apache-2.0
"""Verbs of the `firmware` package: `build`, `inspect`, `rebuild`.

A verb is a part of the front door: it alone may bring packages together that do not know each
other. `build` hands the bundle's facts to `attest`, which makes the reference values (CoRIM).
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import rich_click as click

from boards.answer import JSON
from boards.errors import CoffretError
from firmware.appliance.profile import Profile
from firmware.sign_cli import (
    private_key,
    reference_values_of,
    sign_command,
    signed_reference_values,
)

if TYPE_CHECKING:
    from boards.model import Board
    from firmware.appliance.manifest import Manifest
    from firmware.build import Means
    from firmware.bundle.folder import Bundle
    from firmware.bundle.size_tree import Group


def mount(group: click.Group) -> None:
    """Add this package's verbs to the front door."""
    group.add_command(build_command)
    group.add_command(inspect_command)
    group.add_command(rebuild_command)
    group.add_command(sign_command)


@click.command("build")
@click.argument("appliance", type=click.Path(path_type=Path))
@click.option("--board", "board_name", required=True, help="The board, as `coffret boards` says.")
@click.option("-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="The bundle.")
@click.option("--key", metavar="KEY", help="The private signing key: a PEM file or a pkcs11: URI.")
@click.option(
    "--lms-key",
    "lms_key",
    type=click.Path(path_type=Path),
    help="An LMS key's file: sign with it, too. Boot asks for it.",
)
@click.option("--unsigned", is_flag=True, help="Leave signing to `coffret sign`, elsewhere.")
@click.option(
    "--public-key",
    type=click.Path(path_type=Path),
    help="With --unsigned: whose signature is to come first (PEM).",
)
@click.option(
    "--trust",
    type=click.Path(path_type=Path),
    help="A trust.toml: the keys that boot knows, and how many must sign.",
)
@click.option(
    "--profile",
    type=click.Choice(get_args(Profile)),
    help="Instead of the manifest's: `debug` keeps assertions, enclave.debug and line numbers.",
)
@click.option(
    "--explain",
    is_flag=False,
    flag_value="",
    metavar="[FEATURE]",
    help="Say why a feature of the runtime, or each of them, is in; build nothing.",
)
@click.option(
    "--size",
    "size_picture",
    is_flag=False,
    flag_value="-",
    metavar="[SVG]",
    help="Say where the bytes of the image are; with a file's name, draw it there too.",
)
@JSON
def build_command(
    appliance: Path,
    board_name: str,
    out: Path | None,
    key: str | None,
    lms_key: Path | None,
    unsigned: bool,
    public_key: Path | None,
    trust: Path | None,
    profile: Profile | None,
    explain: str | None,
    size_picture: str | None,
    as_json: bool,
) -> None:
    """Build APPLIANCE for a board into a bundle: two signed images, boot, policy, SBOM, CoRIM.

    Without --key your own signing key is used, and made if there is none. Exit 1: a flow is
    illegal, a grant is missing, or a module has a type error. 2: the manifest is wrong, the board
    lacks something, or a module needs what a sealed image does not have.
    """
    from boards.model import load as load_board  # noqa: PLC0415 - pydantic is slow to import
    from enclaves.cli_parts import refuse  # noqa: PLC0415
    from firmware.appliance.manifest_file import load  # noqa: PLC0415
    from firmware.appliance.problems import ApplianceError  # noqa: PLC0415

    if unsigned == (public_key is None) or (unsigned and (key, lms_key) != (None, None)):
        raise CoffretError(
            "--unsigned goes with --public-key, and without --key and --lms-key",
            "coffret build APPLIANCE --board NAME --unsigned --public-key FILE",
        )
    board = load_board(board_name)
    try:
        manifest = load(appliance).with_profile(profile)
        if explain is not None:
            _explain(manifest, explain, as_json)
        else:
            bundle = _build(manifest, board, out, Signing(key, public_key, trust, lms_key))
            _report(manifest, bundle, size_picture, as_json)
    except ApplianceError as error:
        refuse(error, as_json)


@dataclass(frozen=True, slots=True)
class Signing:
    """How a build is signed: by the key, or later by the one whose public half is given."""

    key: str | None = None
    public_key: Path | None = None
    trust: Path | None = None
    lms_key: Path | None = None


def _build(manifest: Manifest, board: Board, out: Path | None, signing: Signing) -> Bundle:
    from firmware.build import build  # noqa: PLC0415

    appliance = manifest.appliance
    target = out or Path("build") / f"{appliance.name}-{appliance.version}-{board.name}"
    with _means(manifest, board, signing) as means:
        return build(manifest, board, target.absolute(), means)


def _report(manifest: Manifest, bundle: Bundle, picture: str | None, as_json: bool) -> None:
    from firmware.bundle.inspect import report  # noqa: PLC0415

    document = {"bundle": str(bundle.folder), **bundle.facts.inspection()}
    text = report(bundle)
    if picture is not None:
        groups, lines = _sizes(manifest, bundle, picture)
        document["size"] = [
            {"part": g.part, "group": g.name, "bytes": g.size, "symbols": dict(g.symbols)}
            for g in groups
        ]
        text = "\n".join(lines)
    click.echo(json.dumps(document, indent=2) if as_json else f"{text}\n\n{bundle.folder}")


def _sizes(
    manifest: Manifest, bundle: Bundle, picture: str
) -> tuple[Sequence[Group], Sequence[str]]:
    """Where the bytes are, as values and as lines; drawn into a file unless its name is `-`."""
    from boards.model import load as load_board  # noqa: PLC0415
    from firmware.bundle.size_tree import size_tree, sources_of, table  # noqa: PLC0415
    from firmware.bundle.treemap import treemap  # noqa: PLC0415
    from firmware.compiler.object_cache import write_atomically  # noqa: PLC0415
    from firmware.compiler.sources import find_trees  # noqa: PLC0415
    from firmware.planning.monitor_features import Feature  # noqa: PLC0415
    from firmware.specialiser.program import whole_program  # noqa: PLC0415

    facts = bundle.facts
    owners: dict[str, list[str]] = {}
    for enclave, modules in manifest.modules.items():
        for module in modules:
            owners.setdefault(module.name, []).append(enclave)
    sources = sources_of(load_board(facts.board), find_trees())
    elf = bundle.folder / "elf" / "slot_a.elf"
    frozen = [source.name for source in whole_program(manifest)]
    groups = size_tree(elf, facts.sizes.model_dump(), frozen, sources)
    if picture != "-":
        title = f"{facts.appliance} {facts.version} for {facts.board}"
        write_atomically(Path(picture), treemap(title, groups).encode())
    absent = [each for each in Feature if facts.switches.get(each.constant) == "0"]
    return groups, (*table(groups, owners), f"not in the monitor: {', '.join(absent) or 'nothing'}")


@click.command("inspect")
@click.argument("bundle", type=click.Path(path_type=Path))
@JSON
def inspect_command(bundle: Path, as_json: bool) -> None:
    """Say what is in BUNDLE, after checking that it is whole: sizes, memory, digests."""
    from firmware.bundle.folder import load_bundle  # noqa: PLC0415 - pydantic is slow to import
    from firmware.bundle.inspect import report  # noqa: PLC0415

    found = load_bundle(bundle)
    click.echo(json.dumps(found.facts.inspection(), indent=2) if as_json else report(found))


@click.command("rebuild")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("appliance", type=click.Path(path_type=Path), required=False)
@click.option("--key", metavar="KEY", help="The private signing key: a PEM file or a pkcs11: URI.")
@JSON
def rebuild_command(bundle: Path, appliance: Path | None, key: str | None, as_json: bool) -> None:
    """Build BUNDLE again from the sources in it, and say whether the result is the same.

    With APPLIANCE: from that folder instead, whose sources are compared too. With another signing
    key than BUNDLE's, everything is compared but what depends on the key: the signatures, and boot,
    which has the keys it trusts in it. A bundle built with --trust has those recorded (trust.json):
    they are used again, and boot is compared. Exit 0: the same. 1: something differs, and what,
    inputs first.
    """
    from boards.errors import NO  # noqa: PLC0415
    from boards.model import load as load_board  # noqa: PLC0415
    from enclaves.cli_parts import refuse  # noqa: PLC0415
    from firmware.appliance.manifest_file import load  # noqa: PLC0415
    from firmware.appliance.problems import ApplianceError  # noqa: PLC0415
    from firmware.build import build  # noqa: PLC0415
    from firmware.bundle.folder import load_bundle  # noqa: PLC0415
    from firmware.bundle.rebuild import (  # noqa: PLC0415
        differences,
        left_out,
        recorded_appliance,
        same_key,
        trust_to_use,
    )

    found = load_bundle(bundle)
    board, trust = load_board(found.facts.board), trust_to_use(found)
    with tempfile.TemporaryDirectory() as folder:
        try:
            if appliance is None:
                appliance = recorded_appliance(found, Path(folder) / "sources")
            manifest = load(appliance).with_profile(found.facts.profile)
            with _means(manifest, board, Signing(key)) as usual:
                means = replace(usual, work=Path(folder) / "work", trust=trust)
                again = build(manifest, board, Path(folder) / "b", means)
        except ApplianceError as error:
            refuse(error, as_json)
        differing = differences(found, again, trust)
        with_key = same_key(found, again)
    if as_json:
        listed = [{"what": d.what, "bundle": d.bundle, "again": d.again} for d in differing]
        document = {"same": not differing, "same_key": with_key, "differences": listed}
        click.echo(json.dumps(document, indent=2))
    else:
        why = left_out(found, again, trust)
        for difference in differing:
            click.echo(str(difference))
        click.echo(f"{bundle} {'differs' if differing else 'reproduces'}{why and f' ({why})'}")
    if differing:
        sys.exit(NO)


def _explain(manifest: Manifest, feature: str, as_json: bool) -> None:
    from firmware.planning.monitor_features import constants, feature_reasons, log_bytes  # noqa: PLC0415
    from firmware.specialiser.program import shrink_appliance  # noqa: PLC0415
    from firmware.specialiser.specialise import Specialisation, specialise  # noqa: PLC0415

    program = shrink_appliance(manifest)
    machine, monitor = specialise(program.sources), feature_reasons(manifest)
    specialisation = Specialisation(
        {
            **machine.switches,
            **constants(monitor, log_bytes(manifest), profile=manifest.appliance.profile),
        },
        {**machine.reasons, **{each.constant: why for each, why in monitor.items()}},
    )
    if as_json:
        click.echo(json.dumps(specialisation.as_json(feature), indent=2))
        return
    click.echo(specialisation.explain(feature))
    if not feature:
        for each in program.removals:
            click.echo(f"left out: {each.module}.py:{each.line} {each.name}, which nothing names")


@contextmanager
def _means(manifest: Manifest, board: Board, signing: Signing) -> Iterator[Means]:
    """Compiler, sources, key and reference values for one build."""
    from attest import keys, lms_keys  # noqa: PLC0415
    from firmware.build import Means  # noqa: PLC0415
    from firmware.compiler.object_cache import user_cache  # noqa: PLC0415
    from firmware.compiler.sources import find_trees  # noqa: PLC0415
    from firmware.compiler.toolchain import zig_toolchain  # noqa: PLC0415
    from firmware.image.signer import AbsentSigner, LocalSigner  # noqa: PLC0415
    from firmware.image.trust_file import load_public, load_trust  # noqa: PLC0415

    place = hashlib.sha256(f"{manifest.path.resolve()}\0{board.name}".encode()).hexdigest()[:16]
    means = partial(
        Means,
        toolchain=zig_toolchain(),
        trees=find_trees(),
        work=user_cache() / "work" / place,
        say=_say,
        trust=load_trust(signing.trust) if signing.trust is not None else None,
        lms=lms_keys.load(signing.lms_key) if signing.lms_key is not None else None,
    )
    if signing.public_key is not None:
        signer = AbsentSigner(load_public(signing.public_key))
        yield means(signer=signer, endorse=reference_values_of)
        return
    if signing.key is None:
        made = keys.load_or_create("signing")
        if made.created:
            _say(f"made a signing key: {made.path}; whoever has it can sign images for your boards")
    with private_key(signing.key) as key:
        yield means(
            signer=LocalSigner(key), endorse=lambda facts: signed_reference_values(facts, key)
        )


def _say(line: str) -> None:
    click.echo(line, err=True)
