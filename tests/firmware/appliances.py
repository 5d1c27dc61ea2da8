# SPDX-License-Identifier: Apache-2.0
"""Appliances made for tests: a manifest with everything in it, its keys and its grants."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.appliance.consent import sign_grant

NOW = datetime(2026, 6, 1, tzinfo=UTC)
FAR = datetime(2046, 1, 1, tzinfo=UTC)

FULL = """\
[appliance]
name = "full"
version = "1.2.3+4"
security_counter = 5

[requires]
devices = ["usb"]

[owner.alice]
key = "keys/alice.pem"
[owner.bob]
key = "keys/bob.pem"

[tag."alice/health"]
says = "Alice's heart rate"
owner = ["alice"]
[tag.calibrated]
says = "a calibrated reading"
owner = ["alice", "bob"]
[tag."bob/steps"]
says = "Bob's steps"
owner = ["bob"]

[enclave.sensor]
module = "sensor.py"
makes = ["alice/health"]
devices = ["uart2"]
heap = "8K"
priority = 3
restart = "always"
backoff_ms = 250

[enclave.diary]
module = "diary.py"
sees = ["alice/health", "bob/steps"]
trusts = ["calibrated"]

[enclave.coach]
module = "coach.py"
sees = ["alice/health", "bob/steps"]
stack = 3000
restart = "never"
may_release = [
    { tag = "alice/health", as = "weekly", at_most = "1/week", bytes = 16, grant = "weekly.cose" },
    { tags = ["alice/health", "bob/steps"], as = "count", at_most = "24/day", bytes = 4, grant = [
        "count_alice.cose",
        "count_bob.cose",
    ] },
]

[enclave.meter]
module = "meter.py"
makes = ["bob/steps"]
[enclave.meter.may_vouch]
tag = "calibrated"
as = "checked"
at_most = "10/second"
bytes = 8
grant = "checked.cose"

[enclave.uplink]
module = "uplink.py"
sees = ["bob/steps"]

[sink.usb]
accepts = ["bob/steps"]

[[channel]]
from = "sensor"
to = "coach"
message = "<HI"
depth = 3
[[channel]]
from = "diary"
to = "coach"
size = 33
[[channel]]
from = "meter.checked"
to = "diary"
[[channel]]
from = "coach.weekly"
to = "uplink"
[[channel]]
from = "coach.count"
to = "usb"
message = "<I"
[[channel]]
from = "uplink"
to = "usb"
size = 64
"""

# Tiny, but they use every end they have.
MODULES = {
    "sensor": 'import enclave\nenclave.output("coach").send(b"123456")\n',
    "diary": """\
import enclave
meter = enclave.input("meter")
enclave.output("coach").send(meter.receive() or b"")
""",
    "coach": 'import enclave\nimport helper\nhelper.help(enclave.gate("weekly"))\n',
    "helper": "import enclave\ndef help(gate: enclave.Gate) -> None:\n    gate.release(b'1')\n",
    "meter": 'import enclave\nenclave.gate("checked").release(b"1")\n',
    "uplink": 'import enclave\nenclave.output("usb").send(b"hello")\n',
}


def write_key(path: Path, *, public: Path | None = None) -> ec.EllipticCurvePrivateKey:
    """A fresh private key in `path`, its public half in `public`."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_bytes(pem)
    if public is not None:
        public.parent.mkdir(parents=True, exist_ok=True)
        public.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
    return key


def write_appliance(folder: Path, manifest: str = FULL) -> Path:
    """The files of an appliance but for its grants. Private keys lie in `folder/private`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "appliance.toml").write_text(textwrap.dedent(manifest), encoding="utf-8")
    for name, text in MODULES.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    for owner in ("alice", "bob"):
        if not (folder / f"keys/{owner}.pem").exists():
            write_key(folder / f"private/{owner}.pem", public=folder / f"keys/{owner}.pem")
    return folder


def grant_everything(folder: Path) -> None:
    """Sign the grants of FULL. Two owners sign for coach.count, each for their own tag."""
    for gate, owner, file in (
        ("coach.weekly", "alice", "weekly.cose"),
        ("coach.count", "alice", "count_alice.cose"),
        ("coach.count", "bob", "count_bob.cose"),
        ("meter.checked", "bob", "checked.cose"),
    ):
        sign_grant(folder, gate, folder / f"private/{owner}.pem", FAR, folder / file)
