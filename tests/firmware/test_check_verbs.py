# SPDX-License-Identifier: Apache-2.0
"""The verbs as they are typed: exit codes, lines on stderr, one JSON document on stdout."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from appliances import FULL, grant_everything, write_appliance, write_key

import coffret as front_door
from firmware.appliance.manifest_file import load
from firmware.device_types.typecheck import enclave_stub, type_problems

PROBLEM = re.compile(r"[^:]+:[0-9]+: [^:]+: .+; .+")


@dataclass(frozen=True, slots=True)
class Done:
    """How a verb ended."""

    returncode: int
    stdout: str
    stderr: str


def coffret(*arguments: str, cwd: Path) -> Done:
    """The command, in this process: what it prints, and its exit code."""
    before, stdout, stderr, code = Path.cwd(), io.StringIO(), io.StringIO(), 0
    os.chdir(cwd)
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            sys.argv[1:] = arguments
            front_door.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        os.chdir(before)
    return Done(code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture(autouse=True)
def arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["coffret"])


@pytest.fixture
def full(tmp_path: Path) -> Path:
    appliance = write_appliance(tmp_path / "full")
    grant_everything(appliance)
    return appliance


def test_a_good_appliance_is_said_in_one_line(full: Path) -> None:
    done = coffret("check", ".", "--board", "mps2-an385", cwd=full)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "full 1.2.3+4: 5 enclaves, 6 channels, 3 gates; every flow is legal\n"
    done = coffret("check", ".", "--json", cwd=full)
    document = json.loads(done.stdout)
    (coach, meter) = document.pop("privileged")
    assert document == {"ok": True, "appliance": "full", "problems": []}
    assert coach["gates"] == ["coach.weekly", "coach.count"]
    assert coach["lines"] == {"coach": 3, "helper": 3}
    assert [r["at"] for r in coach["releases"]] == ["helper.py:3"]
    assert meter["gates"] == ["meter.checked"]


def test_flows_are_sentences_and_one_document(full: Path) -> None:
    done = coffret("flows", ".", cwd=full)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "Alice's heart rate comes from UART2, which sensor drives.",
        "Alice's heart rate can leave by USB only as coach.count, at most 4 bytes 24 times a day, "
        "granted by alice and bob until 2046-01-01, "
        "or as coach.weekly, at most 16 bytes once a week, granted by alice until 2046-01-01.",
        "A calibrated reading cannot leave.",
        "Bob's steps can leave by USB as it is, without limit (meter -> diary -> coach -> uplink).",
        "Bob's steps can leave by USB as coach.count, at most 4 bytes 24 times a day, "
        "granted by alice and bob until 2046-01-01.",
        "meter.checked vouches for a calibrated reading, at most 8 bytes 10 times a second, "
        "granted by bob until 2046-01-01.",
    ]
    document = json.loads(coffret("flows", ".", "--json", cwd=full).stdout)
    assert document["illegal"] == []
    assert document["tags"]["calibrated"] == []
    assert {
        "sink": "usb",
        "path": ["sensor", "coach"],
        "gate": "coach.count",
        "budget": {"at_most": "24/day", "bytes": 4},
    } in document["tags"]["alice/health"]


def test_a_wrong_manifest_exits_2_and_an_illegal_flow_1(full: Path) -> None:
    manifest = full / "appliance.toml"
    manifest.write_text(FULL.replace('accepts = ["bob/steps"]', "accepts = []"))
    for verb in ("check", "flows"):
        done = coffret(verb, ".", cwd=full)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert PROBLEM.fullmatch(line)
        assert line.startswith(
            "appliance.toml:87: channel[5]: bob/steps (Bob's steps) leaks by USB"
        )
    illegal = json.loads(coffret("flows", ".", "--json", cwd=full).stdout)["illegal"]
    assert illegal[0]["path"] == ["meter", "diary", "coach", "uplink", "usb"]
    manifest.write_text(FULL.replace("sees =", "seen =") + "[sinc.x]\n")
    for verb in ("check", "flows"):
        done = coffret(verb, ".", "--json", cwd=full)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 4
        assert [p["line"] for p in json.loads(done.stdout)["problems"]] == [35, 40, 63, 91]


def test_a_call_whose_reply_would_leak_is_refused(full: Path) -> None:
    call = '[[channel]]\nfrom = "uplink"\nto = "coach"\nkind = "call"\nsize = 4\nreply = "<I"\n'
    (full / "appliance.toml").write_text(FULL + call)
    done = coffret("check", ".", cwd=full)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("appliance.toml:94: channel[6].kind: alice/health (Alice's heart rate)")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("missing", "weekly.cose: no such file"),
        ("tampered", "weekly.cose: the signature is not this owner's, or the file was changed"),
        ("trailing", "weekly.cose: not a grant: COSE_Sign1: 1 bytes after the end"),
        ("other gate", "weekly.cose: it is for the gate coach.count, not coach.weekly"),
        ("other code", "weekly.cose: it is for other code: the enclave was changed"),
        ("other owner", "weekly.cose: no owner in this manifest has the key that signed it"),
        ("wrong owner", "weekly.cose: it grants no further tag of this gate"),
        ("more bytes", "it allows at most 16 bytes once a week, the manifest asks for at most 20"),
        ("expired", "weekly.cose: it expired on 2020-01-01"),
    ],
)
def test_a_spoilt_grant_is_refused_with_its_reason(full: Path, spoil: str, why: str) -> None:
    grant = full / "weekly.cose"
    data = grant.read_bytes()
    manifest = full / "appliance.toml"
    sign = ["grant", "sign", ".", "coach.weekly", "--key"]
    match spoil:
        case "missing":
            grant.unlink()
        case "tampered":
            grant.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        case "trailing":
            grant.write_bytes(data + b"\0")
        case "other gate":
            grant.write_bytes((full / "count_alice.cose").read_bytes())
        case "other code":
            (full / "helper.py").write_text((full / "helper.py").read_text() + "\n")
        case "other owner":
            write_key(full / "private/alice.pem", public=full / "keys/alice.pem")
        case "wrong owner":
            # Bob signs Alice's gate, with a manifest of his own in which he owns the tag.
            manifest.write_text(FULL.replace('owner = ["alice"]', 'owner = ["bob"]'))
            assert coffret(*sign, "private/bob.pem", cwd=full).returncode == 0
            manifest.write_text(FULL)
        case "more bytes":
            manifest.write_text(FULL.replace("bytes = 16", "bytes = 20"))
        case "expired":
            until = ["--until", "2019-12-31"]
            assert coffret(*sign, "private/alice.pem", *until, cwd=full).returncode == 0
    done = coffret("check", ".", cwd=full)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "coach.weekly may not release" in line]
    assert len(lines) == 1
    assert PROBLEM.fullmatch(lines[0])
    assert why in lines[0]
    assert "have alice run `coffret grant sign . coach.weekly --key FILE`" in lines[0]


def test_a_tag_of_two_owners_needs_either_and_a_gate_of_two_tags_both(full: Path) -> None:
    (full / "count_bob.cose").unlink()
    done = coffret("check", ".", cwd=full)
    assert "coach.count may not release bob/steps" in done.stderr
    assert "alice/health" not in done.stderr
    sign = ("grant", "sign", ".", "meter.checked", "--key")
    assert coffret(*sign, "private/alice.pem", cwd=full).returncode == 0
    assert "meter.checked" not in coffret("check", ".", cwd=full).stderr


def test_only_the_owners_key_signs(full: Path) -> None:
    done = coffret("grant", "sign", ".", "coach.weekly", "--key", "private/bob.pem", cwd=full)
    assert done.returncode == 1
    assert "it is not the key of alice, who may grant coach.weekly" in done.stderr
    done = coffret("grant", "sign", ".", "coach.weakly", "--key", "private/alice.pem", cwd=full)
    assert done.returncode == 2
    assert "did you mean `coach.weekly`?" in done.stderr
    done = coffret("grant", "sign", ".", "coach.weekly", "--key", "keys/alice.pem", cwd=full)
    assert done.returncode == 2
    assert "BEGIN" not in done.stderr + done.stdout


def test_a_grant_is_shown_as_what_it_claims(full: Path) -> None:
    shown = json.loads(coffret("grant", "show", "weekly.cose", "--json", cwd=full).stdout)
    assert shown["gate"] == "coach.weekly"
    assert shown["at_most"] == "1/week"
    assert shown["verified"] is False
    done = coffret("grant", "show", "appliance.toml", cwd=full)
    assert done.returncode == 2
    assert "not a grant" in done.stderr


def test_a_new_appliance_passes_at_once(tmp_path: Path) -> None:
    assert coffret("new", "first", cwd=tmp_path).returncode == 0
    done = coffret("check", "first", "--board", "mps2-an385", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    json.loads((tmp_path / "first/.vscode/settings.json").read_text())
    assert (tmp_path / "first/typings/enclave.pyi").exists()
    again = coffret("new", "first", cwd=tmp_path)
    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert coffret("new", "../x", cwd=tmp_path).returncode == 2


def test_types_of_an_enclave_are_its_own_channels(full: Path) -> None:
    stub = enclave_stub(load(full), "coach")
    assert 'def input(name: Literal["sensor", "diary"], /) -> Input' in stub
    assert "def output(name: Never, /) -> Output" in stub
    assert 'def gate(name: Literal["weekly", "count"], /) -> Gate' in stub


def test_a_mistake_in_a_module_is_found_with_its_line(full: Path) -> None:
    (full / "uplink.py").write_text(
        "import enclave\n"
        'enclave.output("ubs")\n'
        'enclave.gate("weekly")\n'
        'enclave.output("usb").send("text")\n'
        'enclave.output("usb").receive()\n'
        "import time\n"
        "time.time()\n"
        "x: int = enclave.name()\n"
    )
    found = [(p.file.name, p.line, p.what, p.mend) for p in type_problems(load(full))]
    assert found[0] == ("uplink.py", 2, "uplink has no output 'ubs'", "did you mean `usb`?")
    assert found[1][1:] == (3, "uplink has no gate at all", "declare a [[channel]] in the manifest")
    assert [line for _, line, _, _ in found] == [2, 3, 4, 5, 7, 8]


def test_what_a_sealed_image_lacks_is_found_by_check(full: Path) -> None:
    (full / "uplink.py").write_text('import enclave\nenclave.output("usb").send(eval("b\'\'"))\n')
    done = coffret("check", ".", cwd=full)
    assert done.returncode == 1
    assert "uplink.py:2: uplink: `eval`; a sealed image has no compiler" in done.stderr
