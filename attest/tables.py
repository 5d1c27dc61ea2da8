# SPDX-License-Identifier: Apache-2.0
"""The tables of the inventory, for SQLite and PostgreSQL alike.

Whoever adds one adds a migration too (`attest/migrations`): `tests/attest/test_migrations.py` holds
the two together. Times are whole seconds since 1970, UTC.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time

import sqlalchemy as sa

METADATA = sa.MetaData()

DEVICES = sa.Table(
    "device",
    METADATA,
    sa.Column("instance_id", sa.LargeBinary(33), primary_key=True),
    sa.Column("name", sa.String(64), unique=True, nullable=False),
    sa.Column("board", sa.String(32), nullable=False),
    sa.Column("identity_key", sa.LargeBinary(64), nullable=False),
    sa.Column("implementation_id", sa.LargeBinary(32), nullable=False),
    sa.Column("boot_digest", sa.LargeBinary(32), nullable=False),
    sa.Column("endorsement", sa.LargeBinary(1024), nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
)

ATTESTATIONS = sa.Table(
    "attestation",
    METADATA,
    # SQLite counts up by itself only in a column of type INTEGER.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("instance_id", sa.LargeBinary(33), nullable=True),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("claims", sa.Text, nullable=False),
    sa.Column("nonce", sa.LargeBinary(64), nullable=False),
    sa.Column("evidence", sa.LargeBinary, nullable=False),
    sa.Column("result", sa.Text, nullable=True),  # EAR, a JWT
    sa.Column("reporter", sa.String(64), nullable=True),  # the access key that brought it
    sa.Index("attestation_of_device", "instance_id", "id"),
)

NONCES = sa.Table(
    "nonce",
    METADATA,
    sa.Column("value", sa.LargeBinary(64), primary_key=True),
    sa.Column("issued", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=False),
    sa.Column("used", sa.BigInteger, nullable=True),
    sa.Column("attestation", sa.BigInteger, nullable=True),
    sa.Index("nonce_by_expiry", "expires"),
)

# The latest word on each device that ever reported, kept so that no list reads the history.
STANDINGS = sa.Table(
    "standing",
    METADATA,
    sa.Column("instance_id", sa.LargeBinary(33), primary_key=True),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),  # this verdict's first
    sa.Column("reported", sa.BigInteger, nullable=False),  # the last evidence's time
    sa.Column("attestation", sa.BigInteger, nullable=False),
    sa.Column("appliance", sa.String(64), nullable=True),
    sa.Column("version", sa.String(64), nullable=True),
    sa.Column("reporter", sa.String(64), nullable=True),
    sa.Index("standing_by_verdict", "verdict", "since"),
    sa.Index("standing_by_report", "reported"),
)

CORIMS = sa.Table(
    "corim",
    METADATA,
    sa.Column("id", sa.String(512), primary_key=True),
    sa.Column("implementation_id", sa.LargeBinary(32), nullable=False),
    sa.Column("board", sa.String(64), nullable=False),
    sa.Column("appliance", sa.String(64), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("policy_digest", sa.LargeBinary(32), nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("added", sa.BigInteger, nullable=False),
    sa.Column("added_by", sa.String(64), nullable=False),
)

POLICIES = sa.Table(
    "flow_policy",
    METADATA,
    sa.Column("digest", sa.LargeBinary(32), primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)

ACCESS_KEYS = sa.Table(
    "access_key",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("digest", sa.LargeBinary(32), unique=True, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),  # key or certificate
    sa.Column("rights", sa.String(128), nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("revoked", sa.BigInteger, nullable=True),
)

# A change of verdict that a webhook is to hear of; written with the verdict, in one transaction.
NOTICES = sa.Table(
    "notice",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("instance_id", sa.LargeBinary(33), nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("before", sa.String(16), nullable=True),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", sa.BigInteger, nullable=True),  # null: delivered, given up, or nobody listens
    sa.Column("delivered", sa.BigInteger, nullable=True),
    sa.Index("notice_by_due", "due"),
    sa.Index("notice_of_device", "instance_id", "id"),
)

# The transparency log. Triggers keep its entries as they are (migrations/versions/v0004_log.py).
LOG_ENTRIES = sa.Table(
    "log_entry",
    METADATA,
    sa.Column(
        "number",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("about", sa.LargeBinary(32), nullable=False),  # attest.log_store.about_*
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Index("log_entry_about", "about"),
)

# The hashes over 2^level entries, level 1 and up, of subtrees that are complete.
LOG_NODES = sa.Table(
    "log_node",
    METADATA,
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary(32), nullable=False),
)

# Fleets. A unit is one board as its fleet knows it: by the serial number it shows at its port,
# before it has an identity. `token` counts its leases up; a write under an older one is refused.
UNITS = sa.Table(
    "fleet_unit",
    METADATA,
    sa.Column("serial", sa.String(128), primary_key=True),
    sa.Column("fleet", sa.String(64), nullable=False),
    sa.Column("group_name", sa.String(64), nullable=False),
    sa.Column("name", sa.String(64), unique=True, nullable=False),
    sa.Column("board", sa.String(32), nullable=False),
    sa.Column("settings", sa.Text, nullable=False),  # JSON object
    sa.Column("state", sa.String(16), nullable=False),  # new, provisioned, quarantined, retired
    sa.Column("why", sa.Text, nullable=True),
    sa.Column("instance_id", sa.LargeBinary(33), unique=True, nullable=True),
    sa.Column("appliance", sa.String(64), nullable=True),
    sa.Column("version", sa.String(64), nullable=True),
    sa.Column("policy", sa.LargeBinary(32), nullable=True),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("holder", sa.String(255), nullable=True),
    sa.Column("lease_until", sa.BigInteger, nullable=False),  # milliseconds of the database's clock
)

# What a fleet's boards are to run, so that a worker needs nothing but the database and a key.
BUNDLES = sa.Table(
    "fleet_bundle",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),  # a zip archive of the bundle's folder
)

CAMPAIGNS = sa.Table(
    "fleet_campaign",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("fleet", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),  # provision, update, attest
    sa.Column("plan", sa.Text, nullable=False),  # JSON object
    sa.Column("digest", sa.String(64), nullable=False),  # of the plan
    sa.Column("state", sa.String(16), nullable=False),  # running, done, halted
    sa.Column("why", sa.Text, nullable=True),
    sa.Column("stage", sa.Integer, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("ended", sa.BigInteger, nullable=True),
)

JOBS = sa.Table(
    "fleet_job",
    METADATA,
    sa.Column("campaign", sa.String(64), primary_key=True),
    sa.Column("serial", sa.String(128), primary_key=True),
    sa.Column("stage", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # waiting, done, failed
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", sa.BigInteger, nullable=False),  # milliseconds: not before
    sa.Column("why", sa.Text, nullable=True),
    sa.Column("result", sa.Text, nullable=True),  # JSON object
    sa.Index("fleet_job_by_state", "state", "campaign"),
)

JOURNAL = sa.Table(
    "fleet_journal",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("campaign", sa.String(64), nullable=False),
    sa.Column("serial", sa.String(128), nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("worker", sa.String(128), nullable=False),
    sa.Column("step", sa.String(32), nullable=False),
    sa.Column("event", sa.String(16), nullable=False),  # begin, done, failed
    sa.Column("text", sa.Text, nullable=False),
    sa.Index("fleet_journal_of_unit", "serial", "id"),
    sa.Index("fleet_journal_of_campaign", "campaign", "id"),
)

AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("who", sa.String(128), nullable=False),
    sa.Column("what", sa.String(32), nullable=False),
    sa.Column("subject", sa.String(128), nullable=False),
    sa.Column("key", sa.LargeBinary(32), nullable=True),  # SHA-256 of the SubjectPublicKeyInfo
    sa.Column("detail", sa.Text, nullable=False),
    sa.Index("audit_of_subject", "subject", "id"),
)


class _Ids:
    """Keys for new rows, 63 bits: they grow with time, and processes choose without asking.

    41 bits of milliseconds, 10 of the process, 12 of a counter.
    """

    def __init__(self) -> None:
        self.choose()
        os.register_at_fork(after_in_child=self.choose)

    def choose(self) -> None:
        self._process = secrets.randbits(10)
        self._counter = itertools.count(secrets.randbits(12))

    def __call__(self, now: float | None = None) -> int:
        milliseconds = int((time.time() if now is None else now) * 1000)
        return milliseconds << 22 | self._process << 12 | next(self._counter) & 0xFFF


new_id = _Ids()
