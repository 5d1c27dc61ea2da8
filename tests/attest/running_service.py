# SPDX-License-Identifier: Apache-2.0
"""A real `coffret serve` in a process of its own, on a free port, with a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

import attest
from attest import corim, keys
from attest.corim import ReferenceValues
from attest.inventory import Inventory
from attest.service.access import Right, new_key
from tests.attest.simulated_device import OPERATOR, REFERENCES, SIGNER

ROOT = Path(__file__).parents[2]
PATIENCE_S = 180.0  # on a machine where everything else runs too


@dataclass(slots=True)
class Home:
    """Keys, an inventory and access keys for a service that is not running yet."""

    folder: Path
    location: str
    inventory: Inventory
    everything: str = ""  # an access key with every right
    files: dict[str, Path] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, location: str | None = None) -> Home:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        where = location or str(folder / "inventory.sqlite")
        home = cls(folder, where, attest.open_inventory(where))
        home.everything = home.access("everything", *Right)
        for name, key in (("operator", OPERATOR), ("signing", SIGNER)):
            home.files[name] = folder / f"{name}.pub.pem"
            home.files[name].write_text(keys.public_pem(key.public_key()))
        return home

    def access(self, name: str, *rights: Right) -> str:
        return new_key(self.inventory.engine, name, frozenset(rights))

    def arguments(self, more: Sequence[str | Path] = ()) -> list[str]:
        words: list[str | Path] = ["--inventory", self.location, "--keys", self.folder / "keys"]
        words += ["--operator-key", self.files["operator"], "--signing-key", self.files["signing"]]
        return [*map(str, words), *map(str, more)]


class RunningService:
    """A context manager: `url` once it listens; `kill` and `stop` as an operator would."""

    def __init__(self, home: Home, *more: str | Path, port: int = 0) -> None:
        self.home = home
        self.url = ""
        self.lines: list[dict[str, object]] = []
        self._port = port
        self._more = more

    def __enter__(self) -> RunningService:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it listens and answers."""
        self.lines = []
        self._process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "TERM"),  # whoever kills the tests kills this too
                *(sys.executable, ROOT / "coffret.py", "serve"),
                *("--listen", f"127.0.0.1:{self._port}"),
                *self.home.arguments(self._more),
            ],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
            start_new_session=True,  # so that a test can kill all of it, and nothing else
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        listening = self.wait_for("listening")
        self.url = str(listening["url"])
        self._port = int(self.url.rpartition(":")[2])
        self.wait_for("ready")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def port(self) -> int:
        return self._port

    def workers(self) -> list[int]:
        """Process ids of the workers, as the system knows them."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(child) for child in children]

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key or self.home.everything}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30.0)

    def publish(self, values: ReferenceValues = REFERENCES) -> None:
        """Give it reference values, signed by SIGNER."""
        signed = corim.sign(corim.reference_values(values), SIGNER, "tests")
        with self.client() as client:
            answer = client.post(
                "/endorsement-provisioning/v1/submit",
                content=signed,
                headers={"Content-Type": "application/rim+cbor"},
            )
        assert answer.json()["status"] == "success", answer.text

    def kill_all(self) -> None:
        """SIGKILL for the parent; the workers must end by themselves."""
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise
        finally:
            self._reader.join(PATIENCE_S)

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.lines.append({"event": "not JSON", "text": line})

    def wait_for(self, event: str, **facts: object) -> dict[str, object]:
        """The first line of its log that tells `event` with these facts, once it is there."""
        sought = {"event": event, **facts}
        until = time.monotonic() + PATIENCE_S
        while True:
            for line in list(self.lines):
                if sought.items() <= line.items():
                    return line
            assert self._process.poll() is None, self.lines
            assert time.monotonic() < until, self.lines
            time.sleep(0.02)
