# SPDX-License-Identifier: Apache-2.0
"""Each attack with the defence that stops it, and what it does where that defence is missing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

RAM, FLASH = 0x2000_0000, 0x2100_0000
MARK = 0x0BAD_C0DE  # what the attacker stores
PULSE = 0x4553_4C50  # what the secret enclave keeps
UDS = 0x4455_4643  # how boot's secrets begin
PLANTED = 0x4770_4770  # bx lr, twice: in boot, and in the other slot
HANDOFF_MAGIC = 0x4F48_4643
MEMORY_FAULT = 1
DENIED, POINTER = -4, -5


class Effect(StrEnum):
    """What an attack comes to without its defence."""

    READS = "it reads the word"
    WRITES = "its word is there"
    GOES_ON = "it goes on"
    KILLS = "the board resets or is silent"
    FORGES = "it is recorded as the fault it named"
    ANSWERS = "the call answers"
    WAITS = "the call is taken, and waits"
    BREAKS = "its neighbour is broken"
    STARVES = "its neighbours get nothing"
    SPOILS = "its words lie in another's queue"


@dataclass(frozen=True, slots=True)
class Control:
    """An attack without its defence. `value` is the word read, the place written, or the answer."""

    attack: str
    defence: str
    effect: Effect
    value: int = 0


def _of(defence: str, effect: Effect, *attacks: str | tuple[str, int]) -> tuple[Control, ...]:
    pairs = [(attack, 0) if isinstance(attack, str) else attack for attack in attacks]
    return tuple(Control(attack, defence, effect, value) for attack, value in pairs)


CONTROLS = (
    *_of(
        "memory map: RAM",
        Effect.READS,
        ("read_other_task", PULSE),
        ("read_handoff", HANDOFF_MAGIC),
    ),
    *_of("memory map: RAM", Effect.GOES_ON, "read_monitor", "read_queue", "read_behind_the_window"),
    *_of(
        "memory map: RAM",
        Effect.WRITES,
        ("write_other_task", RAM + 0x1_2900),
        ("write_monitor", RAM + 0x900),
        ("write_behind_own_memory", RAM + 0x1_1000),
    ),
    *_of("memory map: RAM", Effect.GOES_ON, "write_across_the_end"),
    *_of("memory map: RAM", Effect.KILLS, "exhaust_own_memory", "recurse_for_ever"),
    *_of("memory map: RAM", Effect.GOES_ON, "wait_for_tick_with_stack_in_monitor"),
    *_of(
        "memory map: flash",
        Effect.READS,
        ("read_other_slot", PLANTED),
        ("read_secrets", UDS),
        ("read_store", 0xFFFF_FFFF),
    ),
    *_of("memory map: flash", Effect.WRITES, ("write_flash", FLASH + 0x8_0000)),
    *_of("memory map: flash", Effect.GOES_ON, "execute_flash"),
    *_of("memory map: code", Effect.GOES_ON, "write_own_code"),
    *_of("protection unit", Effect.READS, ("read_boot", PLANTED)),
    *_of("protection unit", Effect.WRITES, ("write_null", 0)),
    *_of("protection unit", Effect.GOES_ON, "execute_boot"),
    *_of("never executed", Effect.GOES_ON, "execute_own_memory", "execute_window"),
    *_of("grants", Effect.GOES_ON, "use_device_not_granted", "use_management_port"),
    *_of("unprivileged", Effect.READS, ("write_mpu", PULSE)),
    *_of("unprivileged", Effect.GOES_ON, "read_interrupt_controller"),
    *_of("unprivileged", Effect.WRITES, ("raise_privilege_then_write_monitor", RAM + 0x900)),
    *_of("unprivileged", Effect.KILLS, "mask_interrupts_and_spin"),
    *_of(
        "stack check",
        Effect.GOES_ON,
        "call_with_stack_in_monitor",
        "call_with_stack_in_window",
    ),
    *_of("stack check", Effect.BREAKS, "call_with_stack_in_other_task"),
    *_of(
        "containment",
        Effect.KILLS,
        "call_with_stack_at_null",
        "forge_exception_return",
        "undefined_instruction",
        "divide_by_zero",
        "leave_thumb_state",
        "breakpoint",
    ),
    *_of("mask of calls", Effect.GOES_ON, "unknown_call"),
    *_of("mask of calls", Effect.KILLS, "call_of_a_service"),
    *_of("own accusation", Effect.FORGES, ("claim_a_memory_fault", MEMORY_FAULT)),
    *_of("end of a life", Effect.GOES_ON, "accuse_itself", "out_of_memory"),
    *_of("slices", Effect.STARVES, "spin_for_long", "yield_for_long"),
    *_of("depth of a queue", Effect.SPOILS, "flood_a_channel"),
    *_of("silence", Effect.ANSWERS, ("learn_from_full_queue", -1)),
    *_of(
        "allegations",
        Effect.ANSWERS,
        ("send_from_monitor", 0),
        ("send_from_other_task", 0),
        ("send_across_own_end", 0),
        ("send_before_own_start", 0),
        ("send_from_null", 0),
        ("receive_into_monitor", -2),
        ("receive_into_image", -2),
        ("receive_into_device", -2),
        ("receive_with_huge_capacity", -2),
        ("log_from_monitor", 0),
        ("log_huge", 0),
        ("reply_from_monitor", 0),
        ("reply_from_other_task", 0),
        ("account_into_monitor", 0),
    ),
    *_of(
        "allegations",
        Effect.WAITS,
        "call_with_buffer_in_monitor",
        "call_with_buffer_in_other_task",
        "call_for_a_reply_across_own_end",
        "answer_into_monitor",
    ),
    # What the protection unit keeps from the monitor too is the monitor's own fault then.
    *_of(
        "allegations",
        Effect.KILLS,
        "send_from_secrets",
        "send_wrapping_round",
        "account_into_image",
    ),
    *_of(
        "own memory",
        Effect.WAITS,
        "call_with_buffer_in_window",
        "answer_into_window",
    ),
    *_of(
        "sizes",
        Effect.ANSWERS,
        ("send_too_long", 0),
        ("send_empty", 0),
        ("vouch_for_too_much", 0),
        ("reply_too_long", 0),
    ),
    *_of("sizes", Effect.WAITS, "call_with_huge_request"),
    *_of("sizes", Effect.KILLS, "send_huge"),
    *_of(
        "owners of channels",
        Effect.ANSWERS,
        ("send_on_other_channel", 0),
        ("send_on_huge_channel", 0),
        ("receive_other_channel", 4),
        ("wait_for_other_channel", 1 << 14),
        ("dropped_of_other_channel", 0),
    ),
    *_of("owners of channels", Effect.KILLS, "send_on_no_channel"),
    *_of("empty queues", Effect.ANSWERS, ("receive_nothing", 0)),
    *_of("integrity", Effect.ANSWERS, ("send_to_trusted", 0)),
    *_of(
        "ends of calls",
        Effect.WAITS,
        "call_on_other_channel",
        "call_on_a_queue",
        "answer_on_other_channel",
    ),
    *_of("ends of calls", Effect.ANSWERS, ("reply_on_other_channel", 0)),
    *_of("accounts by label", Effect.ANSWERS, ("account_of_secret", 0)),
    *_of("accounts by label", Effect.KILLS, "account_of_nobody"),
)

# What is no attack: it is allowed.
ALLOWED = ("send_to_trusted_by_vouching",)
