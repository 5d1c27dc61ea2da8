# SPDX-License-Identifier: Apache-2.0
"""The service as a process: how it starts, whom it lets in by certificate, how it ends."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import attest
from attest import response
from tests.attest.running_service import ROOT, Home, RunningService
from tests.attest.simulated_device import GOOD, OPERATOR

EVIDENCE = "application/vnd.coffret.evidence+cbor"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home.make(tmp_path / "home")
    yield made
    made.inventory.close()


def coffret(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "coffret.py", *words]
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=60, check=False
    )


def test_stopped_in_the_middle_of_a_request_it_still_answers(home: Home) -> None:
    attest.endorse(GOOD.identity_facts, OPERATOR, home.inventory, name="kitchen")
    with RunningService(home) as service:
        service.publish()
        with service.client() as client:
            opened = client.post("/challenge-response/v1/newSession")
        nonce = base64.b64decode(opened.json()["nonce"])
        body = response.pack(GOOD.answer(nonce))
        head = (
            f"POST {opened.headers['location']} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {home.everything}\r\nContent-Type: {EVIDENCE}\r\n"
            f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as line:
            line.sendall(head.encode() + body[:100])
            assert line.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"  # it waits for the rest
            codes: list[int] = []
            ending = threading.Thread(target=lambda: codes.append(service.stop()))
            ending.start()
            time.sleep(1.0)
            line.sendall(body[100:])
            assert line.recv(65536).startswith(b"HTTP/1.1 200")
        ending.join()
    assert codes == [0]
    assert [line["event"] for line in service.lines][-2:] == ["stopped", "ended"]
    (kept,) = home.inventory.history(GOOD.identity_facts.instance_id)
    assert kept.verdict in ("unknown", "trusted")


def test_a_port_that_is_taken_is_said_with_a_mend(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        done = coffret("serve", "--listen", taken, *home.arguments())
    assert done.returncode == 3
    assert "cannot listen" in done.stderr
    assert "mend: choose another address" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--listen", "8470"), "not HOST:PORT"),
        (("--webhook", "http://localhost/"), "a secret to sign with"),
        (("--inventory", "postgresql://nobody@127.0.0.1:1/x"), "cannot open the inventory"),
    ],
)
def test_what_cannot_be_served_is_said_at_once(words: tuple[str, ...], says: str) -> None:
    done = coffret("serve", *words)
    assert done.returncode in (2, 3)
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_access_key_is_written_once_and_for_its_holder_alone(home: Home) -> None:
    where = ("--inventory", home.location)
    out = home.folder / "gateway.key"
    made = coffret("access", "new", "gateway", "--may", "attest", "--out", out, *where)
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    secret = out.read_text().strip()
    assert secret not in made.stdout + made.stderr
    again = coffret("access", "new", "other", "--may", "attest", "--out", out, *where)
    assert again.returncode == 3
    assert out.read_text().strip() == secret
    listed = coffret("access", "list", *where).stdout
    assert "gateway              attest" in listed
    assert "other                revoked" in listed
    assert coffret("access", "revoke", "gateway", *where).returncode == 0
    assert coffret("access", "revoke", "gateway", *where).returncode == 2


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of the test's own."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: str

    @property
    def file(self) -> Path:
        return self.issue(self.name, self.key, ca=True)[0]

    def issue(
        self, name: str, key: ec.EllipticCurvePrivateKey | None = None, *, ca: bool = False
    ) -> tuple[Path, Path]:
        """Certificate and key of `name`, for 127.0.0.1."""
        private = key or ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        subject, issuer = (
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, self.name)
        )
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        paths = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths


def authority(folder: Path, name: str) -> Authority:
    return Authority(folder, ec.generate_private_key(ec.SECP256R1()), name)


def test_with_mtls_the_certificate_is_the_key(home: Home) -> None:
    ours, theirs = authority(home.folder, "ours"), authority(home.folder, "theirs")
    server, server_key = ours.issue("server")
    gateway, gateway_key = ours.issue("gateway")
    unknown, unknown_key = ours.issue("unknown")
    foreign, foreign_key = theirs.issue("foreign")
    where = ("--inventory", home.location)
    may = ("--may", "attest")
    assert coffret("access", "certificate", "gateway", gateway, *may, *where).returncode == 0
    tls = ("--tls-cert", server, "--tls-key", server_key, "--client-ca", ours.file)

    def ask(certificate: Path | None, key: Path | None, method: str, path: str) -> int:
        trust = ssl.create_default_context(cafile=str(ours.file))
        if certificate is not None and key is not None:
            trust.load_cert_chain(certificate, key)
        with httpx.Client(base_url=service.url, verify=trust) as client:
            return client.request(method, path).status_code

    service = RunningService(home, *tls)
    with service:
        assert service.url.startswith("https://")
        new = ("POST", "/challenge-response/v1/newSession")
        assert ask(gateway, gateway_key, *new) == 201
        assert ask(gateway, gateway_key, "GET", "/v1/fleet") == 403
        assert ask(unknown, unknown_key, *new) == 401
        for certificate, key in ((foreign, foreign_key), (None, None)):
            with pytest.raises((httpx.HTTPError, ssl.SSLError)):
                ask(certificate, key, *new)


def test_a_worker_without_its_parent_does_not_start() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from attest.service.server import end_with; end_with(1 << 30)",
        ],
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3


def test_a_worker_that_dies_young_is_started_again_later_and_later(tmp_path: Path) -> None:
    """Three deaths, then it lives: no busy loop, no giving up, and SIGTERM ends it."""
    program = f"""
import os, signal, time
from pathlib import Path
from attest.service import logs
from attest.service.supervisor import Supervisor
deaths = Path({str(tmp_path / "deaths")!r})
def work():
    number = len(deaths.read_text()) if deaths.exists() else 0
    if number < 3:
        deaths.write_text("x" * (number + 1))
        os._exit(7)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    os.kill(os.getppid(), signal.SIGTERM)
    while True:
        time.sleep(1)
logs.set_up()
Supervisor(work, 1, 5).run()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["code"] for line in lines if line["event"] == "worker died"] == [7, 7, 7]
    assert [line["pause"] for line in lines] == sorted({line["pause"] for line in lines})
