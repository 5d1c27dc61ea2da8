# SPDX-License-Identifier: Apache-2.0
"""The manifest as information flow: its graph, its grants, its policy document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from boards.devices import SHARED_DEVICES
from boards.errors import NO
from enclaves import grants, keys
from enclaves.graph import Edge, FlowGraph, Kind, Life, Node, Way
from enclaves.graph import Gate as GraphGate
from enclaves.labels import label
from enclaves.policy import Message, Policy, policy_digest, policy_document
from enclaves.proof import Proof, Rule, Violation, prove
from enclaves.report import Consent, violation_words
from enclaves.tags import Owner, Tag
from firmware.appliance.assertion_file import FILE_NAME as ASSERTION_FILE
from firmware.appliance.assertion_file import read_assertions
from firmware.appliance.lines import KeyPath
from firmware.appliance.manifest import Gate, Manifest
from firmware.appliance.modules import code_digest
from firmware.appliance.privileges import privilege_problems
from firmware.appliance.problems import ApplianceError, Problem


@dataclass(frozen=True, slots=True)
class FlowPolicy:
    """The proved and granted policy of an appliance, ready to be compiled in and signed."""

    policy: Policy
    proof: Proof
    document: bytes
    digest: bytes
    code: Mapping[str, bytes]  # code digest by enclave, 32 bytes
    consents: Mapping[str, Consent]
    assertions: bytes | None = None  # `policy.toml`, which holds


def code_digests(manifest: Manifest) -> dict[str, bytes]:
    """The code digest of every enclave (32 bytes each)."""
    return {name: code_digest(modules) for name, modules in manifest.modules.items()}


def flow_graph(manifest: Manifest) -> FlowGraph:
    """The graph of a manifest. A device that an enclave drives itself is an end of its own.

    Such a device gives what its enclave `makes`, so that much may also go back to it (a sensor may
    be configured by who reads it); everything more must be accepted by [sink.DEVICE].
    """
    digests = {
        name: keys.key_digest(keys.read_public(manifest.folder / owner.key))
        for name, owner in manifest.owners.items()
    }
    tags = tuple(
        Tag(name, tag.says, tuple(Owner(owner, digests[owner]) for owner in tag.owner))
        for name, tag in manifest.tags.items()
    )
    nodes: list[Node] = []
    edges: list[Edge] = []
    devices: list[Node] = []
    grant_edges: list[Edge] = []
    for name, enclave in manifest.enclaves.items():
        secrecy = label((*enclave.sees, *enclave.makes))
        integrity = label((*enclave.trusts, *enclave.vouched))
        makes = label(enclave.makes)
        life, slice_ms = Life(enclave.runs), enclave.slice_ms or 0
        nodes.append(Node(name, Kind.ENCLAVE, secrecy, integrity, makes, life, slice_ms))
        for device in enclave.devices:
            if device in SHARED_DEVICES:
                continue  # no end of the world: nothing comes in or goes out there
            sink = manifest.sinks.get(device)
            accepts = label(sink.accepts if sink else ())
            makes = label(enclave.makes)
            devices.append(
                Node(device, Kind.DEVICE, accepts | makes, label(enclave.vouched), makes - accepts)
            )
            grant_edges.append(Edge(name, device, way=Way.GRANT))
            grant_edges.append(Edge(device, name, way=Way.GRANT))
    granted = {device.name for device in devices}
    nodes += [
        Node(name, Kind.SINK, label(sink.accepts))
        for name, sink in manifest.sinks.items()
        if name not in granted
    ]
    for c in manifest.channels:
        way = Way.FAULTS if c.kind == "faults" else Way.CHANNEL
        edges.append(Edge(c.source, c.target, c.gate, way))
        if c.kind == "call":
            edges.append(Edge(c.target, c.source, way=Way.REPLY))
    gates = tuple(
        GraphGate(g.name, g.enclave, label(g.releases), label(g.vouches), g.budget, g.raw)
        for g in manifest.gates
    )
    return FlowGraph(tags, (*nodes, *devices), gates, (*edges, *grant_edges))


def flow_problems(manifest: Manifest, graph: FlowGraph, proof: Proof) -> list[Problem]:
    """Every illegal flow, at the line of the channel or device that would have to change."""
    problems = []
    for violation in proof.violations:
        what, mend = violation_words(graph, violation)
        problems.append(manifest.problem(violation_key(manifest, violation), what, mend))
    return problems


def violation_key(manifest: Manifest, violation: Violation) -> KeyPath:
    """The key of the manifest that declares the edge."""
    edge = violation.edge
    if edge.way is Way.CHANNEL:
        for channel in manifest.channels:
            if (channel.source, channel.target, channel.gate) == (
                edge.source,
                edge.target,
                edge.gate,
            ):
                return ("channel", channel.index)
    if edge.way is Way.REPLY:
        for channel in manifest.channels:
            if (channel.kind, channel.source, channel.target) == ("call", edge.target, edge.source):
                return ("channel", channel.index, "kind")
    if edge.way is Way.FAULTS:
        return ("enclave", edge.target, "supervises")
    enclave = edge.target if violation.rule is Rule.INTEGRITY else edge.source
    return ("enclave", enclave, "devices")


def grant_request(manifest: Manifest, gate: Gate, code: bytes) -> grants.Request:
    """What `gate` must be granted; `code` is its enclave's code digest."""
    kind = grants.Kind.RELEASE if gate.releases else grants.Kind.VOUCH
    return grants.Request(manifest.appliance.name, kind, gate.name, code, gate.budget)


def verified_grants(
    manifest: Manifest, now: datetime
) -> tuple[dict[str, tuple[grants.SignedGrant, ...]], list[Problem]]:
    """The grants of each gate that hold at `now`, and a problem for each tag without one."""
    code = code_digests(manifest)
    verified: dict[str, tuple[grants.SignedGrant, ...]] = {}
    problems: list[Problem] = []
    for gate in manifest.gates:
        request = grant_request(manifest, gate, code[gate.enclave])
        found: list[grants.SignedGrant] = []
        reasons: list[str] = []
        missing = list(dict.fromkeys((*gate.releases, *gate.vouches)))
        for path in gate.grants:
            try:
                signed, owners = _verify(manifest, path, request, now)
            except grants.GrantError as error:
                reasons.append(f"{path.name}: {error}")
                continue
            covered = [
                tag
                for tag in missing
                if tag in signed.grant.tags and owners & {*manifest.tags[tag].owner}
            ]
            if not covered:
                reasons.append(f"{path.name}: it grants no further tag of this gate")
                continue
            missing = [tag for tag in missing if tag not in covered]
            found.append(signed)
        verified[gate.name] = tuple(found)
        problems += [_ungranted(manifest, gate, tag, reasons) for tag in missing]
    return verified, problems


def flow_policy(manifest: Manifest, now: datetime | None = None) -> FlowPolicy:
    """Prove the flows, verify the grants, ask the assertions, write the policy document.

    Raises ApplianceError (exit code 1) with every illegal flow, missing grant, broken assertion of
    `policy.toml` and raw message at a gate; 2 if `policy.toml` is malformed. `now` is the time at
    which grants must hold, by default this moment.
    """
    graph = flow_graph(manifest)
    proof = prove(graph)
    problems = flow_problems(manifest, graph, proof)
    verified, more = verified_grants(manifest, now or datetime.now(UTC))
    asked = read_assertions(manifest.folder / ASSERTION_FILE)
    broken = asked.problems(graph) if asked else []
    untrusted = privilege_problems(manifest)
    if problems or more or broken or untrusted:
        raise ApplianceError([*problems, *more, *broken, *untrusted], NO)
    policy = policy_of(manifest, graph, verified)
    document = policy_document(policy)
    return FlowPolicy(
        policy=policy,
        proof=proof,
        document=document,
        digest=policy_digest(document),
        code=dict(policy.code),
        consents=consents_of(manifest, verified),
        assertions=asked.data if asked else None,
    )


def policy_of(
    manifest: Manifest, graph: FlowGraph, verified: Mapping[str, tuple[grants.SignedGrant, ...]]
) -> Policy:
    """The policy of a manifest with the grants that were verified, whether it is legal or not."""
    return Policy(
        appliance=manifest.appliance.name,
        graph=graph,
        code=tuple(code_digests(manifest).items()),
        messages=tuple(
            Message(c.min_size, c.max_size, c.depth, c.kind, c.reply_max) for c in manifest.channels
        ),
        grants=tuple((name, tuple(g.digest for g in held)) for name, held in verified.items()),
    )


def consents_of(
    manifest: Manifest, verified: Mapping[str, tuple[grants.SignedGrant, ...]]
) -> dict[str, Consent]:
    """Who granted each gate, and until when the first of the grants runs."""
    names = {
        keys.key_digest(keys.read_public(manifest.folder / owner.key)): name
        for name, owner in manifest.owners.items()
    }
    return {
        gate: Consent(
            tuple(dict.fromkeys(names[signed.signer] for signed in held)),
            min(held, key=lambda signed: signed.grant.expires).grant.until(),
        )
        for gate, held in verified.items()
        if held
    }


def _verify(
    manifest: Manifest, path: Path, request: grants.Request, now: datetime
) -> tuple[grants.SignedGrant, set[str]]:
    """The verified grant, and the names of the owners whose key signed it."""
    try:
        with path.open("rb") as file:
            data = file.read(grants.MAX_BYTES + 1)
    except OSError as error:
        raise grants.GrantError((error.strerror or "cannot be read").lower()) from error
    claimed = grants.read(data).signer
    signers = {}
    for name, owner in manifest.owners.items():
        key = keys.read_public(manifest.folder / owner.key)
        if keys.key_digest(key) == claimed:
            signers[name] = key
    if not signers:
        raise grants.GrantError("no owner in this manifest has the key that signed it")
    signed = grants.verify(data, next(iter(signers.values())), request, now)
    return signed, set(signers)


def _ungranted(manifest: Manifest, gate: Gate, tag: str, reasons: list[str]) -> Problem:
    owners = " or ".join(manifest.tags[tag].owner)
    says = manifest.tags[tag].says
    verb = "release" if gate.releases else "vouch for"
    why = f" ({'; '.join(reasons)})" if reasons else ""
    return manifest.problem(
        (*gate.key, "grant"),
        f"{gate.name} may not {verb} {tag} ({says}) without a grant of {owners}{why}",
        f"have {owners} run `coffret grant sign {manifest.folder} {gate.name} --key FILE`",
    )
