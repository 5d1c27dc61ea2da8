# SPDX-License-Identifier: Apache-2.0
"""Figures for Prometheus. Each worker has its own; `worker` tells them apart.

Workers share one port, so a scrape meets one of them: with several, sum what each says over time
by `worker`, or scrape one worker a host.
"""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """The figures of one worker."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.sessions = Counter("coffret_sessions", "Sessions opened", registry=registry)
        self.verdicts = Counter(
            "coffret_verdicts", "Answers appraised and kept", ["verdict"], registry=registry
        )
        self.refused = Counter(
            "coffret_refused", "Answers not taken on", ["reason"], registry=registry
        )
        self.latency = Histogram(
            "coffret_appraisal_seconds",
            "From evidence to a committed result",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.webhooks = Counter("coffret_webhooks", "Notices sent", ["outcome"], registry=registry)
        self.aged = Counter(
            "coffret_aged", "Devices that became unknown for want of reports", registry=registry
        )
        self._waiting = Gauge("coffret_waiting", "Answers in the queue", registry=registry)
        worker = Gauge("coffret_worker", "Which worker this is", ["pid"], registry=registry)
        worker.labels(str(os.getpid())).set(1)

    def text(self, waiting: int) -> bytes:
        self._waiting.set(waiting)
        return generate_latest(self._registry)
