# SPDX-License-Identifier: Apache-2.0
"""A delta update through the real verbs: a virtual board under QEMU, real bundles, evidence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flasher.bundle import read_bundle
from flasher.run import board_of
from flasher.smp import wait_for
from flasher.virtual import VirtualBoard
from tests.qemu import needs_qemu

pytestmark = needs_qemu

ROOT = Path(__file__).parents[2]
# The second has more code, in front of what it shares with the first; the last takes no deltas.
VERSIONS = {
    "1.0.0": ("delta_updates = true", ""),
    "1.1.0": ("delta_updates = true", "def more(n):\n    return [n * i for i in range(n)]\n\n\n"),
    "1.2.0": ("", ""),
}


@dataclass(frozen=True, slots=True)
class Operator:
    folder: Path

    def coffret(self, *words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "COFFRET_KEYS": str(self.folder / "keys"),
            "COFFRET_INVENTORY": str(self.folder / "inventory.sqlite"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
        }
        command = [sys.executable, "-m", "coffret", *map(str, words)]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done

    def document(self, *words: str | Path, code: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.coffret(*words, "--json", code=code).stdout)
        return found

    def bundle(self, version: str) -> Path:
        return self.folder / f"bundle-{version}"


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    folder = tmp_path_factory.mktemp("operator")
    (folder / "run").mkdir()
    someone = Operator(folder)
    for version, (key, code) in VERSIONS.items():
        source = folder / f"hello-{version}"
        shutil.copytree(ROOT / "examples" / "hello", source)
        manifest = source / "appliance.toml"
        text = manifest.read_text().replace('"1.0.0"', f'"{version}"\n{key}')
        manifest.write_text(text)
        module = source / "hello.py"
        used = "enclave.log(str(more(3)))\n" if code else ""
        text = module.read_text().replace("import enclave\n", "import enclave\n" + code + used)
        module.write_text(text)
        out = someone.bundle(version)
        someone.coffret("build", source, "--board", "mps2-an385", "-o", out)
    return someone


@pytest.fixture
def board(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[VirtualBoard]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(operator.folder / "run"))
    with board_of(read_bundle(operator.bundle("1.0.0")), state=tmp_path / "board") as running:
        wait_for(running.port, 60, lambda answering: answering.mode())
        yield running


def test_a_board_is_updated_by_deltas_and_attests_what_they_made(
    operator: Operator, board: VirtualBoard, tmp_path: Path
) -> None:
    first, second, third = map(operator.bundle, VERSIONS)
    operator.coffret("provision", "--name", "kitchen")
    made = operator.document("delta", first, second, "-o", tmp_path / "update.zip")
    image = (second / "slot_b.bin").stat().st_size
    (to_b,) = [row for row in made["deltas"] if row["to"] == "B"]
    assert to_b["image"] == image
    assert to_b["delta"] < image // 2
    again = tmp_path / "again.zip"
    operator.coffret("delta", first, second, "-o", again)
    assert again.read_bytes() == (tmp_path / "update.zip").read_bytes(), "the same, bit for bit"

    done = operator.document(
        "flash", second, "--port", board.port, "--delta", tmp_path / "update.zip"
    )
    assert (done["slot"], done["version"], done["changed"]) == ("B", "1.1.0", True)
    assert done["saved"] == image - to_b["delta"]
    evidence = operator.document("attest", "--bundle", second)
    assert evidence["verdict"] == "trusted"

    # On to a bundle whose image takes no deltas, by the bundle that runs.
    done = operator.document("flash", third, "--delta", second)
    assert (done["slot"], done["version"]) == ("A", "1.2.0")
    assert done["saved"] > 0
    assert operator.document("attest", "--bundle", third)["verdict"] == "trusted"

    # What runs now takes none: all of it is sent.
    said = operator.coffret("flash", second, "--delta", third)
    assert "what runs there takes no deltas" in said.stderr
    assert operator.document("attest", "--bundle", second)["verdict"] == "trusted"


def test_a_file_that_is_no_delta_is_named_and_nothing_is_sent(
    operator: Operator, board: VirtualBoard, tmp_path: Path
) -> None:
    for name, content in {"text": b"no delta", "empty": b""}.items():
        (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "other", "w") as archive:
        archive.writestr("a_to_b.delta", b"CFD1")
    for name in ("text", "empty", "other"):
        done = operator.coffret(
            *("flash", operator.bundle("1.1.0"), "--port", board.port),
            *("--delta", tmp_path / name),
            code=2,
        )
        assert str(tmp_path / name) in done.stderr
        assert "mend: " in done.stderr
        assert "uploading" not in done.stderr
