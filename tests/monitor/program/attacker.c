// SPDX-License-Identifier: Apache-2.0
// The hostile enclave. It takes one order, misbehaves, and is started afresh for the next.
#include "attacks.h"
#include "program.h"

static uint32_t in_window[8];

#define ALIVE 0xA11FEu

static uint32_t load(uint32_t address) {
    return *(volatile uint32_t *)address;
}
static void store(uint32_t address) {
    *(volatile uint32_t *)address = 0xBADC0DEu;
}
static void jump(uint32_t address) {
    ((void (*)(void))(address | 1u))();
}
// A word that returns: bx lr, twice.
static void execute_ram(uint32_t *place) {
    *(volatile uint32_t *)place = 0x47704770u;
    jump((uint32_t)place);
}

static uint32_t recurse(volatile uint32_t *above) {
    volatile uint32_t frame[16];
    frame[0] = *above;
    return *above == 0xFFFFFFFFu ? 0 : recurse(frame) + frame[0]; // the word is never that
}

static void call_with_stack(uint32_t stack) {
    __asm__ volatile(
        "mov sp, %0   \n"
        "mov r12, #0  \n" // SYS_YIELD
        "svc 0        \n"
        "b   .        \n"
        ::"r"(stack) : "r12", "memory");
}
static void spin_with_stack(uint32_t stack) {
    __asm__ volatile("mov sp, %0\n b .\n" ::"r"(stack) : "memory");
}

// What it gets by it, if it lives.
static uint32_t misbehave(uint32_t attack) {
    uint32_t own = TASK_MEMORY(ATTACKER);
    switch (attack) {
        case read_other_task: return load(TASK_MEMORY(SECRET) + PULSE_PLACE);
        case write_other_task: store(TASK_MEMORY(LISTENER) + 0x900u); break;
        case read_monitor: return load(RAM(0x800u));
        case write_monitor: store(RAM(0x900u)); break;
        case read_queue: return load(RAM(0x8400u));
        case write_own_code: store((uint32_t)&attacker & ~3u); break;
        case read_other_slot: return load(FLASH(BOARD_SLOT_B_OFFSET));
        case write_flash: store(FLASH(BOARD_SLOT_B_OFFSET)); break;
        case read_secrets: return load(FLASH(BOARD_SECRETS_OFFSET));
        case read_store: return load(FLASH(BOARD_STORE_OFFSET));
        case read_handoff: return load(BOARD_HANDOFF_BASE);
        case read_boot: return load(BOARD_BOOT_BASE + 0x100u);
        case write_null: store(0); break;
        case write_behind_own_memory: store(own + 0x1000u); break;
        case write_across_the_end:
            __asm__ volatile("stm %0, {r0-r3}" ::"r"(own + 0xFF8u) : "memory");
            break;
        case exhaust_own_memory:
            for (uint32_t place = own + 0x800u;; place += 4u) {
                store(place);
            }
        case read_behind_the_window: return load(WINDOW + WINDOW_SIZE);
        case use_device_not_granted: store(GPIO0); break;
        case use_management_port: return load(BOARD_PORT_BASE);
        case write_mpu: // off with it, and then
            store(0xE000ED94u);
            return load(TASK_MEMORY(SECRET) + PULSE_PLACE);
        case read_interrupt_controller: return load(0xE000E100u);
        case execute_own_memory: execute_ram((uint32_t *)(own + 0x900u)); break;
        case execute_window: execute_ram(in_window); break;
        case execute_flash: jump(FLASH(BOARD_SLOT_B_OFFSET + 0x2000u)); break;
        case execute_boot: jump(BOARD_BOOT_BASE + 0x100u); break;
        case forge_exception_return: jump(0xFFFFFFF1u); break;
        case recurse_for_ever: recurse(in_window); break;
        case call_with_stack_in_monitor: call_with_stack(RAM(0xA00u)); break;
        case call_with_stack_in_other_task: call_with_stack(TASK_MEMORY(LISTENER) + 0x400u); break;
        case call_with_stack_in_window: call_with_stack(WINDOW + WINDOW_SIZE); break;
        case call_with_stack_at_null: call_with_stack(0); break;
        case wait_for_tick_with_stack_in_monitor: spin_with_stack(RAM(0xA00u)); break;
        case undefined_instruction: __asm__ volatile("udf #0"); break;
        case divide_by_zero:
            __asm__ volatile("mov r0, #1\n mov r1, #0\n udiv r0, r0, r1\n" ::: "r0", "r1");
            break;
        case leave_thumb_state: __asm__ volatile("bx %0" ::"r"(FLASH(0x200u))); break;
        case breakpoint: __asm__ volatile("bkpt #0xab"); break;
        case unknown_call: syscall3(200, 0, 0, 0); break;
        case call_of_a_service: syscall3(SYS_RESET, 0, 0, 0); break;
        case raise_privilege_then_write_monitor:
            __asm__ volatile("mov r0, #0\n msr control, r0\n isb\n" ::: "r0");
            store(RAM(0x900u));
            break;
        case mask_interrupts_and_spin: {
            __asm__ volatile("cpsid i\n cpsid f\n mov r0, #1\n msr basepri, r0\n msr primask, r0\n" ::: "r0");
            // With interrupts masked, time would stand still.
            uint64_t until = syscall_time() + 30000u;
            while (syscall_time() < until) {
            }
            store(0);
            break;
        }
        case accuse_itself: syscall3(SYS_FAULT, FAULT_EXCEPTION, 0, 0); break;
        case claim_a_memory_fault: syscall3(SYS_FAULT, FAULT_MEMORY, 0, 0); break;
        case out_of_memory: syscall3(SYS_FAULT, FAULT_OUT_OF_MEMORY, 0, 0); break;
        default: break;
    }
    return ALIVE;
}

static uint32_t chance(void) {
    static uint32_t state; // xorshift (Marsaglia, 2003); zero at the start of each life
    state = state != 0 ? state : 0x2545F491u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

// Addresses and numbers at which a check might be off by one or wrap; now and then any.
static uint32_t awkward(void) {
    static const uint32_t edges[] = {
        0, 1, 24, 25, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFCu, 0xFFFFFFFFu, TASK_MEMORY(ATTACKER) - 1u,
        TASK_MEMORY(ATTACKER), TASK_MEMORY(ATTACKER) + 0xFFCu, TASK_MEMORY(ATTACKER) + 0x1000u, WINDOW - 4u, WINDOW,
        WINDOW + 60u, WINDOW + WINDOW_SIZE, RAM(0x0u), RAM(0x900u), FLASH(0x0u), FLASH(0x1FCu), FLASH(0x200u), FLASH(BOARD_SECRETS_OFFSET),
        BOARD_HANDOFF_BASE, BOARD_PORT_BASE, 0xE000ED94u};
    uint32_t pick = chance() % (sizeof edges / sizeof *edges + 4u);
    return pick < sizeof edges / sizeof *edges ? edges[pick] + chance() % 3u : chance();
}

static uint32_t fuzz(void) {
    static const uint8_t calls[] = {SYS_YIELD, SYS_SEND, SYS_SEND, SYS_RECEIVE, SYS_RECEIVE, SYS_WAIT, SYS_TIME};
    uint32_t served = 0;
    for (uint32_t i = 0; i < FUZZ_CALLS; i++) {
        uint32_t call = calls[chance() % sizeof calls];
        uint32_t first = chance() % 2u ? chance() % (CHANNELS + 2u) : awkward();
        uint32_t second = call == SYS_WAIT ? chance() % 2u : awkward();
        served += syscall3(call, first, second, awkward()) >= 0;
    }
    return served;
}

static void send_on(uint32_t channel, uint32_t times) {
    for (uint32_t i = 0; i < times; i++) {
        send_word(channel, 0xF100Du);
    }
}

static int32_t probe(uint32_t number) {
    uint32_t count = 0, request[6];
    syscall3(SYS_RECEIVE, ASKING, (uint32_t)request, sizeof request);
    send_on(LAUNDER, 5);
#define PROBE_CALL(name, call, a, b, c, expected) \
    if (count++ == number) {                      \
        return syscall3(call, a, b, c);           \
    }
    PROBE_LIST(PROBE_CALL)
#undef PROBE_CALL
    return 1;
}

// Some hundreds of milliseconds.
static void spin_for_long(void) {
    for (volatile uint32_t i = 0; i < 1000000u; i++) {
    }
}
static void yield_for_long(void) {
    for (uint32_t i = 0; i < 30000u; i++) {
        syscall3(SYS_YIELD, 0, 0, 0);
    }
}
static void flood_a_channel(void) {
    send_on(FLOODED, 20000u);
}

static void be_a_nuisance(uint32_t number) {
    uint32_t count = 0;
#define NUISANCE_BE(name)     \
    if (count++ == number) {  \
        name();               \
    }
    NUISANCE_LIST(NUISANCE_BE)
#undef NUISANCE_BE
}

void attacker(const struct task *self) {
    // What a life before this one left in memory must be gone.
    uint32_t *heap = (uint32_t *)self->heap_base;
    uint32_t remains = in_window[0] | in_window[7];
    for (uint32_t i = 0; i < self->heap_size / 4u; i++) {
        remains |= heap[i];
        heap[i] = 0x5EC12E7u;
    }
    in_window[0] = in_window[7] = 0x5EC12E7u;
    if (remains != 0) {
        send_word(RESULT, 0xD1127u); // dirty
    }
    for (;;) {
        uint32_t order;
        if (receive_word(COMMAND, &order, FOREVER) < 0) {
            continue;
        }
        if (order == FUZZ) {
            uint32_t served = fuzz();
            while (send_word(RESULT, 0xF0000000u | served) == ERR_FULL) {
                sleep_ms(1);
            }
        } else if (order < PROBES) {
            send_word(RESULT, misbehave(order));
        } else if (order < NUISANCES) {
            send_word(RESULT, (uint32_t)probe(order - PROBES));
        } else if (order < FOREIGN_CALLS) {
            be_a_nuisance(order - NUISANCES);
            send_word(RESULT, ALIVE);
        } else {
            send_word(RESULT, (uint32_t)syscall3(order - FOREIGN_CALLS, 0, 0, 0));
        }
    }
}
