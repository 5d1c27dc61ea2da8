# SPDX-License-Identifier: Apache-2.0
"""libFuzzer on every parser of boot and of the SMP path, with the sanitizers.

Ten minutes each (COFFRET_FUZZ_SECONDS), in --all only. What it learns stays for the next run in
the user's cache; a finding fails, and names the input.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import cbor2
import pytest

from attest import lms_keys
from boards.config_header import config_header
from firmware.compiler.boot_build import keys_source
from firmware.compiler.object_cache import user_cache
from firmware.compiler.sources import MBEDTLS, find_tree
from firmware.image.format import Version
from firmware.image.signer import LocalSigner
from firmware.image.trust import Trust, TrustedKey, TrustedLmsKey
from firmware.image.writer import ImageContent, add_lms_signature, wrap_image
from flasher.bundle import parse_image
from flasher.delta import make_delta
from tests.boot.skips.test_skips import FOREIGN
from tests.boot.test_power_cut import small_board
from tests.lms import FixedLmsSigner, make_lms_key
from tests.oracle.machine import Alter
from tests.smp.scripted_files import files_source, write_seeds
from tests.smp.simulated_board import KEY, MANAGER_A, RECOVERY, make_image, sources_of, write_config
from tests.store.host_library import RUNTIME

HERE = Path(__file__).parent
SECONDS = int(os.environ.get("COFFRET_FUZZ_SECONDS", "600"))
HASHING = ["crypto/sha256.c", "crypto/memory.c"]
SESSIONS = {"RECOVERY": RECOVERY, "MANAGER": MANAGER_A}
SCRIPTS = {"RECOVERY_SCRIPT": RECOVERY, "MANAGER_SCRIPT": MANAGER_A}
TARGETS: dict[str, list[str]] = {
    "DER": ["crypto/der.c"],
    "IMAGE": ["boot/image.c", "smp/slot_image.c", "crypto/der.c", *HASHING],
    "IMAGE_LMS": [
        *("boot/image.c", "smp/slot_image.c", "crypto/der.c", "crypto/post_quantum.c"),
        *HASHING,
    ],
    "MAP": ["cbor/reader.c"],
    "FRAME": ["smp/frame.c"],
    "SLOT": ["smp/slot_image.c"],
    "DELTA": ["smp/delta.c"],
    "STORE": ["store/store.c", "store/blank.c"],
    "RECOVERY": HASHING,
    "MANAGER": HASHING,
    "RECOVERY_SCRIPT": HASHING,
    "MANAGER_SCRIPT": HASHING,
}
ECHO, RESET, STATE, UPLOAD, ERASE = 0, 1, 4, 5, 6  # places in fuzzed_session.c's `commands`
READS, WRITES = 0x40, 0xC0  # of SMP's second version
CODE = b"code" * 50


def build(target: str, out: Path, alter: Alter | None = None) -> Path:
    """The fuzzer of a target; `alter`: with that change of the firmware's C."""
    tree = find_tree(MBEDTLS).path
    sources = [RUNTIME / name for name in TARGETS[target]]
    if "crypto/sha256.c" in TARGETS[target]:
        sources.append(tree / "library/sha256.c")
    if target.startswith("IMAGE"):
        (out / "board_config.h").write_text(config_header(small_board()))
        (out / "keys.c").write_text(keys_source(trust_of(target, out)))
        sources.append(out / "keys.c")
    else:
        write_config((SESSIONS | SCRIPTS).get(target, RECOVERY), out)
    if target in SESSIONS:
        base = ",".join(map(str, make_image(0, CODE)))
        (out / "base_image.inc").write_text(base)
        sources += [HERE / "fuzzed_session.c", *server_sources(SESSIONS[target])]
    elif target in SCRIPTS:
        manager = target == "MANAGER_SCRIPT"
        (out / "scripted_files.inc").write_text(files_source(manager))
        sources += [HERE / "scripted_session.c", HERE / "scripted_model.c"]
        sources += server_sources(SCRIPTS[target])
    else:
        sources.append(HERE / "fuzz_targets.c")
    if alter is not None:
        sources = [altered(path, alter, out) for path in sources]
    includes = [out, HERE, RUNTIME, RUNTIME / "include", RUNTIME / "boot", RUNTIME / "crypto"]
    includes += [RUNTIME / "crypto/shim", tree / "include", tree / "library"]
    command = ["clang", "-g", "-O1", "-std=gnu11", "-fsanitize=fuzzer,address,undefined"]
    command += ["-fno-sanitize-recover=all", "-DCOFFRET_HOST", f"-DTARGET_{target}"]
    # A script's bytes are compared with nothing: watching comparisons took two thirds of the time.
    command += ["-fno-sanitize-coverage=trace-cmp"] if target in SCRIPTS else []
    command += ["-DSMP_DELTA"] if target == "DELTA" else []
    command += ["-DBOOT_POST_QUANTUM"] if target == "IMAGE_LMS" else []
    command += ["-DBASE"] if target.startswith("MANAGER") else []
    command += ['-DMBEDTLS_CONFIG_FILE="crypto_config.h"']
    command += [part for include in includes for part in ("-I", str(include))]
    program = out / target.lower()
    done = subprocess.run(
        [*command, "-o", str(program), *map(str, sources)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return program


def server_sources(kind: str) -> list[Path]:
    """The server and its simulated board, behind the fuzzer's port."""
    hardware = [path for path in sources_of(kind) if path.name != "simulated_port.c"]
    return [HERE / "fuzzed_wire.c", *hardware]


def altered(path: Path, alter: Alter, out: Path) -> Path:
    """The file to compile in place of `path`."""
    if (text := alter(path)) is None:
        return path
    changed = out / path.name
    changed.write_text(text)
    return changed


def trust_of(target: str, out: Path) -> Trust:
    """With LMS the signer of the seed is known, and its LMS key."""
    if target == "IMAGE":
        return Trust.of([FOREIGN.public_key()])
    lms = make_lms_key(out / "lms.key", real=1).public_key
    return Trust((TrustedKey(KEY.public_key()),), lms_keys=(TrustedLmsKey(lms),))


def image_with_anothers_lms(out: Path) -> bytes:
    """Everything about the LMS signature is right, but for the image that it was made for."""
    lms = lms_keys.load(out / "lms.key")
    false = FixedLmsSigner(lms.public_key, lms.sign_digest(bytes(32)))
    content = ImageContent(Version(1, 0, 0), 1, b"\x11" * 32, b"\x22" * 32)
    image = wrap_image(b"code", 0, small_board(), content, LocalSigner(KEY))
    return add_lms_signature(image, false)


def packet(command: int, body: object) -> bytes:
    """As fuzzed_session.c reads it."""
    payload = cbor2.dumps(body)
    return bytes([command]) + len(payload).to_bytes(2, "little") + payload


def session(file: bytes) -> bytes:
    """An upload in pieces, marked for a trial, over a reset; then what a host may ask for."""
    sha = hashlib.sha256(file).digest()
    first = {"image": 0, "len": len(file), "sha": sha}
    pieces = [{"off": at, "data": file[at : at + 400]} for at in range(0, len(file), 400)]
    pieces[0] |= first
    uploads = [packet(WRITES | UPLOAD, piece) for piece in pieces]
    digest = parse_image(make_image(1, CODE)).digest
    mark = packet(WRITES | STATE, {"hash": digest, "confirm": False})
    asked = [packet(READS | command, {}) for command in range(13)]
    again = packet(WRITES | RESET, {}) + packet(WRITES | UPLOAD, pieces[0])
    whole = [*uploads[:2], again, *uploads[1:], mark, packet(READS | STATE, {}), *asked]
    return b"".join(
        [*whole, packet(WRITES | ECHO, {"d": "hi"}), packet(WRITES | ERASE, {"slot": 1})]
    )


@pytest.mark.all
@pytest.mark.parametrize("target", TARGETS)
def test_fuzzer_finds_nothing(target: str, tmp_path: Path) -> None:
    assert shutil.which("clang"), "./dev test --all installs clang"
    program = build(target, tmp_path)
    corpus = user_cache() / "fuzz" / target.lower()
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    if target == "DELTA":
        images = [parse_image(make_image(slot, bytes([slot]) * 900)) for slot in (0, 1)]
        (seeds / "delta").write_bytes(b"\xff\xff" + make_delta(*images))
    if target in ("IMAGE", "SLOT"):
        (seeds / "image").write_bytes(make_image(0, b"code"))
    if target == "IMAGE_LMS":
        (seeds / "image").write_bytes(image_with_anothers_lms(tmp_path))
    if target in SESSIONS:
        images = [parse_image(make_image(slot, CODE)) for slot in (0, 1)]
        (seeds / "upload").write_bytes(session(images[1].data))
        (seeds / "delta").write_bytes(session(make_delta(*images)))
    if target in SCRIPTS:
        write_seeds(seeds)
    done = subprocess.run(
        [
            *(str(program), f"-max_total_time={SECONDS}", "-max_len=4096", "-rss_limit_mb=1024"),
            *("-print_final_stats=1", f"-artifact_prefix={tmp_path}/", str(corpus), str(seeds)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr[-3000:]}\nthe input is in {tmp_path}"
    ran = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
    print(f"{target}: {ran[0] if ran else '?'}")
