# SPDX-License-Identifier: Apache-2.0
"""`flows --why`, `--diff`, `--svg`, `--privileged`, and `check` with a `policy.toml`, as typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from enclaves.audit_cli import audit
from enclaves.cli import check
from enclaves.flows_cli import flows
from enclaves.policy import policy_document
from firmware.appliance.subject import load_subject

EXAMPLES = Path(__file__).parents[2] / "examples"
DIARY, LEAKY = EXAMPLES / "heart_diary", EXAMPLES / "heart_diary_leaky"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(flows, [str(argument) for argument in arguments])


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    """A copy of the example that a test may change."""
    return Path(shutil.copytree(DIARY, tmp_path / "heart_diary"))


def test_why_tells_each_step_and_the_gate() -> None:
    done = run(DIARY, "--why", "alice/health", "usb")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "sensor makes alice/health",
        "-> diary: diary sees alice/health",
        "-> coach: coach sees alice/health",
        "-> uplink: the gate coach.weekly releases alice/health, at most 16 bytes once a week",
        "-> usb: nothing labelled is left, anybody may have it",
    ]
    document = json.loads(run(DIARY, "--why", "diary", "usb", "--json").stdout)
    assert document["paths"] == [["diary", "coach", "uplink", "usb"]]


def test_why_not_tells_what_stands_between() -> None:
    done = run(DIARY, "--why", "uplink", "diary")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "uplink cannot reach diary.",
        "from uplink it gets to: uplink, usb",
        "into diary leads: sensor -> diary",
        "a channel uplink -> diary would be legal, and there is none",
    ]
    cut = run(EXAMPLES / "hello", "--why", "hello", "hello")
    assert cut.exit_code == 0


def test_why_a_label_stops_it(diary: Path) -> None:
    manifest = diary / "appliance.toml"
    text = manifest.read_text()
    manifest.write_text(text.replace('[[channel]]\nfrom = "uplink"\nto = "usb"\nsize = 96\n', ""))
    done = run(diary, "--why", "alice/health", "usb")
    assert done.exit_code == 1
    assert "into usb leads: no channel" in done.stdout
    assert "a channel diary -> usb is illegal: usb does not accept alice/health" in done.stdout
    assert "the gate coach.weekly leads to uplink" in done.stdout


def test_why_shows_where_the_label_was_lost() -> None:
    done = run(LEAKY, "--why", "alice/health", "usb")
    assert done.exit_code == 0
    assert "-> uplink: ILLEGAL for alice/health" in done.stdout
    assert "-> usb: the label was lost before, nothing stops it here" in done.stdout


def test_an_update_that_widens_exits_1_and_one_that_narrows_0() -> None:
    wider = run("--diff", DIARY, LEAKY)
    assert wider.exit_code == 1
    assert wider.stdout.splitlines()[:2] == [
        "WIDER  alice/health reaches uplink as it is: sensor -> diary -> uplink",
        "WIDER  alice/health reaches usb as it is: sensor -> diary -> uplink -> usb",
    ]
    narrower = run("--diff", LEAKY, DIARY, "--json")
    assert narrower.exit_code == 0
    assert json.loads(narrower.stdout) == {
        "widens": False,
        "changes": [{"wider": False, "what": "there is no channel diary -> uplink any more"}],
    }


def test_a_policy_document_alone_can_be_asked(tmp_path: Path) -> None:
    document = tmp_path / "policy.cbor"
    document.write_bytes(policy_document(load_subject(DIARY).policy))
    assert run("--diff", document, DIARY).stdout == "nothing changes\n"
    assert run(document).stdout.startswith("Alice's heart rate can leave by USB only as")
    assert run(document, "--why", "diary", "usb").exit_code == 0
    document.write_bytes(document.read_bytes() + b"\0")
    assert run(document).exit_code == 1


def test_the_picture_is_written_whole_and_always_the_same(tmp_path: Path) -> None:
    file = tmp_path / "flows.svg"
    assert run(DIARY, "--svg", file).exit_code == 0
    first = file.read_bytes()
    assert run(DIARY, "--svg", file).exit_code == 0
    assert file.read_bytes() == first
    root = ElementTree.fromstring(first)
    assert root.tag.endswith("svg")
    words = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {"sensor", "diary", "coach", "uplink", "USB", "coach.weekly", "alice/health"} <= words
    assert b"prefers-color-scheme: dark" in first
    assert [path.name for path in tmp_path.iterdir()] == ["flows.svg"]


def test_names_of_a_manifest_cannot_break_out_of_the_picture(diary: Path, tmp_path: Path) -> None:
    manifest = diary / "appliance.toml"
    hostile = "</text><script>alert(1)</script>"
    manifest.write_text(manifest.read_text().replace("Alice's heart rate", hostile))
    file = tmp_path / "flows.svg"
    assert run(diary, "--svg", file).exit_code == 0
    assert "<script" not in file.read_text()


def test_privileged_code_is_counted_and_shown() -> None:
    done = run(DIARY, "--privileged")
    assert done.stdout.startswith("coach is trusted with coach.weekly: 41 lines of code")
    (entry,) = json.loads(run(DIARY, "--privileged", "--json").stdout)["privileged"]
    assert entry["releases"][0]["expression"] == "weekly.release(waiting)"
    assert entry["releases"][0]["computed_from"] == ["diary"]


@pytest.mark.parametrize(
    "arguments",
    [(), (DIARY, "--diff", DIARY, LEAKY), (DIARY, "--privileged", "--why", "diary", "usb")],
)
def test_what_makes_no_sense_exits_2(arguments: tuple[object, ...]) -> None:
    assert run(*arguments).exit_code == 2


RAW = """\
import enclave
diary = enclave.input("diary")
weekly = enclave.gate("weekly")
while True:
    enclave.wait(diary)
    weekly.release((diary.receive() or b"")[:16])
"""


def test_a_raw_message_at_the_gate_fails_the_check_unless_the_manifest_says_so(
    diary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(diary)
    (diary / "coach.py").write_text(RAW)
    done = CliRunner().invoke(check, ["."])
    assert done.exit_code == 1
    assert (
        "coach.py:6: enclave.coach: weekly.release((diary.receive() or b'')[:16]): a message from "
        "diary may leave through coach.weekly as it came; " in done.stderr
    )
    manifest = diary / "appliance.toml"
    manifest.write_text(manifest.read_text().replace("bytes = 16", "bytes = 16\nraw = true", 1))
    assert "as it came" not in CliRunner().invoke(check, ["."]).stderr


def test_an_unlabelled_message_may_pass_as_it_came(diary: Path) -> None:
    """Only what bears a tag of the gate is the gate's business."""
    (diary / "coach.py").write_text(RAW.replace('"diary"', '"uplink"'))
    manifest = diary / "appliance.toml"
    channel = '\n[[channel]]\nfrom = "uplink"\nto = "coach"\nsize = 16\n'
    manifest.write_text(manifest.read_text() + channel)
    assert "as it came" not in CliRunner().invoke(check, [str(diary)]).stderr


def test_a_broken_assertion_fails_the_check_with_its_line(
    diary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(diary)
    (diary / "policy.toml").write_text('# none\n[[reach]]\ntag = "alice/health"\nto = "usb"\n')
    done = CliRunner().invoke(check, ["."])
    assert done.exit_code == 1
    assert done.stderr.startswith(
        "policy.toml:2: reach[0]: alice/health reaches usb: "
        "sensor -> diary -> coach.weekly -> uplink -> usb; "
    )
    (diary / "policy.toml").write_text("[[reach]]\n")
    assert CliRunner().invoke(check, ["."]).exit_code == 2


def test_audit_wants_a_bundle(diary: Path) -> None:
    done = CliRunner().invoke(audit, [str(diary)])
    assert done.exit_code == 1
    assert done.exception is not None
    assert "bundle.json" in str(done.exception)


def test_log_tells_every_release_under_a_grant(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    rows = [
        (0, 1, "monitor", "boot heart_diary"),
        (1, 2500, "monitor", "released coach.weekly #1"),
        (2, 2600, "uplink", "released coach.weekly"),  # an enclave says so: that is no release
        (3, 3000, "monitor", "gate budget used up coach.weekly #2"),
    ]
    keys = ("sequence", "ms", "who", "text")
    log.write_text(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]))
    done = run(DIARY, "--log", log)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "       2.500 s  coach.weekly releases alice/health, at most 16 bytes once a week, "
        "granted by alice",
        "       3.000 s  refused, budget used up: coach.weekly releases alice/health, "
        "at most 16 bytes once a week, granted by alice",
    ]
    told = json.loads(run(DIARY, "--log", log, "--json").stdout)["releases"]
    assert [(each["ms"], each["refused"]) for each in told] == [
        (2500, False),
        (3000, True),
    ]


def test_log_tells_how_many_releases_are_gone(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    rows = [
        (7, 900, "uplink", "released coach.weekly #9"),  # an enclave says so
        (9, 2500, "monitor", "released coach.weekly #4"),
    ]
    keys = ("sequence", "ms", "who", "text")
    log.write_text(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]))
    first, second = run(DIARY, "--log", log).stdout.splitlines()
    assert first == "       2.500 s  3 releases and refusals before this are gone"
    assert "coach.weekly" in second
    told = json.loads(run(DIARY, "--log", log, "--json").stdout)["releases"]
    assert [each["gone"] for each in told] == [3, 0]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"who": "monitor"}]'])
def test_log_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    log = tmp_path / "log.json"
    log.write_text(text)
    done = run(DIARY, "--log", log)
    assert done.exit_code != 0
    assert "that is no device's log" in str(done.exception) + done.output


def test_log_of_another_appliance_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    log.write_text('[{"sequence": 0, "ms": 1, "who": "monitor", "text": "released other.gate #1"}]')
    done = run(DIARY, "--log", log)
    assert done.exit_code != 0
    assert "other.gate" in str(done.exception) + done.output
