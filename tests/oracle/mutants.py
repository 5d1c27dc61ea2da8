# SPDX-License-Identifier: Apache-2.0
"""Mistakes of the kind that people make, each as one change of the text of the monitor's C."""

# ruff: noqa: E501 - one mistake a line

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.oracle.machine import Alter


@dataclass(frozen=True, slots=True)
class Mutant:
    """`before` stands exactly once in `file` of that folder of firmware/runtime."""

    name: str
    file: str
    before: str
    after: str
    folder: str = "monitor"

    @property
    def alter(self) -> Alter:
        """For `machine.build`."""

        def change(path: Path) -> str | None:
            if path.name != self.file or path.parent.name != self.folder:
                return None
            text = path.read_text(encoding="utf-8")
            count = text.count(self.before)
            assert count == 1, f"{self.name}: {self.before!r} stands {count} times in {self.file}"
            return text.replace(self.before, self.after)

        return change


MUTANTS = (
    # Labels.
    Mutant(
        "secrecy the wrong way round",
        "label.c",
        "from->word[i] & ~released & ~to->word[i]",
        "to->word[i] & ~released & ~from->word[i]",
    ),
    Mutant(
        "integrity the wrong way round",
        "label.c",
        "to->word[i] & ~(from->word[i] | vouched)",
        "from->word[i] & ~(to->word[i] | vouched)",
    ),
    Mutant(
        "only one word of secrecy",
        "label.c",
        "leaked |= from->word[i] & ~released",
        "leaked |= from->word[0] & ~released",
    ),
    Mutant(
        "only the last word of integrity",
        "label.c",
        "missing |= to->word[i]",
        "missing = to->word[i]",
    ),
    Mutant("a gate releases everything", "label.c", "gate->releases.word[i] : 0", "UINT32_MAX : 0"),
    Mutant("a gate releases nothing", "label.c", "gate->releases.word[i] : 0", "0 : 0"),
    Mutant(
        "a gate vouches for everything", "label.c", "gate->vouches.word[i] : 0", "UINT32_MAX : 0"
    ),
    Mutant(
        "what is vouched for counts as released",
        "label.c",
        "gate->releases.word[i] : 0",
        "gate->vouches.word[i] : 0",
    ),
    # Channels.
    Mutant("anybody's gate", "channel.c", "if ((*gate)->task != channel->from) {", "if (0) {"),
    Mutant(
        "sinks accept all",
        "channel.c",
        "return is_to_sink(channel) ? &coffret_sinks[channel->to & ~CHANNEL_TO_SINK].accepts",
        "static const struct label all = {{~0u, ~0u}};\n    return is_to_sink(channel) ? &all",
    ),
    Mutant(
        "integrity is not asked",
        "channel.c",
        "(is_to_sink(channel) ||\n            integrity",
        "(true || is_to_sink(channel) ||\n            integrity",
    ),
    Mutant(
        "anybody sends",
        "channel.c",
        "if (number >= coffret_counts.channels || coffret_channels[number].from != from) {",
        "if (number >= coffret_counts.channels) {",
    ),
    Mutant(
        "one channel too many",
        "channel.c",
        "int32_t channel_receive(uint8_t to, uint32_t number, uint32_t buffer, uint32_t capacity) {\n    if (number >= coffret_counts.channels ||",
        "int32_t channel_receive(uint8_t to, uint32_t number, uint32_t buffer, uint32_t capacity) {\n    if (",
    ),
    Mutant(
        "anybody receives",
        "channel.c",
        "int32_t channel_receive(uint8_t to, uint32_t number, uint32_t buffer, uint32_t capacity) {\n    if (number >= coffret_counts.channels || coffret_channels[number].to != to) {",
        "int32_t channel_receive(uint8_t to, uint32_t number, uint32_t buffer, uint32_t capacity) {\n    if (number >= coffret_counts.channels) {",
    ),
    Mutant(
        "an enclave reports faults itself",
        "channel.c",
        "if (channel->kind != CHANNEL_SEND && channel->kind != CHANNEL_EMIT) {",
        "if (channel->kind == CHANNEL_CALL) {",
    ),
    Mutant(
        "too short a message",
        "channel.c",
        "if (length < channel->min_size || length > channel->max_size) {",
        "if (length > channel->max_size) {",
    ),
    Mutant(
        "one byte too many",
        "channel.c",
        "if (length < channel->min_size || length > channel->max_size) {",
        "if (length < channel->min_size || length > channel->max_size + 1u) {",
    ),
    Mutant(
        "a queue of one more",
        "channel.c",
        "if (!is_silent(channel) && state->count >= channel->depth) {",
        "if (!is_silent(channel) && state->count > channel->depth) {",
    ),
    Mutant(
        "a silent queue of one less",
        "channel.c",
        "uint32_t full = state->count >= channel->depth;",
        "uint32_t full = state->count + 1u >= channel->depth;",
    ),
    Mutant(
        "the ring does not wrap",
        "channel.c",
        "queue_entry(channel, last - (entries & (0u - (uint32_t)(last >= entries))))",
        "queue_entry(channel, last)",
    ),
    Mutant(
        "the ring wraps too late",
        "channel.c",
        "state->head + 1u == entries_of(&coffret_channels[number]) ? 0",
        "state->head == entries_of(&coffret_channels[number]) ? 0",
    ),
    Mutant(
        "the first out is the last",
        "channel.c",
        "const uint32_t *entry = queue_entry(channel, state->head);",
        "const uint32_t *entry = queue_entry(channel, (state->head + state->count - 1u) % entries_of(channel));",
    ),
    Mutant(
        "a full queue is told upwards",
        "channel.c",
        "return channel->kind == CHANNEL_SEND &&\n           secrecy",
        "return channel->kind == CHANNEL_SEND ||\n           secrecy",
    ),
    Mutant(
        "a silent channel tells",
        "channel.c",
        "taken |= !tells;",
        "taken |= channel->kind == CHANNEL_SEND && !tells;",
    ),
    Mutant("a dropped message is not counted", "channel.c", "state->dropped += full;", ""),
    Mutant(
        "a message is lost that did not fit",
        "channel.c",
        "if (length > capacity) {\n        return ERR_SIZE; // it stays",
        "if (length > capacity) {\n        take_away(number);\n        return ERR_SIZE; // it stays",
    ),
    Mutant(
        "the receiver is not woken",
        "channel.c",
        "    } else if (receiver->wait == WAIT_CHANNELS && (receiver->channels",
        "    } else if (receiver->wait == WAIT_NONE && (receiver->channels",
    ),
    Mutant(
        "woken by any channel",
        "channel.c",
        "(receiver->channels & 1u << number) != 0) {",
        "receiver->channels != 0) {",
    ),
    Mutant("refusals are logged each time", "channel.c", "state->refused = 1;", ""),
    Mutant(
        "faults are told past the labels",
        "channel.c",
        "!is_to_sink(channel) && channel_may_send(number, &gate)) {",
        "!is_to_sink(channel)) {\n            gate = NULL;",
    ),
    Mutant(
        "faults are told of anybody",
        "channel.c",
        "if (channel->from == from && channel->kind == CHANNEL_FAULTS",
        "if (channel->kind == CHANNEL_FAULTS",
    ),
    # Gates.
    Mutant(
        "one message over the budget",
        "gate.c",
        "if (state->used < gate->budget) {",
        "if (state->used <= gate->budget) {",
    ),
    Mutant(
        "what is too long uses the budget",
        "gate.c",
        "if (length > gate->max_bytes) {",
        "if (length > gate->max_bytes) {\n        state->used++;",
    ),
    Mutant(
        "what found no room is released",
        "channel.c",
        "if (COFFRET_HAS_GATES && taken && gate != NULL) {",
        "if (gate != NULL) {",
    ),
    Mutant(
        "a release is not counted",
        "gate.c",
        "    state->used++;\n    state->released++;",
        "    state->released++;",
    ),
    Mutant(
        "a window never ends",
        "gate.c",
        "if (monitor_now() >= state->window_end) {",
        "if (state->window_end == 0) {",
    ),
    Mutant(
        "a window ends at once",
        "gate.c",
        "if (monitor_now() >= state->window_end) {",
        "if (true) {",
    ),
    Mutant("a gate of any size", "gate.c", "if (length > gate->max_bytes) {", "if (0) {"),
    Mutant(
        "releases are not logged",
        "gate.c",
        '    tell("released", &coffret_gates[number]);',
        "",
    ),
    Mutant(
        "the log tells of a gate behind which data is labelled",
        "gate.c",
        "    if (is_told(gate)) {",
        "    if (true) {",
    ),
    # Calls.
    Mutant(
        "a call needs one way only",
        "call.c",
        "labels_are_equal(&from->secrecy, &to->secrecy) && labels_are_equal(&from->integrity, &to->integrity)",
        "secrecy_may_flow(&from->secrecy, NULL, &to->secrecy) && "
        "integrity_may_flow(&from->integrity, NULL, &to->integrity)",
    ),
    Mutant("a call through a gate", "call.c", "channel->gate != CHANNEL_NO_GATE || ", ""),
    Mutant(
        "a reply of any length",
        "call.c",
        "if (length > channel->reply_max || length > caller->done) {",
        "if (length > caller->done) {",
    ),
    Mutant(
        "a reply longer than the buffer",
        "call.c",
        "if (length > channel->reply_max || length > caller->done) {",
        "if (length > channel->reply_max) {",
    ),
    Mutant(
        "a second reply",
        "call.c",
        "    channel_of(number)->owed = 0;\n    end_wait(channel->from",
        "    end_wait(channel->from",
    ),
    Mutant(
        "a request is taken twice",
        "call.c",
        "    channel_of(number)->count = 0;\n    channel_of(number)->owed = 1;",
        "    channel_of(number)->owed = 1;",
    ),
    Mutant(
        "a dead peer says nothing",
        "call.c",
        "if (state->owed || (for_ever && state->count != 0)) {",
        "if (for_ever && state->count != 0) {",
    ),
    Mutant(
        "a request dies with a life",
        "call.c",
        "if (state->owed || (for_ever && state->count != 0)) {",
        "if (state->owed || state->count != 0) {",
    ),
    Mutant(
        "a call to the dead",
        "call.c",
        "if (state_of(channel->to)->status == TASK_STOPPED) {",
        "if (0) {",
    ),
    Mutant(
        "anybody replies",
        "call.c",
        "if (!is_call(number) || coffret_channels[number].to != to) {\n        return ERR_DENIED;\n    }\n    return may_read",
        "if (!is_call(number)) {\n        return ERR_DENIED;\n    }\n    return may_read",
    ),
    Mutant(
        "an answer to any call",
        "call.c",
        "receiver->wait == WAIT_ANSWER && receiver->channels == 1u << number",
        "receiver->wait == WAIT_ANSWER",
    ),
    # Workers and lives.
    Mutant(
        "a message of a summoned worker is lost by a fault",
        "task.c",
        "    if (is_summoned(task) && how == END_EXIT) {\n        channel_forget_served(number);\n    }",
        "    channel_forget_served(number);",
    ),
    Mutant("a worker that takes nothing starts again at once", "task.c", " && !refuses", ""),
    Mutant(
        "a message of a summoned worker comes again",
        "task.c",
        "    if (is_summoned(task) && how == END_EXIT) {\n        channel_forget_served(number);\n    }",
        "",
    ),
    Mutant(
        "a summoned worker takes a second message",
        "worker.c",
        "is_summoned(task_of(task)) && state_of(task)->served != 0",
        "is_summoned(task_of(task)) && state_of(task)->served > 200u",
    ),
    Mutant(
        "two roles at once",
        "worker.c",
        "body->occupant == 0 && channels_readable",
        "channels_readable",
    ),
    Mutant("a worker without work", "worker.c", " && channels_readable(task, UINT32_MAX) != 0", ""),
    Mutant("a worker keeps its memory for ever", "worker.c", "    body->occupant = 0;\n", ""),
    Mutant(
        "the same role again and again",
        "worker.c",
        "for (uint8_t i = 1; i <= coffret_counts.tasks; i++) {",
        "for (uint8_t i = 0; i < coffret_counts.tasks; i++) {",
    ),
    Mutant(
        "the other roles are forgotten",
        "worker.c",
        "task_of(next)->body == task_of(task)->body",
        "task_of(next)->body != task_of(task)->body",
    ),
    Mutant(
        "a worker waits",
        "channel.c",
        "(readable == 0 && is_worker(task_of(to)))",
        "(readable == 1u << 31 && is_worker(task_of(to)))",
    ),
    Mutant(
        "restarts after each end",
        "task.c",
        "(task->restart == RESTART_ON_FAULT && how == END_FAULT)",
        "task->restart == RESTART_ON_FAULT",
    ),
    Mutant(
        "no restart after a fault",
        "task.c",
        "(task->restart == RESTART_ON_FAULT && how == END_FAULT)",
        "0",
    ),
    Mutant("the back-off does not grow", "task.c", "state->backoff_ms *= 2;", ""),
    Mutant("restarts are not counted", "task.c", "    state->restarts++;\n", ""),
    Mutant("anybody's account", "task.c", "if (number != asker && (", "if (number > 99u && ("),
    Mutant(
        "accounts the wrong way round",
        "task.c",
        "!secrecy_may_flow(&task->secrecy, NULL, &task_of(asker)->secrecy)",
        "!secrecy_may_flow(&task_of(asker)->secrecy, NULL, &task->secrecy)",
    ),
)
