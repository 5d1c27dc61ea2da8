# SPDX-License-Identifier: Apache-2.0
"""A running appliance made of Python: two slots, trial boots, an identity, knobs to lie with."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field, replace

from attest import dice
from flasher.bundle import parse_image
from tests.attest.simulated_device import SimulatedDevice
from tests.flasher.fake_board import READ, WRITE, Command, FakeBoard, Handler

SECURED = 0x3000
_NO_SLOT = 0xFF


def image(slot: int, version: tuple[int, int, int], body: bytes = b"code") -> bytes:
    """An image that has what the host reads: header, address and digest."""
    address = 0x2100_0000 + slot * 0x8_0000
    header = struct.pack("<IIHHIIBBHI4x", 0x96F3B83D, address, 32, 0, len(body), 0, *version, 0)
    digest = bytes([slot, *version]) + bytes(28)
    tlvs = struct.pack("<HH", 0x10, 32) + digest
    return header + body + struct.pack("<HH", 0x6907, 4 + len(tlvs)) + tlvs


@dataclass(slots=True)
class Application:
    """The state behind the fake port."""

    slots: list[bytes | None]
    running: int = 0
    active: int = 0
    pending: int | None = None
    device: SimulatedDevice = field(
        default_factory=lambda: SimulatedDevice(lifecycle=0x2000, mode=int(dice.Mode.DEBUG))
    )
    endorsement: bytes = b""
    settings: str | None = None  # None: the image reads none
    reverts: bool = False
    falls_into_recovery: bool = False
    forgets_to_confirm: bool = False
    lingers_s: float = 0.0
    refusal: tuple[int, int] = (_NO_SLOT, 0)
    mode: str = "application"
    started: float = field(default_factory=lambda: time.monotonic() - 60)
    resets: int = 0
    upload: bytearray = field(default_factory=bytearray)
    reset_due: float | None = None

    def board(self) -> FakeBoard:
        """A port to it."""
        handlers: dict[Command, Handler] = {
            (READ, 0, 8): lambda _: {"bootloader": "coffret", "mode": self.now().mode},
            (WRITE, 0, 5): self._reset,
            (READ, 1, 0): lambda _: self._images(),
            (WRITE, 1, 0): self._state,
            (WRITE, 1, 1): self._upload,
            (WRITE, 64, 0): self._evidence,
            (READ, 65, 0): lambda _: self._identity(),
            (READ, 65, 1): lambda _: {"endorsement": self.endorsement},
            (WRITE, 65, 1): self._endorse,
            (READ, 65, 2): lambda _: {"slot": self.refusal[0], "reason": self.refusal[1]},
            (READ, 65, 4): self._settings,
            (WRITE, 65, 4): self._settings,
            (READ, 67, 0): lambda _: {
                "enclaves": [],
                "slot": self.now().running,
                "uptime_ms": int((time.monotonic() - self.started) * 1000),
            },
        }
        return FakeBoard(handlers)

    def now(self) -> Application:
        """Itself, after a reset that was due."""
        if self.reset_due is not None and time.monotonic() >= self.reset_due:
            self.reset_due = None
            self._restart()
        return self

    def _reset(self, _: dict[str, object]) -> dict[str, object]:
        self.reset_due = time.monotonic() + self.lingers_s
        return {}

    def _restart(self) -> None:
        self.resets += 1
        self.started = time.monotonic()
        self.device = replace(
            self.device,
            mode=int(dice.Mode.NORMAL if self.device.lifecycle == SECURED else dice.Mode.DEBUG),
        )
        if self.falls_into_recovery:
            self.mode = "recovery"
        elif self.pending is not None and self.reverts:
            self.refusal, self.pending = (self.pending, 15), None
        elif self.pending is not None:
            self.running, self.pending = self.pending, None

    def _images(self) -> dict[str, object]:
        self.now()
        return {
            "images": [
                {
                    "slot": slot,
                    "version": parse_image(data).version,
                    "hash": parse_image(data).digest,
                    "active": slot == self.running,
                    "confirmed": slot == self.active,
                    "pending": slot == self.pending,
                }
                for slot, data in enumerate(self.slots)
                if data is not None
            ]
        }

    def _upload(self, asked: dict[str, object]) -> dict[str, object]:
        offset, data = asked["off"], asked["data"]
        assert isinstance(offset, int)
        assert isinstance(data, bytes)
        if offset == 0:
            self.upload = bytearray()
        self.upload += data
        if len(self.upload) == self._expected():
            address = parse_image(bytes(self.upload)).load_address
            self.slots[(address - 0x2100_0000) // 0x8_0000] = bytes(self.upload)
        return {"off": len(self.upload)}

    def _expected(self) -> int:
        (header,) = struct.unpack_from("<H", self.upload, 8)
        (body,) = struct.unpack_from("<I", self.upload, 12)
        return int(header) + int(body) + 40

    def _state(self, asked: dict[str, object]) -> dict[str, object]:
        if asked.get("confirm"):
            if not self.forgets_to_confirm:
                self.active = self.running
        else:
            self.pending = next(
                slot
                for slot, data in enumerate(self.slots)
                if data is not None and parse_image(data).digest == asked["hash"]
            )
        return self._images()

    def _evidence(self, asked: dict[str, object]) -> dict[str, object]:
        nonce = asked["nonce"]
        assert isinstance(nonce, bytes)
        answer = self.now().device.answer(nonce)
        return {"token": answer.token, "cert": answer.certificate}

    def _identity(self) -> dict[str, object]:
        facts = self.now().device.identity_facts
        return {
            "id": facts.instance_id,
            "key": facts.identity_key,
            "impl": facts.implementation_id,
            "lifecycle": self.device.lifecycle,
            "boot": facts.boot_digest,
        }

    def _settings(self, asked: dict[str, object]) -> dict[str, object]:
        if self.settings is None:
            return {"rc": 8}
        if "settings" not in asked:
            return {"settings": self.settings}
        if self.device.lifecycle == SECURED:
            return {"err": {"group": 65, "rc": 11}}
        self.settings = str(asked["settings"])
        return {}

    def _endorse(self, asked: dict[str, object]) -> dict[str, object]:
        endorsement = asked["endorsement"]
        assert isinstance(endorsement, bytes)
        self.endorsement = endorsement
        # The certificate stays as it is until boot makes a new one.
        self.device = replace(self.device, lifecycle=SECURED)
        return {}
