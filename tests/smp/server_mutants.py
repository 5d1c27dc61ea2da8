# SPDX-License-Identifier: Apache-2.0
"""Mistakes of the kind that people make, each as one change of the text of the SMP server's C."""

# ruff: noqa: E501 - one mistake a line

from __future__ import annotations

from tests.oracle.mutants import Mutant


def server(name: str, before: str, after: str) -> Mutant:
    return Mutant(name, "server.c", before, after, "smp")


def upload(name: str, before: str, after: str) -> Mutant:
    return Mutant(name, "upload.c", before, after, "smp")


def image(name: str, before: str, after: str) -> Mutant:
    return Mutant(name, "image.c", before, after, "smp")


# Seen from recovery and from the manager alike; looked for in recovery.
SHARED = (
    server("a header may say less than there is", "length - SMP_HEADER != length_of(request)", "length - SMP_HEADER < length_of(request)"),
    server("a header may say more than there is", "length - SMP_HEADER != length_of(request)", "length - SMP_HEADER > length_of(request)"),
    server("replies are served", "(operation != SMP_READ && operation != SMP_WRITE)", "operation > SMP_WRITE"),
    server("a reply has no room for its CRC", "- SMP_FRAME_HEAD - SMP_FRAME_CRC;", "- SMP_FRAME_HEAD;"),
    server("versions to come are served", "version > VERSION_1 ? (int)SMP_TOO_NEW", "version > VERSION ? (int)SMP_TOO_NEW"),
    server("the second version is told errors of the first", "(uint32_t)error, version == 0u", "(uint32_t)error, version <= VERSION_1"),
    server("a reply's version is what was asked", "(version != 0u ? VERSION_1 : 0) + operation", "version + operation"),
    server("a reply is shorter than 256 bytes", "answer[2] = (uint8_t)(size >> 8);", "answer[2] = 0;"),
    server("an error follows what did not fit", "cbor_writer_start(&reply, answer + SMP_HEADER, capacity);\n        write_error", "write_error"),
    server("another code for an overrun", "NEAREST(IMAGE_OVERRUN, SMP_INVALID)", "NEAREST(IMAGE_OVERRUN, SMP_BAD_STATE)"),
    server("an error names no group", 'smp_put_uint(reply, "group", group);', 'smp_put_uint(reply, "group", 0);'),
    upload("the same length is the same upload", "fields[FIELD_LENGTH].value == upload->now.length &&\n           memcmp(sha->data, upload->now.sha, sizeof upload->now.sha) == 0", "fields[FIELD_LENGTH].value == upload->now.length"),
    upload("the same hash is the same upload", "fields[FIELD_LENGTH].value == upload->now.length &&\n", ""),
    upload("a file without a hash is marked", "if (!upload->hashed || upload->now.written < MARK_EVERY) {", "if (upload->now.written < MARK_EVERY) {"),
    upload("nothing is ever marked", "if (!upload->hashed || upload->now.written < MARK_EVERY) {", "if (1) {"),
    upload("a mark stands where the host is", "uint32_t mark = upload->now.offset / MARK_EVERY * MARK_EVERY;", "uint32_t mark = upload->now.offset;"),
    upload("a mark outlives its upload", "save_mark(upload, 0, 0); // finished", "// finished"),
    upload("anybody's mark", "memcmp(&mark.length, &upload->now.length, MARK_NAME) != 0 ||\n", "\n"),
    upload("what was written before is not hashed", "server->services->sha256_update(&upload->hash, smp_slot_address(mark.slot), mark.written);", ""),
    upload("what was written before is erased", "upload->erased = mark.written;", ""),
    upload("more than the file", "fields[FIELD_DATA].length > upload->now.length - offset", "fields[FIELD_DATA].length > upload->now.length"),
    upload("one byte more than the file", "fields[FIELD_DATA].length > upload->now.length - offset", "fields[FIELD_DATA].length > upload->now.length - offset + 1u"),
    upload("a chunk that came before is taken again", "offset != upload->now.offset) {\n        return reply_offset", "offset > upload->now.offset) {\n        return reply_offset"),
    upload("erased only when it is too late", "while (upload->erased < upload->now.written + length) {", "while (upload->erased < upload->now.written) {"),
    upload("parts of a program unit", "length -= length % BOARD_FLASH_PROGRAM_SIZE; // the rest", "// the rest"),
    upload("without a hash, no check", "if (match || !upload->hashed) {", "if (match) {"),
    upload("a match without a look", 'smp_put_bool(reply, "match", match);', 'smp_put_bool(reply, "match", true);'),
    upload("the other slot is checked", "int error = smp_image_check(server, upload->now.slot);", "int error = smp_image_check(server, 1u - upload->now.slot);"),
    upload("a finished upload stays open", "upload->open = false;\n    save_mark", "save_mark"),
    upload("a hash of any length", "if (sha->present && sha->length != sizeof upload->now.sha) {", "if (0) {"),
    upload("any image number", "if (fields[FIELD_IMAGE].value > 1) {", "if (0) {"),
    upload("a file larger than its slot", "if (image_length > BOARD_SLOT_SIZE) {", "if (image_length > 2u * BOARD_SLOT_SIZE) {"),
    upload("no hint is read", "reason = slot_image_hint(head, head_length, limits.minimum_counter);", ""),
    upload("any slot address", "reason = REASON_SLOT_ADDRESS;\n        }\n        if (image_length", "reason = REASON_OK;\n        }\n        if (image_length"),
    image("a mark outlives an erase", "smp_mark_save(&nothing);", ""),
    image("an upload outlives an erase", "server->upload.open = false;", ""),
    image("a trial without a check", "error = smp_image_check(server, slot);\n        if (error == SMP_OK && !smp", "error = SMP_OK;\n        if (error == SMP_OK && !smp"),
    Mutant("what replaces a marked image is tried", "recovery.c", "state.pending = BOOT_SLOT_NONE;", "", "boot"),
)  # fmt: skip

# Only the manager has deltas, and a slot that runs.
MANAGERS = (
    upload("the slot need not be free", "int error = smp_slot_claim(slot);", "int error = smp_slot_claim(slot) * 0;"),
    upload("older versions are upgrades", "fields[FIELD_UPGRADE].value != 0 && !smp", "fields[FIELD_UPGRADE].value > 1 && !smp"),
    upload("a resumed delta has lost its place in the base", "upload->delta.cursor = mark.cursor;", ""),
    upload("a resumed delta begins with another's bytes", "upload->delta.gathered = 0;", ""),
    upload("a resumed delta makes it all again", "upload->delta.made = mark.written;", ""),
    upload("a delta is as long as its target", "upload->now.length = length;", "upload->now.length = image_length;"),
    upload("what a delta made is not compared", "memcmp(digest, wanted, sizeof digest) != 0) {", "0) {"),
    upload("a failed upload stays open", "upload->open = false;\n        return error;", "return error;"),
    upload("what a packet did not take is lost", "upload->now.offset += skipped + taken;", "upload->now.offset += length;"),
    image("an erase asks nobody", "int error = smp_slot_claim(slot);", "int error = smp_slot_claim(slot) * 0;"),
    image("what runs may be tried", "} else if (slot == smp_running_slot()) {", "} else if (0) {"),
    Mutant("a slot that waits for its trial is free", "manager.c", "if (state.pending == slot && (state.flags & BOOT_TRIED) == 0) {", "if (0) {", "services"),
    Mutant("what the board falls back to is free", "manager.c", "if (state.active == slot && server.services", "if (0 && server.services", "services"),
    Mutant("any slot is confirmed", "manager.c", "if (slot != BOOT_SLOT_NONE && slot != coffret_counts.slot) {", "if (0) {", "services"),
)  # fmt: skip
