// SPDX-License-Identifier: Apache-2.0
// Boot for the Pico on the emulated Cortex-M0+, with one instruction skipped, each that is executed in turn; or with the
// power cut at a step of a flash operation. Board
// initialisation, the flash driver and the certificate are done by the host at their entry points; everything else is
// boot's own code, instruction by instruction.
#include <stdlib.h>
#include <string.h>

#include "../../../flasher/pico/core/core.h"

#define FLASH_SIZE 0x200000u

enum outcome {
    OUT_OF_TIME = 0,            // it neither starts anything nor gives up: a watchdog's matter
    STARTED_A = 1,
    STARTED_B = 2,
    RECOVERY = 3,
    RESET = 4,                  // a fault of boot's, or its own wish
    AT_STOP = 5,
    POWER_CUT = 6
};

enum cut { CUT_BEFORE = 0, CUT_TORN = 1, CUT_AFTER = 2 };
#define SECTOR 4096u
#define NEVER 0xFFFFFFFFu

enum hook { HOOK_RETURN_1, HOOK_RETURN_2, HOOK_RETURN_3, HOOK_FLASH_ERASE, HOOK_FLASH_PROGRAM, HOOK_RECOVERY, HOOK_RESET, HOOKS };

// What Python knows of boot and of the board.
struct facts {
    uint32_t hooks[HOOKS];
    uint32_t start, stack;      // boot's vector table
    uint32_t slot_a, slot_b, slot_size;
    uint32_t store, store_size; // offsets in the flash
    uint32_t ram_used;          // bytes from the start of the RAM that boot uses
    struct check {
        uint32_t entry;         // of a function(key, digest, signature); 1 where there is none
        uint32_t key, signature; // bytes; a digest has 32
    } checks[2];
};

struct machine {
    struct core core;
    bool wild;                  // the flash was changed outside the record store
    bool off;                   // the power was cut
    uint32_t steps;             // of flash operations: a word programmed, a sector erased
    uint32_t cut_step, cut, noise;
    uint8_t ram[RAM_SIZE];
    uint8_t flash[FLASH_SIZE];
};

static uint8_t rom[ROM_SIZE];
static bool special[0x10000];   // by the lower bits of an address: a hook may be there
static uint8_t usb_ram[USB_RAM_SIZE];

static bool no_read(uint32_t address, uint32_t size, uint32_t *value) {
    (void)address;
    (void)size;
    *value = 0;
    return true;
}
static bool no_write(uint32_t address, uint32_t size, uint32_t value) {
    (void)address;
    (void)size;
    (void)value;
    return true;
}

static void attach(struct machine *machine) {
    machine->core.rom = rom;
    machine->core.flash = machine->flash;
    machine->core.flash_mask = FLASH_SIZE - 1u;
    machine->core.ram = machine->ram;
    machine->core.usb_ram = usb_ram;
    machine->core.read = no_read;
    machine->core.write = no_write;
    machine->core.code = NULL;
    forget_permissions(&machine->core);
}

void machine_cut(struct machine *machine, uint32_t step, uint32_t cut, uint32_t seed) {
    machine->cut_step = step;
    machine->cut = cut;
    machine->noise = seed | 1u;
}
uint32_t machine_steps(const struct machine *machine) { return machine->steps; }

size_t machine_size(void) { return sizeof(struct machine); }
uint8_t *machine_flash(struct machine *machine) { return machine->flash; }

void machine_reset(struct machine *machine, const struct facts *facts) {
    memset(&machine->core, 0, sizeof machine->core);
    memset(machine->ram, 0, sizeof machine->ram);
    attach(machine);
    core_reset(&machine->core);
    machine->core.xip = 1u;
    machine->core.r[13] = facts->stack;
    machine->core.r[15] = facts->start & ~1u;
    machine->core.thumb = true;
    machine->core.vector_table = facts->start; // not used: a fault ends the run
    machine->wild = false;
    machine->off = false;
    machine->steps = 0;
    machine->cut_step = NEVER;
    for (int hook = 0; hook < HOOKS; hook++) {
        special[facts->hooks[hook] >> 1 & 0xFFFFu] = true;
    }
}

static void machine_copy(struct machine *to, const struct machine *from, const struct facts *facts) {
    to->core = from->core;
    memcpy(to->ram, from->ram, facts->ram_used);
    memcpy(to->ram + RAM_SIZE - 0x4000u, from->ram + RAM_SIZE - 0x4000u, 0x4000u);
    memcpy(to->flash + facts->store, from->flash + facts->store, facts->store_size);
    if (to->wild || from->wild) {
        memcpy(to->flash, from->flash, FLASH_SIZE);
    }
    to->wild = from->wild;
    attach(to);
}

static void leave(struct core *core, uint32_t result) {
    core->r[0] = result;
    core->r[15] = core->r[14] & ~1u;
}

static void changed(struct machine *machine, const struct facts *facts, uint32_t offset, uint32_t length) {
    machine->wild = machine->wild || offset < facts->store || offset + length > facts->store + facts->store_size;
}

static uint32_t noise(struct machine *machine) { // xorshift
    machine->noise ^= machine->noise << 13;
    machine->noise ^= machine->noise >> 17;
    machine->noise ^= machine->noise << 5;
    return machine->noise;
}

// One step of an operation: `bytes` go from what they are to what `next` says, or part of the way.
static void flash_step(struct machine *machine, uint8_t *bytes, const uint8_t *next, uint32_t length) {
    bool here = machine->steps++ == machine->cut_step;
    if (machine->off || (here && machine->cut == CUT_BEFORE)) {
        machine->off = true;
        return;
    }
    for (uint32_t i = 0; i < length; i++) {
        // Each bit that was to change has, or has not.
        uint8_t mask = here && machine->cut == CUT_TORN ? (uint8_t)noise(machine) : 0xFFu;
        bytes[i] = (uint8_t)((bytes[i] & ~mask) | (next[i] & mask));
    }
    machine->off = here;
}

static void program(struct machine *machine, const struct facts *facts) {
    struct core *core = &machine->core;
    uint32_t offset = core->r[0], from = core->r[1], length = core->r[2];
    uint32_t result = offset > FLASH_SIZE || length > FLASH_SIZE - offset ? (uint32_t)-1 : 0;
    changed(machine, facts, offset, length);
    for (uint32_t at = 0; at < length && result == 0; at += 4u) {
        uint8_t next[4];
        uint32_t size = length - at < 4u ? length - at : 4u;
        for (uint32_t i = 0; i < size; i++) {
            uint32_t byte;
            if (!load(core, from + at + i, 1u, &byte)) {
                core->faulted = false;
                result = (uint32_t)-1;
                byte = 0xFFu;
            }
            next[i] = machine->flash[offset + at + i] & (uint8_t)byte;
        }
        flash_step(machine, machine->flash + offset + at, next, size);
    }
    leave(core, result);
}

static void erase(struct machine *machine, const struct facts *facts) {
    static const uint8_t erased[SECTOR] = {[0 ... SECTOR - 1] = 0xFF};
    struct core *core = &machine->core;
    uint32_t offset = core->r[0], length = core->r[1];
    if (offset > FLASH_SIZE || length > FLASH_SIZE - offset || (offset | length) % SECTOR != 0u) {
        leave(core, (uint32_t)-1);
        return;
    }
    changed(machine, facts, offset, length);
    for (uint32_t at = 0; at < length; at += SECTOR) {
        flash_step(machine, machine->flash + offset + at, erased, SECTOR);
    }
    leave(core, 0);
}

static uint32_t size_at(struct core *core) { // bytes of the next instruction
    uint32_t half;
    return fetch(core, core->r[15], &half) && half >> 11 >= 0x1Du ? 4u : 2u;
}

// One instruction, or one hook. False: the run is over.
static bool step(struct machine *machine, const struct facts *facts, enum outcome *outcome) {
    struct core *core = &machine->core;
    uint32_t at = core->r[15];
    if (machine->off) {
        *outcome = POWER_CUT;
        return false;
    }
    bool in_slot = at - facts->slot_a < facts->slot_size || at - facts->slot_b < facts->slot_size;
    if (in_slot && allowed(core, at, ACCESS_EXECUTE, is_privileged(core))) {
        *outcome = at - facts->slot_a < facts->slot_size ? STARTED_A : STARTED_B;
        return false;
    }
    for (int hook = special[at >> 1 & 0xFFFFu] ? 0 : HOOKS; hook < HOOKS; hook++) {
        if (at != facts->hooks[hook]) {
            continue;
        }
        switch (hook) {
        case HOOK_RETURN_1:
        case HOOK_RETURN_2:
        case HOOK_RETURN_3: leave(core, 0); return true;
        case HOOK_FLASH_ERASE: erase(machine, facts); return true;
        case HOOK_FLASH_PROGRAM: program(machine, facts); return true;
        case HOOK_RECOVERY: *outcome = RECOVERY; return false;
        default: *outcome = RESET; return false;
        }
    }
    uint32_t instruction;
    if (fetch(core, at, &instruction)) {
        core->r[15] = at + 2u;
        core->instructions++;
        execute(core, instruction);
    }
    if (core->faulted || !core->thumb || core->reset_wanted) {
        *outcome = RESET;
        return false;
    }
    return true;
}

enum outcome machine_run(struct machine *machine, const struct facts *facts, uint64_t limit, uint32_t stop,
                         uint32_t other_stop) {
    enum outcome outcome = OUT_OF_TIME;
    while (machine->core.instructions < limit) {
        if (machine->core.r[15] == stop || machine->core.r[15] == other_stop) {
            return AT_STOP;
        }
        if (!step(machine, facts, &outcome)) {
            return outcome;
        }
    }
    return OUT_OF_TIME;
}

void machine_skip(struct machine *machine) { machine->core.r[15] += size_at(&machine->core); }

// ---- the sweep ----

struct result {
    uint32_t place;             // of the skipped instruction
    uint32_t outcome;
};

// Code whose loops run long. `arithmetic`: of P-256. Skipped at in its first passes, arithmetic over the whole run and the
// rest once more for each place of boot that called it; code that is not heavy, in its first LIGHT_PASSES.
struct heavy { uint32_t start, end, arithmetic; };

#define PASSES 2u
#define LIGHT_PASSES 40u
#define SEEN 0x40000u
static struct { uint32_t at, from; uint32_t count; } seen[SEEN];

static const struct heavy *heavy_at(const struct heavy *heavy, uint32_t count, uint32_t at) {
    static uint32_t last;
    if (last < count && at - heavy[last].start < heavy[last].end - heavy[last].start) {
        return &heavy[last];
    }
    for (uint32_t i = 0; i < count; i++) {
        if (at - heavy[i].start < heavy[i].end - heavy[i].start) {
            last = i;
            return &heavy[i];
        }
    }
    return NULL;
}

// Whether this pass over `at`, called from `from`, is one of the first `most`.
static bool early(uint32_t at, uint32_t from, uint32_t most) {
    uint32_t place = (at * 2654435761u ^ from * 40503u) % SEEN;
    while (seen[place].at != 0u && (seen[place].at != at || seen[place].from != from)) {
        place = (place + 1u) % SEEN;
    }
    seen[place].at = at;
    seen[place].from = from;
    return seen[place].count < most && ++seen[place].count != 0u;
}

// The signature checks of the undisturbed run: p256_verify and lms_verify read a key, a digest and a signature, return a
// word, and have no other effect, so a run that asks the same question is given the answer.
#define CHECKS 2u
#define QUESTION (64u + 32u + 1452u)
#define ANSWERS 64u
static struct {
    uint8_t question[QUESTION];
    uint32_t answer;
} verified[ANSWERS];
static uint32_t answers;        // given so far; the oldest are forgotten

static const uint32_t *remembered(const uint8_t question[QUESTION]) {
    for (uint32_t i = 0; i < ANSWERS && i < answers; i++) {
        if (memcmp(question, verified[i].question, QUESTION) == 0) {
            return &verified[i].answer;
        }
    }
    return NULL;
}

// Which check begins at this address; CHECKS: none.
static uint32_t check_at(const struct facts *facts, uint32_t at) {
    uint32_t number = 0;
    while (number < CHECKS && facts->checks[number].entry != at) {
        number++;
    }
    return number;
}

static bool read_question(struct core *core, const struct check *check, uint8_t question[QUESTION]) {
    const uint32_t sizes[] = {check->key, 32u, check->signature};
    memset(question, 0, QUESTION);
    for (uint32_t i = 0; i < 3u; i++) {
        for (uint32_t j = 0; j < sizes[i]; j++) {
            uint32_t byte;
            if (!load(core, core->r[i] + j, 1u, &byte)) {
                core->faulted = false;
                return false;
            }
            *question++ = (uint8_t)byte;
        }
    }
    return true;
}

// How a run ends, in which nothing is skipped any more: a question that was asked before is not worked out again.
static enum outcome finish(struct machine *machine, const struct facts *facts, uint64_t limit, bool learn) {
    for (;;) {
        enum outcome outcome = machine_run(machine, facts, limit, facts->checks[0].entry, facts->checks[1].entry);
        if (outcome != AT_STOP) {
            return outcome;
        }
        uint8_t question[QUESTION];
        const struct check *check = &facts->checks[check_at(facts, machine->core.r[15])];
        if (!read_question(&machine->core, check, question)) {
            (void)step(machine, facts, &outcome);
            continue;
        }
        const uint32_t *answer = remembered(question);
        if (answer != NULL) {
            leave(&machine->core, *answer);
            continue;
        }
        (void)step(machine, facts, &outcome);
        uint32_t back = machine->core.r[14] & ~1u;
        if (learn && machine_run(machine, facts, limit, back, back) == AT_STOP) {
            memcpy(verified[answers % ANSWERS].question, question, QUESTION);
            verified[answers++ % ANSWERS].answer = machine->core.r[0];
        }
    }
}

// A start of a machine that was just switched on.
enum outcome machine_start(struct machine *machine, const struct facts *facts, uint64_t limit) {
    return finish(machine, facts, limit, true);
}

// Walks the undisturbed run of `golden` from where it stands, and at every `stride`-th instruction (from `phase`) tries
// what skipping it would do. Without `arithmetic`, without `lms`, that signature check is taken as a whole. Returns how many were tried; `keep` is called for each with the machine as it ended.
typedef void (*keeper)(const struct result *result, struct machine *machine);

uint64_t sweep(struct machine *golden, struct machine *scratch, const struct facts *facts, const struct heavy *heavy,
               uint32_t heavy_count, bool arithmetic, bool lms, uint64_t stride, uint64_t phase, uint64_t limit,
               keeper keep) {
    const bool inside[CHECKS] = {arithmetic, lms};
    uint64_t tried = 0, number = 0;
    uint32_t from = 0;
    memset(seen, 0, sizeof seen);
    scratch->wild = true;
    machine_copy(scratch, golden, facts);
    (void)machine_start(scratch, facts, limit); // learns what the undisturbed run asks
    for (;;) {
        uint32_t at = golden->core.r[15];
        const struct heavy *here = heavy_at(heavy, heavy_count, at);
        from = here == NULL ? at : from;
        bool sums = here != NULL && here->arithmetic != 0u;
        bool wanted = here == NULL ? early(at, 0, LIGHT_PASSES) : early(at, sums ? 1u : from, PASSES);
        wanted = wanted && (arithmetic || !sums);
        for (int hook = 0; hook < HOOKS; hook++) {
            wanted = wanted && at != facts->hooks[hook];
        }
        if (wanted && number++ % stride == phase) {
            struct result result = {.place = at};
            machine_copy(scratch, golden, facts);
            machine_skip(scratch);
            result.outcome = finish(scratch, facts, golden->core.instructions + limit, false);
            keep(&result, scratch);
            tried++;
        }
        enum outcome outcome;
        uint8_t question[QUESTION];
        const uint32_t *answer = NULL;
        uint32_t check = check_at(facts, at);
        if (check < CHECKS && !inside[check] && read_question(&golden->core, &facts->checks[check], question)) {
            answer = remembered(question);
        }
        if (answer != NULL) {
            leave(&golden->core, *answer);
        } else if (!step(golden, facts, &outcome)) {
            return tried;
        }
        if (golden->core.instructions > limit) {
            return tried;
        }
    }
}
