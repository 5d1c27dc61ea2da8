# SPDX-License-Identifier: Apache-2.0
"""Documents that no encoder of ours would write, byte for byte."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attest import certificate
from enclaves import cbor
from tests.attest.attacks.documents import CERTIFICATE, Document, Key, Path


@dataclass(frozen=True)
class Raw:
    """A map's entry as it is to stand there, byte for byte; `times` 0 leaves it out."""

    value: bytes
    times: int = 1


def at(value: Any, path: Path) -> Any:
    for step in path:
        if isinstance(value, bytes):
            value = cbor.decode(value)
        value = value[step]
    return value


def rewritten(document: Document, path: Path, entry: Raw) -> bytes:
    """The payload with the value at `path` written as `entry`, what depends on it made to fit."""
    payload = dict(document.payload)
    if document is CERTIFICATE and path[0] == certificate.CONFIGURATION_DESCRIPTOR:
        # Its hash stands beside it: an attacker with the key would write that anew too.
        if len(path) > 1:
            descriptor = _write(payload[path[0]], path[1:], entry)
        elif entry.times and entry.value[:1] == b"\x58":
            descriptor = entry.value[2:]
        else:
            descriptor = payload[path[0]]
        payload[certificate.CONFIGURATION_HASH] = hashlib.sha256(descriptor).digest()
    return _write(payload, path, entry)


def _write(value: Any, path: Path, entry: Raw) -> bytes:
    if isinstance(value, bytes):
        return _write(cbor.decode(value), path, entry)
    if isinstance(value, list):
        items = [
            _one(item, path[1:], entry) if number == path[0] else cbor.encode(item)
            for number, item in enumerate(value)
        ]
        return head(4, len(items)) + b"".join(items)
    items = []
    for encoded, key in sorted((cbor.encode(key), key) for key in value):
        if key != path[0]:
            items.append(encoded + cbor.encode(value[key]))
        elif len(path) == 1:
            items += [encoded + entry.value] * entry.times
        else:
            items.append(encoded + _one(value[key], path[1:], entry))
    return head(5, len(items)) + b"".join(items)


def _one(value: Any, path: Path, entry: Raw) -> bytes:
    if not path:
        return entry.value
    inner = _write(value, path, entry)
    return cbor.encode(inner) if isinstance(value, bytes) else inner


def head(major: int, count: int) -> bytes:
    return bytes([major << 5 | count]) if count < 24 else bytes([major << 5 | 24, count])


def framed(document: Document, headers: Mapping[Key, object], payload: bytes, end: bytes) -> bytes:
    """The message with any headers and any signature."""
    body = b"\x84" + cbor.encode(cbor.encode(headers)) + b"\xa0"
    return (b"\xd2" if document.tagged else b"") + body + cbor.encode(payload) + cbor.encode(end)
