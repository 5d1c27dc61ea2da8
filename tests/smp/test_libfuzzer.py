# SPDX-License-Identifier: Apache-2.0
"""libFuzzer on every parser of boot and of the SMP path, with the sanitizers.

Ten minutes each (COFFRET_FUZZ_SECONDS), in --all only. What it learns stays for the next run in
the user's cache; a finding fails, and names the input.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from firmware.boot_build import keys_source
from firmware.object_cache import user_cache
from firmware.sources import MBEDTLS, find_tree
from firmware.trust import Trust
from flasher.bundle import parse_image
from flasher.delta import make_delta
from tests.boot.skips.test_skips import FOREIGN
from tests.boot.test_power_cut import small_board
from tests.smp.simulated_board import RECOVERY, make_image, write_config
from tests.store.host_library import RUNTIME

HERE = Path(__file__).parent
SECONDS = int(os.environ.get("COFFRET_FUZZ_SECONDS", "600"))
TARGETS: dict[str, list[str]] = {
    "DER": ["crypto/der.c"],
    "IMAGE": ["boot/image.c", "crypto/der.c", "crypto/sha256.c", "crypto/memory.c"],
    "MAP": ["cbor/reader.c"],
    "FRAME": ["smp/frame.c"],
    "SLOT": ["smp/slot_image.c"],
    "DELTA": ["smp/delta.c"],
}


def build(target: str, out: Path) -> Path:
    tree = find_tree(MBEDTLS).path
    sources = [RUNTIME / name for name in TARGETS[target]]
    if target == "IMAGE":
        (out / "board_config.h").write_text(small_board().config_header())
        (out / "keys.c").write_text(keys_source(Trust.of([FOREIGN.public_key()])))
        sources += [out / "keys.c", tree / "library/sha256.c"]
    else:
        write_config(RECOVERY, out)
    includes = [out, RUNTIME, RUNTIME / "include", RUNTIME / "boot", RUNTIME / "crypto"]
    includes += [RUNTIME / "crypto/shim", tree / "include", tree / "library"]
    command = ["clang", "-g", "-O1", "-std=gnu11", "-fsanitize=fuzzer,address,undefined"]
    command += ["-fno-sanitize-recover=all", "-DCOFFRET_HOST", f"-DTARGET_{target}"]
    command += ["-DSMP_DELTA"] if target == "DELTA" else []
    command += ['-DMBEDTLS_CONFIG_FILE="crypto_config.h"']
    command += [part for include in includes for part in ("-I", str(include))]
    program = out / target.lower()
    done = subprocess.run(
        [*command, "-o", str(program), str(HERE / "fuzz_targets.c"), *map(str, sources)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return program


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
