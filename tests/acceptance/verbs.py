# SPDX-License-Identifier: Apache-2.0
"""The verbs of the front door, and one story in which they all say something in JSON."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import coffret
from flasher.bundle import read_bundle
from flasher.run import board_of
from flasher.smp import wait_for
from tests.attest.running_service import Home, RunningService
from tests.flasher.fake_application import Application, image
from tests.softhsm import new_token

ROOT = Path(__file__).parents[2]
BOARD = "mps2-an385"


def front_door() -> click.Group:
    """The command with all verbs, as `main` mounts them."""
    for package in coffret.PACKAGES:
        import_module(f"{package}.cli").mount(coffret.coffret)
    return coffret.coffret


def verbs_with_json(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The names of all verbs that take `--json`, blanks between their words."""
    if any("--json" in parameter.opts for parameter in group.params):
        yield " ".join(path)
    if isinstance(group, click.Group):
        for name, verb in group.commands.items():
            yield from verbs_with_json(verb, (*path, name))


class Teller:
    """Runs verbs in this process, each with `--json`, and keeps what they print."""

    def __init__(self, folder: Path, environment: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.environment = environment
        self.said: list[tuple[str, Any]] = []
        self._door = front_door()
        for name, place in (
            ("COFFRET_KEYS", "keys"),
            ("COFFRET_INVENTORY", "inventory.sqlite"),
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_DATA_HOME", "data"),
        ):
            environment.setenv(name, str(folder / place))
        (folder / "run").mkdir()

    def tell(self, verb: str, *words: object, codes: tuple[int, ...] = (0,)) -> Any:
        """The verb's document. AssertionError: another exit code, or no JSON."""
        arguments = [*verb.split(), *map(str, words), "--json"]
        done = CliRunner().invoke(self._door, arguments)
        if isinstance(done.exception, Exception):
            raise AssertionError(arguments) from done.exception
        assert done.exit_code in codes, (arguments, done.exit_code, done.output)
        document = json.loads(done.stdout)
        self.said.append((verb, document))
        return document

    def tell_apart(self, verb: str, *words: object, codes: tuple[int, ...] = (0,)) -> Any:
        """The same in a process of its own, for verbs that keep something running."""
        command = [sys.executable, "-m", "coffret", *verb.split(), *map(str, words), "--json"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode in codes, (command, done.stdout, done.stderr)
        document = json.loads(done.stdout)
        self.said.append((verb, document))
        return document

    @contextmanager
    def telling(self, verb: str, *words: object) -> Iterator[Any]:
        """A verb that goes on until it is stopped; its first document."""
        command = [sys.executable, "-m", "coffret", *verb.split(), *map(str, words), "--json"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            text = b""
            while True:
                line = process.stdout.readline()
                assert line, f"{verb} ended before it said anything"
                text += line
                try:
                    document = json.loads(text)
                    break
                except ValueError:
                    continue
            self.said.append((verb, document))
            try:
                yield document
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(20)


def _crash(log: Path) -> None:
    """Lets a saved log end with an exception, as hello has none."""
    saved = json.loads(log.read_text())
    last = saved["entries"][-1]
    for text in ("Traceback (most recent call last):", "  at 10000000", "ValueError: none"):
        saved["entries"].append({**last, "who": "hello", "text": text})
    log.write_text(json.dumps(saved))


def tell_all(teller: Teller) -> None:
    """An owner's, a developer's and an operator's day in one."""
    folder = teller.folder
    _alone(teller)
    bundle = _build(teller, folder)
    unsigned = folder / "unsigned"
    hello = folder / "hello"
    public = folder / "signing.pub.pem"
    public.write_bytes(_public(folder / "keys" / "signing.pem"))
    words = ("--board", BOARD, "-o", unsigned, "--unsigned", "--public-key", public)
    teller.tell("build", hello, *words)
    teller.tell("sign", unsigned)
    teller.tell("inspect", bundle)
    teller.tell("audit", bundle)
    teller.tell("rebuild", bundle)
    _log(teller, bundle)
    with board_of(read_bundle(bundle), state=folder / "kitchen") as board:
        wait_for(board.port, 60, lambda answering: answering.mode())
        teller.tell("devices")
        teller.tell("devices", "--ask")
        log = folder / "log.json"
        teller.tell("logs", "--port", board.port, "--save", log)
        teller.tell("enclaves", "--port", board.port)
        teller.tell("provision", "--port", board.port, "--name", "kitchen")
        teller.tell("provision", "--port", board.port, "--bundle", bundle)
        evidence = folder / "evidence.cbor"
        found = teller.tell(
            "attest", "--port", board.port, "--bundle", bundle, "--save", evidence, codes=(0, 1)
        )
        teller.tell("delta", bundle, bundle, "-o", folder / "same.zip")
        teller.tell("flash", bundle, "--port", board.port, "--delta", folder / "same.zip")
        teller.tell("decommission", found["device"], "--port", board.port)
    _crash(log)
    teller.tell("trace", bundle, "--log", log)
    (nonce,) = [claim["found"] for claim in found["claims"] if claim["claim"] == "nonce"]
    signed = folder / "result.jwt"
    teller.tell(
        "verify", evidence, "--nonce", nonce, "--bundle", bundle, "--result", signed, codes=(0, 1)
    )
    teller.tell("result", signed, codes=(0, 1))
    teller.tell("inventory list")
    teller.tell("inventory show", "kitchen")
    teller.tell("flash", bundle, "--transport", "virtual", "--port", folder / "kitchen")
    with teller.telling("run", bundle):
        pass
    _publish(teller, bundle)
    _fleet(teller, bundle)


def _publish(teller: Teller, bundle: Path) -> None:
    """To a service that has another signing key: an answer that says no is a document too."""
    home = Home.make(teller.folder / "service")
    key = teller.folder / "everything.key"
    key.touch(0o600)
    key.write_text(home.everything)
    with RunningService(home) as service:
        words = ("--service", service.url, "--access-key", key)
        teller.tell("publish", bundle, *words, codes=(0, 1))


def _fleet(teller: Teller, bundle: Path) -> None:
    folder = teller.folder
    with teller.telling("fleet virtual", bundle, "-n", 1, "--state", folder / "fleet") as boards:
        (serial,) = [board["name"] for board in boards]
        (folder / "units.csv").write_text(f"serial\n{serial}\n")
        file = folder / "fleet.toml"
        file.write_text(
            f'[fleet]\nname = "homes"\n[group.all]\nbundle = "{bundle}"\nunits = "units.csv"\n'
        )
        teller.tell("fleet plan", file)
        teller.tell_apart("fleet provision", file)
        teller.tell("fleet list")
        teller.tell("fleet show", serial)
        teller.tell_apart("fleet attest", file)
        teller.tell_apart("fleet update", file)
        teller.tell("fleet audit")
        teller.tell("fleet retire", serial)
        teller.tell("fleet readmit", serial)


def _alone(teller: Teller) -> None:
    """What needs no bundle."""
    folder = teller.folder
    teller.tell("boards")
    teller.tell("boards show", BOARD)
    teller.tell("doctor", codes=(0, 1))
    teller.tell("udev")
    factory = new_token(teller.folder, teller.environment, "factory")
    wrapping = factory.store_wrapping_key("boards", bytes(32))
    teller.tell("secrets", str(teller.folder / "secrets"), "--count", "2", "--secret-key", wrapping)
    with Application([image(0, (1, 0, 0)), None], settings="").board() as port:
        teller.tell("settings", "room=attic", "--port", port.port)
    teller.tell("devices")
    for role in ("signing", "operator", "owner-alice"):
        teller.tell("keys new", role)
    teller.tell("keys list")
    teller.tell("keys show", "operator")
    teller.tell("new", "diary", "--in", folder)
    teller.tell("check", ROOT / "examples" / "heart_diary")
    teller.tell("check", ROOT / "examples" / "heart_diary_leaky", codes=(1, 2))
    teller.tell("flows", ROOT / "examples" / "heart_diary")
    teller.tell("flows", ROOT / "examples" / "heart_diary_leaky", codes=(1,))
    diary = folder / "heart_diary"
    shutil.copytree(ROOT / "examples" / "heart_diary", diary)
    teller.tell("grant show", diary / "grants" / "weekly.cose")
    owner = teller.tell("keys show", "owner-alice")
    (diary / "keys" / "alice.pem").write_bytes(_public(Path(owner["file"])))
    teller.tell("grant sign", diary, "coach.weekly", "--key", owner["file"])
    _access(teller)
    teller.tell("access new", "reader", "--may", "read", "--out", folder / "reader.key")
    teller.tell("access list")
    teller.tell("access revoke", "reader")


def _public(private: Path) -> bytes:
    key = serialization.load_pem_private_key(private.read_bytes(), None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _access(teller: Teller) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = teller.folder / "gateway.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    teller.tell("access certificate", "gateway", path, "--may", "read")


def _build(teller: Teller, folder: Path) -> Path:
    shutil.copytree(ROOT / "examples" / "hello", folder / "hello")
    bundle = folder / "bundle"
    teller.tell("build", folder / "hello", "--board", BOARD, "-o", bundle)
    return bundle


def _log(teller: Teller, bundle: Path) -> None:
    folder = teller.folder
    log = folder / "log"
    teller.tell("keys new", "log")
    teller.tell("log add", bundle, "--log", log)
    teller.tell("log head", "--log", log, "--out", folder / "head")
    teller.tell("log prove", "--log", log, "--bundle", bundle, "--out", folder / "proof")
    teller.tell("log verify", folder / "proof", "--bundle", bundle, "--head", folder / "head")
