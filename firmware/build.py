# SPDX-License-Identifier: Apache-2.0
"""One way through, from an appliance to a bundle: each step takes values and gives values.

manifest -> flows proved -> specialised -> planned -> compiled -> linked for slot A and B ->
audited -> signed -> bundle. Nothing reads the clock, the environment or a path into the output, so
the same inputs give the same bytes anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

try:
    import fcntl
except ImportError:  # not POSIX: whoever builds twice at once there must use two folders
    fcntl = None  # type: ignore[assignment]

from boards.errors import NO
from boards.model import Board
from firmware.appliance.flows import FlowPolicy, flow_policy
from firmware.appliance.manifest import Manifest
from firmware.appliance.problems import ApplianceError
from firmware.appliance.profile import profile_switches
from firmware.bundle.contents import Parts, assemble
from firmware.bundle.facts import Facts
from firmware.bundle.folder import FACTS_FILE, Bundle, load_bundle, staged, write_files
from firmware.bundle.sbom import prepare
from firmware.bundle.sizes import MONITOR, TABLES, part_sizes
from firmware.bundle.symbols import Named
from firmware.compiler.boot_build import Boot, build_boot
from firmware.compiler.link import LinkedImage, link_image
from firmware.compiler.micropython import baseline_switches, build_vm, native_code_switches
from firmware.compiler.native import (
    DELTAS,
    compile_native,
    compile_tables,
    layout_of,
    runtime_digest,
)
from firmware.compiler.sources import Trees
from firmware.compiler.tables import Component, tables_c
from firmware.compiler.toolchain import CORES, Toolchain
from firmware.device_types.typecheck import type_problems
from firmware.image.audit import audit_image
from firmware.image.format import HEADER_SIZE
from firmware.image.signer import AbsentSigner, ImageSigner, LmsSigner
from firmware.image.trust import Trust, TrustedKey, TrustedLmsKey
from firmware.planning.monitor_features import constants
from firmware.planning.plan import SLOTS, Plan
from firmware.planning.planner import make_plan
from firmware.specialiser.program import ShrunkProgram, frozen_modules, modules_of, shrink_appliance
from firmware.specialiser.specialise import Specialisation, specialise

# Of the C in firmware/runtime and boards/; a test holds it against pyproject.toml.
RUNTIME_VERSION = "0.1.0"

Say = Callable[[str], None]
# Makes the signed reference values (CoRIM) of a bundle. `attest` knows how, and this package must
# not import it: whoever composes the two passes it in (firmware/cli.py does).
Endorse = Callable[[Facts], bytes]


@dataclass(frozen=True, slots=True)
class Means:
    """What a build is done with. `work` keeps generated files between builds of one appliance."""

    toolchain: Toolchain
    trees: Trees
    signer: ImageSigner | AbsentSigner
    endorse: Endorse
    work: Path
    say: Say
    trust: Trust | None = None  # of boot; None: the signers' keys alone
    lms: LmsSigner | None = None

    @property
    def boot_trust(self) -> Trust:
        """What boot is built with. Raises TrustError if these signers could not satisfy it."""
        alone = TrustedKey(self.signer.public_key)
        lms = () if self.lms is None else (TrustedLmsKey(self.lms.public_key),)
        trust = self.trust or Trust((alone,), lms_keys=lms)
        if not isinstance(self.signer, AbsentSigner):
            trust.check_lms_signer(None if self.lms is None else self.lms.public_key)
        return trust


@dataclass(frozen=True, slots=True)
class Design:
    """An appliance that was checked, proved, specialised and planned for a board."""

    manifest: Manifest
    board: Board
    policy: FlowPolicy
    program: ShrunkProgram
    specialisation: Specialisation
    switches: Mapping[str, str]  # of the virtual machine, all of them
    plan: Plan

    @property
    def monitor(self) -> Mapping[str, str]:
        """The constants of the monitor's C."""
        profile = self.manifest.appliance.profile
        return constants(self.plan.features, self.plan.log, profile=profile)


@dataclass(frozen=True, slots=True)
class Linked:
    """The appliance linked for both slots and audited. `sizes`: slot A's parts, in bytes."""

    images: tuple[LinkedImage, LinkedImage]
    runtime: Component
    sizes: Mapping[str, int]
    functions: tuple[Named, ...]


def build(manifest: Manifest, board: Board, target: Path, means: Means) -> Bundle:
    """Builds an appliance into the bundle directory `target`, which appears whole or not at all.

    Raises ApplianceError (1: a flow, a grant, a type; 2: the manifest, the board, what a sealed
    image lacks), and the errors of each step.
    """
    start = time.perf_counter()
    trust = means.boot_trust
    # It takes longer to import than to make, and the compiler leaves time for it.
    Thread(target=prepare, name="prepare the bill of materials", daemon=True).start()
    made = design(manifest, board, means.say)
    with _alone(means.work), staged(target) as folder:
        linked = compile_and_link(made, means, folder)
        with _step(means.say, "built boot"):
            boot = build_boot(board, trust, means.toolchain, means.trees.mbedtls, means.work)
        with _step(means.say, "signed and packed"):
            _pack(made, linked, (boot, trust), means, folder)
            unsigned = isinstance(means.signer, AbsentSigner)
            load_bundle(folder, unsigned=unsigned)
    bundle = load_bundle(target, unsigned=unsigned)
    means.say(f"all of it ({time.perf_counter() - start:.2f} s)")
    return bundle


def design(manifest: Manifest, board: Board, say: Say = lambda _: None) -> Design:
    """Everything that is decided before anything is compiled. Raises ApplianceError."""
    with _step(say, "proved the flows"):
        policy = flow_policy(manifest)
    with _step(say, "planned the memory"):
        plan = make_plan(manifest, board)
    with _step(say, "checked the types"):
        problems = type_problems(manifest, board)
        if problems:
            raise ApplianceError(problems, NO)
    with _step(say, "specialised the runtime"):
        program = shrink_appliance(manifest)
        specialisation = specialise(program.sources)
    switches = baseline_switches() | dict(specialisation.switches)
    switches |= profile_switches(manifest.appliance.profile)
    if switches.get("MICROPY_EMIT_THUMB") == "1":
        switches |= native_code_switches(CORES[board.core])
    return Design(manifest, board, policy, program, specialisation, switches, plan)


def compile_and_link(made: Design, means: Means, folder: Path) -> Linked:
    """Both ELF files, in `folder/elf`, each audited against the policy that was proved."""
    board, toolchain = made.board, means.toolchain
    modules = frozen_modules(made.program)
    with _step(means.say, "compiled the virtual machine"):
        core = CORES[board.core]
        vm = build_vm(
            modules,
            made.switches,
            core,
            toolchain,
            means.trees,
            means.work / "vm",
            board=board,
        )
    with _step(means.say, "compiled monitor and services"):
        deltas = made.plan.delta_updates
        native = compile_native(board, toolchain, means.work, made.monitor, deltas=deltas)
    every = {**made.switches, **made.monitor, **({DELTAS: "1"} if deltas else {})}
    digest = runtime_digest(board, means.trees.micropython.identity, every)
    runtime = Component("runtime", RUNTIME_VERSION, digest)
    images: list[LinkedImage] = []
    sizes: Mapping[str, int] = {}
    for slot in range(SLOTS):
        with _step(means.say, f"linked and audited slot {'AB'[slot]}"):
            text = tables_c(made.plan, slot, runtime)
            tables = compile_tables(board, text, slot, toolchain, means.work)
            objects = [native, tables, *vm.objects]
            elf = folder / "elf" / f"slot_{'ab'[slot]}.elf"
            image = link_image(toolchain, objects, board, layout_of(made.plan), slot, elf)
            audit_image(elf, made.plan, slot, runtime, made.policy.document)
            images.append(image)
            if slot == 0:
                start = board.slot(slot).base + HEADER_SIZE
                origins = {native: MONITOR, tables: TABLES}
                sizes = part_sizes(image.linker_map, origins, start, len(image.body))
    return Linked((images[0], images[1]), runtime, sizes, vm.functions)


def _pack(
    made: Design, linked: Linked, booting: tuple[Boot, Trust], means: Means, folder: Path
) -> None:
    """Signs both images and writes the bundle's files; `bundle.json` comes last."""
    boot, trust = booting
    parts = Parts(
        manifest=made.manifest,
        modules=modules_of(made.manifest),
        plan=made.plan,
        policy=made.policy,
        switches={**made.switches, **made.monitor},
        images=linked.images,
        runtime=linked.runtime,
        sizes=linked.sizes,
        functions=linked.functions,
        boot=boot,
        lms_keys=tuple(trusted.key for trusted in trust.lms_keys),
        trust=means.trust,
        trees=means.trees,
        compiler=means.toolchain.identity,
    )
    facts, files = assemble(parts, means.signer, means.endorse, means.lms)
    write_files(folder, {**files, FACTS_FILE: facts.text()})


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Two builds of one appliance take turns: they would write the same generated files."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("wb") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _step(say: Say, done: str) -> Iterator[None]:
    """Says what was done and how long it took, once it is done."""
    start = time.perf_counter()
    yield
    say(f"{done} ({time.perf_counter() - start:.2f} s)")
