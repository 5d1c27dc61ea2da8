# SPDX-License-Identifier: Apache-2.0
"""The monitor's defences, each with the change of its text that takes it away."""

# ruff: noqa: E501 - one text of the monitor a line

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Change:
    """`before` stands exactly once in the file of that name."""

    file: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Defence:
    """What stops an attack. Where two things stop it, both are taken away."""

    says: str
    changes: tuple[Change, ...]

    def alter(self, path: Path) -> str | None:
        """For `rig.build`: the text without the defence, None if it is another file's."""
        changes = [change for change in self.changes if change.file == path.name]
        if not changes:
            return None
        text = path.read_text(encoding="utf-8")
        for change in changes:
            count = text.count(change.before)
            assert count == 1, f"{change.before!r} stands {count} times in {path.name}"
            text = text.replace(change.before, change.after)
        return text


def _opened(region: str) -> Change:
    """The region of core_protection.c with full access."""
    return Change(
        "core_protection.c",
        f"mpu_set_region({region}_RBAR, {region}_RASR)",
        f"mpu_set_region({region}_RBAR, ({region}_RASR & ~(7u << 24 | 1u << 28)) | 3u << 24)",
    )


def _always(function: str, file: str = "allegation.c") -> Change:
    return Change(file, f"{function} {{\n", f"{function} {{\n    return true;\n")


_RAM_OPEN = Change(
    "core_protection.c",
    "mpu_set_region(BOARD_MPU_RAM_RBAR, BOARD_MPU_RAM_RASR)",
    "mpu_set_region(BOARD_MPU_RAM_RBAR, BOARD_MPU_RAM_RASR | 3u << 24)",
)
_ANY_STACK = Change(
    "syscalls.c",
    "if (!core_frame_inside(context, task->memory_base, task->memory_size)) {",
    "if (0) {",
)
_ANY_POINTER = (
    _always("may_write(const struct task *task, uint32_t address, uint32_t length)"),
    _always("may_read(const struct task *task, uint32_t address, uint32_t length)"),
    Change(
        "call.c",
        "if (!is_own_memory(current_state()->task, buffer, length > capacity ? length : capacity)) {",
        "if (0) {",
    ),
    Change("call.c", "if (!is_own_memory(task, buffer, used)) {", "if (0) {"),
)
_ANY_NUMBER = tuple(
    Change(file, before, after)
    for file, before, after in (
        (
            "channel.c",
            "if (number >= coffret_counts.channels || coffret_channels[number].from != from) {",
            "if (0) {",
        ),
        (
            "channel.c",
            "uint32_t buffer, uint32_t capacity) {\n"
            "    if (number >= coffret_counts.channels || coffret_channels[number].to != to) {",
            "uint32_t buffer, uint32_t capacity) {\n    if (0) {",
        ),
    )
)

DEFENCES = {
    "memory map: RAM": Defence("RAM is the monitor's but for the enclave's own", (_RAM_OPEN,)),
    "memory map: flash": Defence(
        "flash is the monitor's, and nobody's where boot keeps its secrets",
        (
            _opened("BOARD_MPU_FLASH"),
            Change(
                "core_protection.c",
                "    mpu_set_region(BOARD_MPU_SECRETS_RBAR, BOARD_MPU_SECRETS_RASR);\n",
                "",
            ),
        ),
    ),
    "memory map: code": Defence("code is read-only", (_opened("BOARD_MPU_SLOT_A"),)),
    "protection unit": Defence(
        "what no region opens is closed",
        (Change("core_protection.c", "    mpu_enable();\n", ""),),
    ),
    "never executed": Defence(
        "RAM is never executed",
        (
            Change(
                "tables.c",
                '#include "regions.h"\n',
                '#include "regions.h"\n#undef RAM_ACCESS\n#define RAM_ACCESS (3u << 24 | 3u << 17)\n',
            ),
        ),
    ),
    "grants": Defence(
        "a device is open to whom it was granted",
        (
            Change(
                "tables.c",
                "const struct task coffret_tasks[] = {\n"
                '    TASK(ATTACKER, "attacker", attacker, RESTART_ON_FAULT, 1, 8, NO_TAG, NO_TAG),\n',
                "const struct task coffret_tasks[] = {\n"
                '    TASK(ATTACKER, "attacker", attacker, RESTART_ON_FAULT, 1, 8, NO_TAG, NO_TAG),\n'
                "    [ATTACKER].grants = {REGION(5u, 0x40000000u, 29u, DEVICE_ACCESS), NO_REGION(6u)},\n",
            ),
        ),
    ),
    "unprivileged": Defence(
        "enclaves run without privilege",
        (Change("core_context.c", "= CONTROL_UNPRIVILEGED", "= CONTROL_UNPRIVILEGED & ~1u"),),
    ),
    "stack check": Defence(
        "a call counts only from the caller's own stack", (_RAM_OPEN, _ANY_STACK)
    ),
    "containment": Defence(  # of the attacker, task 0, alone: another one faults in every run
        "a fault ends the enclave, not the board",
        (Change("fault.c", "if (number == NO_TASK) {", "if (number == NO_TASK || number == 0) {"),),
    ),
    "mask of calls": Defence(
        "an enclave makes the calls of its kind",
        (
            Change(
                "syscalls.c",
                "if (what >= SYS_COUNT || (task->calls & 1u << what) == 0) {",
                "if (0) {",
            ),
            Change(
                "syscalls.c",
                "    task_end(task, END_FAULT, FAULT_SYSCALL, 0);\n    return CALL_WAITS;",
                "    return 0;",
            ),
        ),
    ),
    "own accusation": Defence(
        "a task may only accuse itself of what the monitor cannot see",
        (
            Change(
                "syscalls.c",
                "accusation == FAULT_OUT_OF_MEMORY ? FAULT_OUT_OF_MEMORY : FAULT_EXCEPTION;",
                "(uint8_t)accusation;",
            ),
        ),
    ),
    "end of a life": Defence(
        "whoever reports a fault of its own has ended",
        (
            Change(
                "syscalls.c",
                "    task_end(task, how, reason, 0);\n    return CALL_WAITS;",
                "    (void)task, (void)how, (void)reason;\n    return 0;",
            ),
        ),
    ),
    "slices": Defence(
        "equals share the processor",
        (
            Change(
                "schedule.c",
                "    } else if (state->status == TASK_READY) {\n"
                "        give_up_slice(scheduler.current);\n",
                "    } else if (state->status == TASK_READY) {\n",
            ),
            Change("syscalls.c", "            give_up_slice(task);\n", ""),
        ),
    ),
    "depth of a queue": Defence(
        "a full queue takes no more",
        (
            Change(
                "channel.c",
                "if (!is_silent(channel) && state->count >= channel->depth) {",
                "if (0) {",
            ),
            Change(
                "channel.c", "uint32_t full = state->count >= channel->depth;", "uint32_t full = 0;"
            ),
        ),
    ),
    "silence": Defence(
        "that a queue is full is told only along a legal flow",
        (
            Change(
                "channel.c",
                "    return channel->kind == CHANNEL_SEND &&\n"
                "           secrecy_may_flow(secrecy_of_target(channel), NULL, "
                "&task_of(channel->from)->secrecy);",
                "    (void)channel;\n    return true;",
            ),
        ),
    ),
    "allegations": Defence("a pointer counts only into the caller's own memory", _ANY_POINTER),
    "own memory": Defence(
        "a call that waits keeps no pointer into the window",
        (
            Change("call.c", "!is_own_memory(current_state()", "!may_write(current_state()"),
            Change("call.c", "!is_own_memory(task, buffer", "!may_write(task, buffer"),
        ),
    ),
    "sizes": Defence(
        "a message has the size of its channel and of its gate",
        (
            Change(
                "channel.c",
                "if (length < channel->min_size || length > channel->max_size) {",
                "if (0) {",
            ),
            Change("gate.c", "if (length > gate->max_bytes) {", "if (0) {"),
            Change(
                "call.c",
                "if (length < channel->min_size || length > channel->max_size) {",
                "if (0) {",
            ),
            Change(
                "call.c", "if (length > channel->reply_max || length > caller->done) {", "if (0) {"
            ),
            *_ANY_POINTER,
        ),
    ),
    "owners of channels": Defence(
        "a channel serves its two ends",
        (
            *_ANY_NUMBER,
            Change(
                "channel.c",
                "if (coffret_channels[number].to == to && coffret_channel_states[number].count != 0) {",
                "if (coffret_channel_states[number].count != 0) {",
            ),
            Change(
                "channel.c",
                "int32_t channel_dropped(uint8_t to, uint32_t number) {\n"
                "    if (number >= coffret_counts.channels || coffret_channels[number].to != to) {",
                "int32_t channel_dropped(uint8_t to, uint32_t number) {\n    if (0) {",
            ),
        ),
    ),
    "empty queues": Defence(  # where the attacker, task 0, does not look for its orders
        "what has been read is gone",
        (
            Change(
                "channel.c",
                "    if (state->count == 0) {\n",
                "    if (state->count == 0 && (to != 0 || capacity == 4u)) {\n",
            ),
        ),
    ),
    "integrity": Defence(
        "who is not vouched for is not believed",
        (
            Change(
                "channel.c",
                "(is_to_sink(channel) ||\n            integrity",
                "(true || is_to_sink(channel) ||\n            integrity",
            ),
        ),
    ),
    "ends of calls": Defence(
        "a call serves its two ends, and has one reply",
        (
            Change("call.c", "if (!channel_of(number)->owed) {", "if (0) {"),
            Change(
                "call.c",
                "if (!is_call(number) || coffret_channels[number].from != from || "
                "is_to_sink(&coffret_channels[number])) {",
                "if (0) {",
            ),
            Change(
                "call.c",
                "int32_t call_reply(uint8_t to, uint32_t number, uint32_t reply, uint32_t length) {\n"
                "    if (!is_call(number) || coffret_channels[number].to != to) {",
                "int32_t call_reply(uint8_t to, uint32_t number, uint32_t reply, uint32_t length) {\n"
                "    if (0) {",
            ),
            Change(
                "call.c",
                "uint32_t buffer, uint32_t lengths) {\n"
                "    if (!is_call(number) || coffret_channels[number].to != to) {",
                "uint32_t buffer, uint32_t lengths) {\n    if (0) {",
            ),
        ),
    ),
    "accounts by label": Defence(
        "what an enclave used is told to those whose label covers it",
        (
            Change("task.c", "if (number >= coffret_counts.tasks) {", "if (0) {"),
            Change("task.c", "if (number != asker && (", "if (number > 999u && ("),
        ),
    ),
}
