# SPDX-License-Identifier: Apache-2.0
"""Mistakes that people make in the proof, the plan, the tables and the audit; one change each.

Imports nothing of the project: `altered_module` must come before whatever it alters.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_PROOF = "tests/enclaves/test_proof.py::test_"
_LABELS = "tests/enclaves/test_labels.py::test_"
_GRANTS = "tests/enclaves/test_grants.py::test_"
_WIDER = "tests/enclaves/test_widening.py::test_"
_PLAN = "tests/firmware/test_plan.py::test_"
_AUDIT = "tests/firmware/test_audit.py::test_"
_CHECK = "tests/firmware/test_check_verbs.py::test_"
_MPU = "tests/boards/test_mpu_words.py::test_"
_LINKED = f"{_AUDIT}the_image_as_linked_passes"
_ONLY_BY_GATE = f"{_PROOF}the_heart_diary_lets_data_leave_through_its_gate_only"
_NO_LEAK = f"{_PROOF}a_graph_the_proof_accepts_has_no_leaking_walk"


@dataclass(frozen=True, slots=True)
class CompilerMutant:
    """`before` stands exactly once in `module`; `killer` is the test that must not bear `after`."""

    name: str
    module: str
    before: str
    after: str
    killer: str

    @property
    def path(self) -> Path:
        """The module's file."""
        return REPOSITORY / f"{self.module.replace('.', '/')}.py"

    def altered(self, text: str) -> str:
        """The module's text with the mistake."""
        count = text.count(self.before)
        assert count == 1, f"{self.name}: {self.before!r} stands {count} times in {self.module}"
        return text.replace(self.before, self.after)


def _of(module: str, *rows: tuple[str, str, str, str]) -> tuple[CompilerMutant, ...]:
    return tuple(CompilerMutant(name, module, *rest) for name, *rest in rows)


COMPILER_MUTANTS = (
    *_of(
        "enclaves.labels",
        (
            "secrecy the wrong way round",
            "return sender - releases - receiver",
            "return receiver - releases - sender",
            _NO_LEAK,
        ),
        (
            "integrity the wrong way round",
            "return receiver - vouches - sender",
            "return sender - vouches - receiver",
            f"{_PROOF}who_trusts_must_hear_from_the_vouched_only",
        ),
        (
            "a gate releases every tag",
            "return sender - releases - receiver",
            "return EMPTY if releases else sender - receiver",
            _NO_LEAK,
        ),
        (
            "a bit too far",
            "bits |= 1 << numbers[tag]",
            "bits |= 2 << numbers[tag]",
            f"{_LABELS}masks_order_as_labels_do",
        ),
        (
            "the highest tag is lost",
            "range(bits.bit_length())",
            "range(bits.bit_length() - 1)",
            f"{_LABELS}masks_order_as_labels_do",
        ),
    ),
    *_of(
        "enclaves.graph",
        (
            "sinks accept all",
            "        if source.leaves:\n            return EMPTY",
            "        if source.leaves or target.leaves:\n            return EMPTY",
            _NO_LEAK,
        ),
        (
            "a gate vouches for what it releases",
            "return self.gate(edge.gate).releases if edge.gate else EMPTY",
            "return self.gate(edge.gate).vouches if edge.gate else EMPTY",
            _ONLY_BY_GATE,
        ),
        (
            "another enclave's gate",
            "if edge.gate is not None and gates[edge.gate].enclave != edge.source:",
            "if False:",
            f"{_PROOF}a_graph_that_does_not_hold_together_is_refused",
        ),
        (
            "an enclave makes what it does not see",
            "if not node.makes <= node.secrecy:",
            "if False:",
            f"{_PROOF}a_graph_that_does_not_hold_together_is_refused",
        ),
    ),
    *_of(
        "enclaves.proof",
        (
            "integrity is not decided",
            "for tag in sorted(graph.unvouched(edge)):",
            "for tag in sorted(graph.unvouched(edge))[:0]:",
            f"{_PROOF}who_trusts_must_hear_from_the_vouched_only",
        ),
        (
            "one leak an edge",
            "for tag in sorted(graph.leaked(edge)):",
            "for tag in sorted(graph.leaked(edge))[:1]:",
            f"{_PROOF}every_leaking_walk_has_a_violation_on_it",
        ),
        (
            "gates are no way out",
            "(gate is not None or tag in node.secrecy)",
            "tag in node.secrecy",
            _ONLY_BY_GATE,
        ),
        (
            "a longest path is blamed",
            "tail = min(exits, key=len",
            "tail = max(exits, key=len",
            f"{_PROOF}of_two_ways_out_the_shorter_is_blamed",
        ),
    ),
    *_of(
        "enclaves.reach",
        (
            "released is released for ever",
            "edge.gate if released else gate",
            "edge.gate if released else None",
            f"{_PROOF}the_heart_diary_lets_data_leave_through_its_gate_only",
        ),
        (
            "raw behind its own gate",
            "held = tag in target.secrecy and not target.leaves",
            "held = False",
            f"{_PROOF}what_a_gate_gives_to_one_who_may_hold_it_is_still_raw",
        ),
    ),
    *_of(
        "enclaves.grants",
        (
            "a grant never expires",
            "if now.timestamp() >= grant.expires:",
            "if False:",
            f"{_GRANTS}a_grant_expires_to_the_second",
        ),
        (
            "a grant holds a second longer",
            "if now.timestamp() >= grant.expires:",
            "if now.timestamp() > grant.expires:",
            f"{_GRANTS}a_grant_expires_to_the_second",
        ),
        (
            "a grant for any code",
            "if grant.code != request.code:",
            "if False:",
            f"{_GRANTS}a_grant_for_something_else_is_refused",
        ),
        (
            "a grant for any gate",
            "if grant.gate != request.gate:",
            "if False:",
            f"{_GRANTS}a_grant_for_something_else_is_refused",
        ),
        (
            "any signature",
            "        cose.verify1(data, key)\n",
            "        pass\n",
            f"{_GRANTS}another_key_is_refused_whatever_the_header_claims",
        ),
    ),
    *_of(
        "enclaves.budgets",
        (
            "as large as it likes",
            "            and other.size <= self.size\n",
            "",
            f"{_GRANTS}a_grant_for_something_else_is_refused",
        ),
        (
            "a shorter window",
            "other.window_s == self.window_s",
            "other.window_s <= self.window_s",
            f"{_GRANTS}a_grant_for_something_else_is_refused",
        ),
    ),
    *_of(
        "enclaves.widening",
        (
            "wider is narrower",
            "if not was.budget.covers(gate.budget):",
            "if not gate.budget.covers(was.budget):",
            f"{_WIDER}a_widening_is_told",
        ),
        (
            "labels the wrong way round",
            "for tag in sorted(node.secrecy - was.secrecy):",
            "for tag in sorted(was.secrecy - node.secrecy):",
            f"{_WIDER}a_widening_is_told",
        ),
        (
            "an owner more is not told",
            "if owner.key_digest not in keys:",
            "if owner.key_digest not in keys and not keys:",
            f"{_WIDER}a_widening_is_told",
        ),
    ),
    *_of(
        "firmware.appliance.flows",
        (
            "the way back of a call",
            '        if c.kind == "call":\n',
            '        if c.kind == "never":\n',
            f"{_CHECK}a_call_whose_reply_would_leak_is_refused",
        ),
        (
            "what it makes has no label",
            "secrecy = label((*enclave.sees, *enclave.makes))",
            "secrecy = label((*enclave.sees, *enclave.makes)[:1])",
            f"{_CHECK}a_good_appliance_is_said_in_one_line",
        ),
    ),
    *_of(
        "firmware.planning.plan",
        (
            "no room for what is dropped",
            "        depth += 1\n",
            "        depth += 0\n",
            f"{_PLAN}queues_have_room_for_every_message_and_its_length",
        ),
    ),
    *_of(
        "firmware.planning.planner",
        (
            "one message over the budget",
            "budget=gate.budget.messages,",
            "budget=gate.budget.messages + 1,",
            _LINKED,
        ),
        (
            "a gate's window in the place of its size",
            "max_bytes=gate.budget.size,",
            "max_bytes=gate.budget.window_s,",
            _LINKED,
        ),
        (
            "makes is no label",
            "secrecy=mask(label((*enclave.sees, *enclave.makes)), numbers),",
            "secrecy=mask(label(enclave.sees), numbers),",
            _LINKED,
        ),
        (
            "trust is not asked for",
            "integrity=mask(label((*enclave.trusts, *enclave.vouched)), numbers),",
            "integrity=mask(label(enclave.vouched), numbers),",
            _LINKED,
        ),
        (
            "no gate at all",
            "gate=NO_GATE if channel.gate is None else gates[channel.gate],",
            "gate=NO_GATE,",
            _LINKED,
        ),
        (
            "the sink accepts all",
            "mask(label(manifest.sinks[name].accepts), numbers))",
            "(1 << len(numbers)) - 1)",
            _LINKED,
        ),
        (
            "its own slot to write",
            "board.slot(1 - slot), Access.READ",
            "board.slot(1 - slot), Access.RAM",
            f"{_PLAN}the_manager_sees_the_other_slot_and_nobody_can_write_it",
        ),
        (
            "an enclave may reset the board",
            "calls=_calls(ENCLAVE_CALLS + (Call.DEVICE,)",
            "calls=_calls((*ENCLAVE_CALLS, Call.RESET) + (Call.DEVICE,)",
            f"{_PLAN}an_enclave_may_make_the_calls_of_what_the_appliance_has_and_no_service_call",
        ),
        (
            "the heap begins in the saved window",
            "heap = saved + sizes.window",
            "heap = saved",
            f"{_PLAN}memory_of_a_task_is_stack_then_window_then_heap_and_no_gap",
        ),
    ),
    *_of(
        "firmware.compiler.tables",
        (
            "one word of a label",
            "tuple(bits >> 32 * n & 0xFFFF_FFFF",
            "tuple((bits & 0xFFFF_FFFF) >> 32 * n & 0xFFFF_FFFF",
            "tests/monitor/test_reference_model.py",
        ),
        (
            "sender and receiver",
            '**{"from": channel.source},\n            to=channel.target,',
            '**{"from": channel.target},\n            to=channel.source,',
            _LINKED,
        ),
        (
            "a grant that nobody has",
            "if index < len(grants):",
            "if index < len(grants) and index:",
            _LINKED,
        ),
        (
            "the first tag names the second",
            '[*map(_text, plan.tags), "0"]',
            '[*map(_text, plan.tags[::-1]), "0"]',
            _LINKED,
        ),
    ),
    *_of(
        "firmware.image.audit",
        (
            "the audit asks nothing of the policy",
            "        differences += _against_policy(flows, policy_document)\n",
            "",
            f"{_AUDIT}another_policy_is_found_even_when_the_plan_agrees",
        ),
        (
            "the audit drops a capability",
            "for field in fields(expected):",
            'for field in [f for f in fields(expected) if f.name != "calls"]:',
            f"{_AUDIT}any_changed_byte_of_a_table_is_found",
        ),
        (
            "the audit looks at one row",
            "for index, pair in enumerate(zip(found, expected, strict=False)):",
            "for index, pair in enumerate(zip(found[:1], expected, strict=False)):",
            f"{_AUDIT}any_changed_byte_of_a_table_is_found",
        ),
        (
            "the audit does not look at memory",
            "    differences += _isolation(tables, plan)\n",
            "",
            f"{_AUDIT}memory_that_two_tasks_share_is_found_even_when_the_plan_says_so",
        ),
        (
            "memory may overlap by half",
            "if other != name and mine.base < theirs.end and theirs.base < mine.end:",
            "if other != name and mine.base < theirs.base and theirs.base < mine.end:",
            f"{_AUDIT}memory_that_two_tasks_share_is_found_even_when_the_plan_says_so",
        ),
        (
            "any other slot",
            "        slot=slot,\n        enclaves=",
            "        slot=tables.slot,\n        enclaves=",
            f"{_AUDIT}the_other_slot_is_not_this_one",
        ),
    ),
    *_of(
        "boards.mpu",
        (
            "RAM can be executed",
            "RAM = _RW_RW << 24 | _XN | _RAM\n    DEVICE",
            "RAM = _RW_RW << 24 | _RAM\n    DEVICE",
            f"{_MPU}access_bits_mean_what_the_name_says",
        ),
        (
            "code can be written",
            "CODE = _RO_RO << 24 | _FLASH",
            "CODE = _RW_RW << 24 | _FLASH",
            f"{_MPU}access_bits_mean_what_the_name_says",
        ),
        (
            "a region twice as large",
            "size_field = exponent - 1  #",
            "size_field = exponent  #",
            f"{_MPU}region_opens_exactly_the_range",
        ),
        (
            "one part too many",
            "disabled = 0xFF & ~(((1 << count) - 1) << first)",
            "disabled = 0xFF & ~(((2 << count) - 1) << first)",
            f"{_MPU}region_opens_exactly_the_range",
        ),
    ),
)
