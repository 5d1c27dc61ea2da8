# SPDX-License-Identifier: Apache-2.0
"""Channels of a manifest: their two ends exist, their sizes fit, and gates lead somewhere."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from firmware.appliance import schema
from firmware.appliance.declared import Declared
from firmware.appliance.lines import KeyPath
from firmware.appliance.manifest import Channel, Gate
from firmware.appliance.sections import MAX_CHANNELS, did_you_mean

# What a supervisor is told (struct fault_report): reason, how many faults, where, which address.
FAULT_REPORT = "<B3xIII"
FAULT_REPORT_BYTES = struct.calcsize(FAULT_REPORT)
FAULT_REPORTS = 4  # that may wait


def resolve_channels(declared: Declared, gates: Mapping[str, Gate]) -> list[Channel]:
    """Every channel whose two ends exist, with its sizes; every gate has its one channel."""
    channels: list[Channel] = []
    seen: set[tuple[str, str]] = set()
    for index, table in declared.sections.channels.items():
        key: KeyPath = ("channel", index)
        ends = _ends(declared, key, table, gates)
        sizes = _sizes(declared, key, table, gates.get(table.source))
        if ends is None or sizes is None:
            continue
        source, gate, target = ends
        if (table.source, target) in seen:
            mend = "remove one; a channel carries as many messages as its depth allows"
            declared.say(key, f"there is a channel {table.source} -> {target} already", mend)
        seen.add((table.source, target))
        kind = _kind(declared, key, table, source, target)
        reply = _reply(declared, key, table)
        message = table.message
        channels.append(
            Channel(index, source, gate, target, message, *sizes, table.depth, kind, reply)
        )
    _gates_lead_somewhere(declared, gates, channels)
    return channels


def supervision(declared: Declared, first: int) -> list[Channel]:
    """The channels by which supervisors are told of faults."""
    channels: list[Channel] = []
    for name, enclave in declared.sections.enclaves.items():
        key: KeyPath = ("enclave", name, "supervises")
        declared.check("enclave", enclave.supervises, key)
        for index, watched in enumerate(enclave.supervises):
            if watched == name:
                declared.say((*key, index), f"{name} supervises itself", "name another enclave")
            number = first + len(channels)
            channels.append(
                Channel(
                    number,
                    watched,
                    None,
                    name,
                    FAULT_REPORT,
                    FAULT_REPORT_BYTES,
                    FAULT_REPORT_BYTES,
                    FAULT_REPORTS,
                    "faults",
                )
            )
    if first + len(channels) > MAX_CHANNELS:
        what = f"{first + len(channels)} with those of `supervises`"
        declared.say(("channel",), what, f"{MAX_CHANNELS} is the most")
    return channels


def _ends(
    declared: Declared, key: KeyPath, table: schema.Channel, gates: Mapping[str, Gate]
) -> tuple[str, str | None, str] | None:
    """(enclave, gate or None, target)."""
    enclaves = declared.names["enclave"]
    targets = {**enclaves, **declared.names["sink"]}
    found = len(declared.problems)
    source, _, short = table.source.partition(".")
    gate = table.source if short else None
    if table.source in declared.sections.bodies:
        source, gate = table.source, None
    if source in declared.names["sink"]:
        declared.say((*key, "from"), f"{source} is a sink", "data only goes into a sink")
    elif source not in enclaves:
        what = f"there is no enclave {source!r}"
        declared.say((*key, "from"), what, did_you_mean(source, enclaves))
    # The gates of an enclave whose own table is malformed are not known.
    elif gate is not None and gate not in gates and source in declared.sections.enclaves:
        mine = {name: g for name, g in gates.items() if g.enclave == source}
        declared.say((*key, "from"), f"{source} has no gate {short!r}", did_you_mean(gate, mine))
    if table.target not in targets:
        what = f"there is no enclave or sink {table.target!r}"
        declared.say((*key, "to"), what, did_you_mean(table.target, targets))
    elif table.target == source:
        declared.say((*key, "to"), f"{source} sends to itself", "keep the data in a variable")
    return None if len(declared.problems) > found else (source, gate, table.target)


def _sizes(
    declared: Declared, key: KeyPath, table: schema.Channel, gate: Gate | None
) -> tuple[int, int] | None:
    """(smallest, largest message) in bytes."""
    fixed, limit = table.fixed_size, gate.budget.size if gate else None
    largest = fixed if fixed is not None else table.size or limit
    if fixed is not None and table.size not in (None, fixed):
        mend = f"remove `size`, or write {fixed}"
        declared.say((*key, "size"), f"{table.message!r} has {fixed} bytes", mend)
        return None
    if largest is None:
        if "." not in table.source:  # else a gate that does not exist, which was said already
            declared.say((*key, "size"), "missing", "write the most bytes of one message")
        return None
    if not 1 <= largest <= schema.MAX_MESSAGE_BYTES:
        mend = f"1 to {schema.MAX_MESSAGE_BYTES} bytes fit a message"
        declared.say((*key, "message"), f"{largest} bytes", mend)
        return None
    if limit is not None and largest > limit:
        what = f"{largest} bytes, the gate {table.source} lets at most {limit} pass"
        mend = "make the message smaller, or raise `bytes` of the gate (and have it granted)"
        declared.say((*key, "size" if table.size else "message"), what, mend)
        return None
    return (largest if fixed is not None else 0), largest


def _kind(declared: Declared, key: KeyPath, table: schema.Channel, source: str, target: str) -> str:
    """What it says; else silent exactly where the sender must not learn of the receiver."""
    enclaves, sinks = declared.sections.enclaves, declared.sections.sinks
    if table.kind == "call" and table.source not in enclaves:
        mend = "release with one channel, and get the answer by another"
        declared.say((*key, "kind"), "a gate releases one way, a call goes both", mend)
    if table.kind == "call" and target in declared.names["sink"]:
        declared.say((*key, "kind"), f"{target} is a sink", "a sink does not answer")
    sender = enclaves.get(source)
    receiver = enclaves.get(target)
    if sender is None or (receiver is None and target not in sinks):
        return table.kind or "send"
    knows = {*sender.sees, *sender.makes}
    has = {*receiver.sees, *receiver.makes} if receiver else {*sinks[target].accepts}
    if has <= knows:
        return table.kind or "send"
    if table.kind == "send":
        what = f"{source} would learn from it when {target}, which sees more, has not read"
        mend = 'say `kind = "emit"` (or nothing): one way, silent, what finds no room is lost'
        declared.say((*key, "kind"), what, mend)
    return table.kind or "emit"


def _reply(declared: Declared, key: KeyPath, table: schema.Channel) -> int:
    """The most bytes of a reply, 0 unless it is a call."""
    if table.kind != "call":
        for name in ("reply", "reply_size"):
            if getattr(table, name) is not None:
                declared.say((*key, name), "only a call has a reply", 'say `kind = "call"`')
        return 0
    if table.reply is not None and table.reply != "bytes":
        size = struct.calcsize(table.reply)
        if table.reply_size not in (None, size):
            declared.say((*key, "reply_size"), f"{table.reply!r} has {size} bytes", "remove it")
        if size > schema.MAX_MESSAGE_BYTES:
            mend = f"{schema.MAX_MESSAGE_BYTES} is the most"
            declared.say((*key, "reply"), f"{size} bytes", mend)
        return size
    if table.reply_size is None:
        declared.say((*key, "reply_size"), "missing", "write the most bytes of a reply")
    return table.reply_size or 0


def _gates_lead_somewhere(
    declared: Declared, gates: Mapping[str, Gate], channels: list[Channel]
) -> None:
    """A gate has exactly one channel: `release(data)` names no other end."""
    broken = {table.source for table in declared.sections.channels.values()} - {
        channel.gate for channel in channels
    }
    for gate in gates.values():
        mine = [channel for channel in channels if channel.gate == gate.name]
        if not mine and gate.name not in broken:
            mend = f'add [[channel]] with from = "{gate.name}", or drop the gate'
            declared.say(gate.key, f"no channel goes through {gate.name}", mend)
        for channel in mine[1:]:
            what = f"{gate.name} has a channel already, to {mine[0].target}"
            mend = "a gate has one channel: declare a second gate, which needs its own grant"
            declared.say(("channel", channel.index, "from"), what, mend)
