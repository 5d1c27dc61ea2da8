# SPDX-License-Identifier: Apache-2.0
"""A delta update through the real verbs: a virtual board under QEMU, real bundles, evidence."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flasher.virtual import VirtualBoard
from tests.flasher.operators import Operator
from tests.qemu import needs_qemu

pytestmark = needs_qemu

ROOT = Path(__file__).parents[2]
# The second has more code, in front of what it shares with the first; the last takes no deltas.
VERSIONS = {
    "1.0.0": ("delta_updates = true", ""),
    "1.1.0": ("delta_updates = true", "def more(n):\n    return [n * i for i in range(n)]\n\n\n"),
    "1.2.0": ("", ""),
}


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    someone = Operator.new(tmp_path_factory)
    for version, (key, code) in VERSIONS.items():
        source = someone.hello(version, key)
        module = source / "hello.py"
        used = "enclave.log(str(more(3)))\n" if code else ""
        text = module.read_text().replace("import enclave\n", "import enclave\n" + code + used)
        module.write_text(text)
        someone.build(source, version, "mps2-an385")
    return someone


@pytest.fixture
def board(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[VirtualBoard]:
    with operator.board(tmp_path / "board", monkeypatch) as running:
        yield running


def test_a_board_is_updated_by_deltas_and_attests_what_they_made(
    operator: Operator, board: VirtualBoard, tmp_path: Path
) -> None:
    first, second, third = map(operator.bundle, VERSIONS)
    operator.ask("provision", "--name", "kitchen")
    made = operator.document("delta", first, second, "-o", tmp_path / "update.zip")
    image = (second / "slot_b.bin").stat().st_size
    (to_b,) = [row for row in made["deltas"] if row["to"] == "B"]
    assert to_b["image"] == image
    assert to_b["delta"] < image // 2
    again = tmp_path / "again.zip"
    operator.ask("delta", first, second, "-o", again)
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
    said = operator.ask("flash", second, "--delta", third)
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
        done = operator.ask(
            *("flash", operator.bundle("1.1.0"), "--port", board.port),
            *("--delta", tmp_path / name),
            code=2,
        )
        assert str(tmp_path / name) in done.stderr
        assert "mend: " in done.stderr
        assert "uploading" not in done.stderr
