# SPDX-License-Identifier: Apache-2.0
"""Runs a campaign from one computer: begins it, or goes on with it, on the boards at hand."""

from __future__ import annotations

import time
from dataclasses import dataclass

from attest import audit
from attest.campaigns import DONE, FAILED, HALTED, RUNNING, WAITING, Campaign, Campaigns, Job
from attest.inventory import Inventory
from attest.p256 import PrivateKey, key_hash
from boards.errors import NO, CoffretError
from flasher.fleet import bundles
from flasher.fleet.plan import Plan, WideningError
from flasher.fleet.show import View, view
from flasher.fleet.worker import Settings, Worker

_STUCK_S = 120.0


class HaltedError(CoffretError):
    """A roll-out that stopped by itself, or was stopped."""

    def __init__(self, campaign: Campaign) -> None:
        super().__init__(
            f"{campaign.fleet}: the {campaign.kind} is halted: {campaign.why}",
            "look at the boards that failed (coffret fleet list); then go on with --resume, "
            "or begin another with a better bundle",
            NO,
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of a campaign. `left` are boards nothing was done to, each with its reason."""

    campaign: Campaign
    done: tuple[str, ...]
    failed: dict[str, str]
    left: dict[str, str]

    @property
    def good(self) -> bool:
        return self.campaign.state == DONE and not self.failed and not self.left

    def to_json(self) -> dict[str, object]:
        return {
            "campaign": self.campaign.id,
            "fleet": self.campaign.fleet,
            "kind": self.campaign.kind,
            "state": self.campaign.state,
            "why": self.campaign.why,
            "done": list(self.done),
            "failed": self.failed,
            "left": self.left,
        }

    def lines(self) -> list[str]:
        lines = [f"{name}: failed: {why}" for name, why in self.failed.items()]
        lines += [f"{name}: left: {why}" for name, why in self.left.items()]
        if self.campaign.state == HALTED:
            lines.append(f"halted: {self.campaign.why}")
        counts = f"{len(self.done)} done, {len(self.failed)} failed, {len(self.left)} left"
        return [*lines, f"{self.campaign.fleet}: {self.campaign.kind}: {counts}"]


def begin(
    plan: Plan,
    inventory: Inventory,
    operator: PrivateKey,
    *,
    allow_widening: bool = False,
    resume: bool = False,
) -> Campaign:
    """The plan's campaign: the one under way, or a new one. Raises WideningError, HaltedError."""
    if plan.wider and not allow_widening:
        raise WideningError(plan)
    campaigns = Campaigns(inventory)
    with inventory.engine.begin() as connection:
        for bundle in plan.bundles.values():
            bundles.store(connection, bundle)
    detail: dict[str, object] = {
        "bundles": {name: bundle.digest for name, bundle in plan.bundles.items()}
    }
    if plan.wider:
        detail["allowed_widenings"] = {name: list(what) for name, what in plan.wider.items()}
    campaign, _ = campaigns.begin(
        plan.file.fleet.name,
        plan.kind,
        plan.document(),
        plan.rows(),
        {entry.serial: entry.stage for entry in plan.work},
        {bundle.policy_digest: bundle.policy for bundle in plan.bundles.values()},
        detail,
        key_hash(operator.public_key()),
    )
    if campaign.state == HALTED:
        if not resume:
            raise HaltedError(campaign)
        campaigns.resume(campaign.id)
    return campaign


def run(
    plan: Plan,
    campaign: Campaign,
    inventory: Inventory,
    operator: PrivateKey,
    settings: Settings,
    wait_s: float,
) -> Summary:
    """Works until the campaign is over, or nothing has happened for `wait_s` seconds."""
    campaigns = Campaigns(inventory)
    names = {entry.serial: entry.name for entry in plan.entries}
    if campaign.state != DONE:
        with (
            view(inventory, campaign.id, names) as screen,
            Worker(inventory, operator, settings) as worker,
        ):
            _Watch(campaigns, campaign.id, worker, screen, wait_s).run()
    ended = campaigns.get(campaign.id)
    assert ended is not None
    return _summary(ended, campaigns.jobs(campaign.id), plan, names)


class _Watch:
    """Says when to stop: over, idle, or stuck."""

    def __init__(
        self, campaigns: Campaigns, campaign: str, worker: Worker, screen: View, wait_s: float
    ) -> None:
        self._campaigns = campaigns
        self._campaign = campaign
        self._worker = worker
        self._screen = screen
        self._wait_s = wait_s
        self._active = self._moved = time.monotonic()
        self._mark: object = None

    def run(self) -> None:
        self._worker.run(self._wanted)

    def _wanted(self) -> bool:
        now = time.monotonic()
        activities = self._worker.activities
        self._screen.update(activities)
        campaign = self._campaigns.get(self._campaign)
        if campaign is None or campaign.state != RUNNING:
            return False
        jobs = self._campaigns.jobs(self._campaign)
        if activities or self._campaigns.under_way(self._campaign):
            self._active = now
        mark = [(job.state, job.attempts) for job in jobs], [a.done for a in activities.values()]
        if mark != self._mark:
            self._mark, self._moved = mark, now
        return now - self._active < self._wait_s and now - self._moved < _STUCK_S


def _summary(campaign: Campaign, jobs: list[Job], plan: Plan, names: dict[str, str]) -> Summary:
    left = {entry.name: entry.skipped for entry in plan.entries if entry.skipped is not None}
    for job in jobs:
        if job.state == WAITING:
            left[names[job.serial]] = job.why or (
                "not begun" if campaign.state == HALTED else "it is not at hand: plug it in"
            )
    return Summary(
        campaign,
        tuple(names[job.serial] for job in jobs if job.state == DONE),
        {names[job.serial]: job.why or "" for job in jobs if job.state == FAILED},
        left,
    )


def default_worker() -> str:
    """The name of this computer's worker."""
    return audit.whoever()
