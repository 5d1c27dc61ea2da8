# SPDX-License-Identifier: Apache-2.0
"""Bad manifests and what `coffret check` says of them: transcripts, one error a line.

`manifests/NAME.toml` is the manifest, `manifests/NAME.expected` every line that must be printed.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from appliances import FULL, write_appliance

from firmware.appliance.lines import key_lines, line_of
from firmware.appliance.manifest_file import load
from firmware.appliance.modules import code_digest, enclave_modules
from firmware.appliance.problems import ApplianceError

MANIFESTS = Path(__file__).parent / "manifests"
BAD_MODULES = {
    "broken.py": "import enclave\ndef f(:\n",
    "packaged.py": "import enclave\nfrom .. import other\n",
    "dynamic.py": "import enclave\n\nname = 'diary'\n__import__(name)\n",
    "other/diary.py": "import enclave\n",
    "thief.py": "import diary\n",
}


@pytest.mark.parametrize("name", sorted(path.stem for path in MANIFESTS.glob("*.toml")))
def test_a_bad_manifest_is_told_all_its_errors(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_appliance(tmp_path, (MANIFESTS / f"{name}.toml").read_text(encoding="utf-8"))
    for file, text in BAD_MODULES.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ApplianceError) as caught:
        load(Path("appliance.toml"))
    assert caught.value.exit_code == 2
    expected = (MANIFESTS / f"{name}.expected").read_text(encoding="utf-8")
    assert caught.value.text().splitlines() == expected.splitlines()


def test_every_error_points_at_the_line_of_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One key of a good manifest is misspelt at a time: the error is on its line, with the mend."""
    monkeypatch.chdir(tmp_path)
    write_appliance(tmp_path)
    lines = FULL.splitlines()
    tried = 0
    for index, line in enumerate(lines):
        key, equals, rest = line.partition(" = ")
        if not equals or not key.isidentifier():
            continue
        changed = [*lines[:index], f"{key}x = {rest}", *lines[index + 1 :]]
        (tmp_path / "appliance.toml").write_text("\n".join(changed) + "\n")
        with pytest.raises(ApplianceError) as caught:
            load(Path())
        found = [p for p in caught.value.problems if p.what == "unknown key"]
        assert [(p.line, p.key.rsplit(".", 1)[-1]) for p in found] == [(index + 1, f"{key}x")]
        assert found[0].mend == f"did you mean `{key}`?"
        tried += 1
    assert tried > 40


def test_a_good_manifest_has_its_defaults(tmp_path: Path) -> None:
    manifest = load(write_appliance(tmp_path))
    assert manifest.enclaves["diary"].heap == 16 * 1024
    assert manifest.enclaves["sensor"].heap == 8 * 1024
    assert [c.sender_name for c in manifest.channels] == [
        *("coach", "coach", "checked", "weekly", "count", "usb"),
    ]
    assert [(c.min_size, c.max_size, c.depth) for c in manifest.channels] == [
        *((6, 6, 3), (0, 33, 4), (0, 8, 4), (0, 16, 4), (4, 4, 4), (0, 64, 4)),
    ]
    assert [m.name for m in manifest.modules["coach"]] == ["coach", "helper"]


def test_a_manifest_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match="coffret new"):
        load(tmp_path)
    (tmp_path / "appliance.toml").write_bytes(b'[appliance]\nname = "\xff"\n')
    with pytest.raises(ApplianceError, match=r"toml:2: appliance: not UTF-8"):
        load(tmp_path)


def test_the_code_digest_is_of_names_and_bytes_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for folder in ("a", "b"):
        (tmp_path / folder / "main.py").write_text("import helper\nimport struct\n")
        (tmp_path / folder / "helper.py").write_text("x = 1\n")
        (tmp_path / folder / "unused.py").write_text(f"y = '{folder}'\n")
    digests = [code_digest(enclave_modules(tmp_path / f / "main.py")) for f in ("a", "b")]
    assert digests[0] == digests[1]
    (tmp_path / "b" / "helper.py").write_text("x = 2\n")
    assert code_digest(enclave_modules(tmp_path / "b" / "main.py")) != digests[0]


def test_lines_of_toml_in_all_its_forms() -> None:
    text = (
        '# c\ntitle = "a # b"\na . "b.c" = 3\n[t."x/y"] # x\nsays = """m\nl ]"""\n'
        "list = [ 'a', # ]\n  { k = '''q\n''', n = [1,\n2] } ]\n[[c]]\nf = 1979-05-27\n"
        '[[c]]\n[c.sub]\nz = "\\"]"\n'
    )
    lines = key_lines(text)
    assert {key: lines[key] for key in lines if len(key) > 1} == {
        ("a", "b.c"): 3,
        ("t", "x/y"): 4,
        ("t", "x/y", "says"): 5,
        ("t", "x/y", "list"): 7,
        ("t", "x/y", "list", 0): 7,
        ("t", "x/y", "list", 1): 8,
        ("t", "x/y", "list", 1, "k"): 8,
        ("t", "x/y", "list", 1, "n"): 9,
        ("t", "x/y", "list", 1, "n", 0): 9,
        ("t", "x/y", "list", 1, "n", 1): 10,
        ("c", 0): 11,
        ("c", 0, "f"): 12,
        ("c", 1): 13,
        ("c", 1, "sub"): 14,
        ("c", 1, "sub", "z"): 15,
    }
    assert line_of(lines, ("c", 0, "missing", "deeper")) == 11
    assert line_of(lines, ("nothing",)) == 1
