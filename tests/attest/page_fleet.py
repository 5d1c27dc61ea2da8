# SPDX-License-Identifier: Apache-2.0
"""A small fleet with a past, for looking at the page: real flow policies, real evidence.

`python -m tests.attest.page_fleet FOLDER` makes the screenshots of the documentation.
"""

from __future__ import annotations

import base64
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from playwright.sync_api import sync_playwright

import attest
from attest import response
from attest.corim import ReferenceValues
from enclaves.policy import policy_digest, policy_document
from firmware.appliance.subject import load_subject
from tests.attest.running_service import Home, RunningService
from tests.attest.simulated_device import GOOD, OPERATOR, REFERENCES, SimulatedDevice, digest

CHROMIUM = "/usr/bin/chromium"  # Debian's
EXAMPLES = Path(__file__).parents[2] / "examples"
FLOW_POLICY = {"Content-Type": "application/vnd.coffret.flow-policy+cbor"}
EVIDENCE = {"Content-Type": "application/vnd.coffret.evidence+cbor"}
ROOMS = ("bedroom", "cellar", "garden", "hall", "kitchen", "library", "nursery", "workshop")


@dataclass(frozen=True, slots=True)
class Fleet:
    """Devices by name; `kitchen` runs other flows than it should, `garden` an old image."""

    service: RunningService
    devices: dict[str, SimulatedDevice]
    values: ReferenceValues


def policies() -> tuple[bytes, bytes]:
    """heart_diary's flow policy, and the leaky one's."""
    names = ("heart_diary", "heart_diary_leaky")
    good, leaky = (policy_document(load_subject(EXAMPLES / name).policy) for name in names)
    return good, leaky


def prepare(home: Home) -> tuple[dict[str, SimulatedDevice], ReferenceValues]:
    """Endorse the devices; one more was never endorsed."""
    good, leaky = policies()
    values = replace(REFERENCES, appliance="heart_diary", policy=policy_digest(good))
    sound = replace(GOOD, policy=values.policy)
    devices = {name: replace(sound, secret=digest(f"page {name}")) for name in ROOMS}
    for name, device in devices.items():
        attest.endorse(device.identity_facts, OPERATOR, home.inventory, name=name)
    devices["kitchen"] = replace(
        devices["kitchen"], policy=policy_digest(leaky), image=digest("leaky image")
    )
    devices["garden"] = replace(devices["garden"], counter=3, image=digest("old"), version="1.0.0")
    devices["stranger"] = replace(sound, secret=digest("page stranger"))
    return devices, values


def report(client: httpx.Client, device: SimulatedDevice) -> str:
    """One session; returns the verdict."""
    opened = client.post("/challenge-response/v1/newSession")
    nonce = base64.b64decode(opened.json()["nonce"])
    content = response.pack(device.answer(nonce))
    answer = client.post(opened.headers["location"], content=content, headers=EVIDENCE)
    verdict: str = answer.json()["coffret"]["verdict"]
    return verdict


def populate(home: Home, service: RunningService, rounds: int = 3) -> Fleet:
    """Publish what the devices should run, and let them report; `workshop` never does."""
    devices, values = prepare(home)
    service.publish(values)
    sound = dict.fromkeys(ROOMS, replace(GOOD, policy=values.policy))
    with service.client() as client:
        for document in policies():
            client.post(
                "/endorsement-provisioning/v1/submit", content=document, headers=FLOW_POLICY
            )
        # The workers look for new reference values each second.
        witness = replace(sound["hall"], secret=devices["hall"].secret)
        patience = time.monotonic() + 30
        while report(client, witness) != "trusted":
            assert time.monotonic() < patience, "the service never took the reference values"
            time.sleep(0.2)
        for number in range(rounds):
            last = number == rounds - 1
            for name, device in devices.items():
                past = replace(sound.get(name, device), secret=device.secret)
                if name != "workshop":
                    report(client, device if last else past)
    return Fleet(service, devices, values)


def screenshots(folder: Path) -> None:
    """The fleet and an untrusted device, as a browser shows them."""
    with TemporaryDirectory() as home_folder, sync_playwright() as playwright:
        home = Home.make(Path(home_folder))
        with RunningService(home) as service:
            populate(home, service, rounds=24)
            alone = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=alone)
            page = browser.new_page(viewport={"width": 1180, "height": 720}, base_url=service.url)
            page.goto("/")
            page.get_by_label("Access key").fill(home.everything)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_load_state("networkidle")
            page.screenshot(path=folder / "fleet.png")
            page.get_by_role("link", name="kitchen").click()
            page.wait_for_load_state("networkidle")
            page.screenshot(path=folder / "device.png", full_page=True)
            browser.close()
        home.inventory.close()


if __name__ == "__main__":
    screenshots(Path(sys.argv[1]))
