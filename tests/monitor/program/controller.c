// SPDX-License-Identifier: Apache-2.0
// The service that orders each attack, watches what the monitor makes of it, and tells the host, one line a fact:
// `name value [value]`.
#include "coffret/handoff.h"
#include "coffret/section.h"
#include "orders.h"
#include "report.h"

static uint8_t buffer[1600] __attribute__((section(".manager.bss")));

// name reason-found reason-expected runs-again
static void attack(const char *name, uint32_t number, uint32_t expected) {
    struct outcome outcome = order_attack(number);
    if (outcome.was_dirty) {
        say("dirty", (int32_t)number); // the life after the attack before found something
    }
    if (outcome.survived) {
        say("survived", (int32_t)number);
    }
    put(name);
    put_number(outcome.reason);
    put_number((int32_t)expected);
    put_number(outcome.runs_again);
    end_line();
}

static int32_t ask_secret(uint32_t channel) {
    uint32_t word = 0x7FFFu;
    send_word(ASK_SECRET, channel);
    receive_word(SECRET_SAYS, &word, 200);
    return (int32_t)word;
}

static void probe_everything(void) {
    uint32_t number = 0;
#define PROBE_ASK(name, call, a, b, c, expected)         \
    put("probe " #name);                                 \
    put_number(order_probe(number++));                     \
    put_number(expected);                                \
    end_line();
    PROBE_LIST(PROBE_ASK)
#undef PROBE_ASK
}

static void attack_everything(void) {
#define ATTACK_ORDER(name, reason) attack("attack " #name, name, reason);
    ATTACKS(ATTACK_ORDER)
#undef ATTACK_ORDER
}

static void make_foreign_calls(void) {
    for (uint32_t call = 0; call < 32u; call++) {
        if ((coffret_tasks[ATTACKER].calls & 1u << call) == 0) {
            put("foreign_call");
            put_number((int32_t)call);
            attack("", FOREIGN_CALLS + call, FAULT_SYSCALL);
        }
    }
}

static void bear_nuisances(void) {
    uint32_t number = 0;
#define NUISANCE_ORDER(name) say("nuisance " #name, (int32_t)order_nuisance(number++));
    NUISANCE_LIST(NUISANCE_ORDER)
#undef NUISANCE_ORDER
}

static void fuzz(void) {
    uint32_t faults = info_of(ATTACKER).faults;
    uint32_t word = 0;
    send_word(COMMAND, FUZZ);
    while (word >> 28 != 0xFu && info_of(ATTACKER).faults == faults) {
        receive_word(RESULT, &word, 10); // what chance sent there before is dropped
    }
    say("fuzz faults", (int32_t)(info_of(ATTACKER).faults - faults));
    say("fuzz served", (int32_t)(word & 0xFFFFFFu));
}

static void check_flows(void) {
    say("flow secret_to_lower_enclave", ask_secret(SECRET_TO_LISTENER));
    say("flow secret_to_sink", ask_secret(SECRET_TO_SINK));
    say("flow others_gate", ask_secret(OTHERS_GATE));
    say("flow gate_of_wrong_tag", ask_secret(HALF_GATE));
    say("flow first_release", ask_secret(SECRET_GATE));
    say("flow second_release", ask_secret(SECRET_GATE));
    say("flow third_release", ask_secret(SECRET_GATE));
    sleep_ms(1010);
    say("flow release_in_next_window", ask_secret(SECRET_GATE));
}

// Pointers that are not the service's own, in the calls that only services have.
static void probe_service_calls(void) {
    uint32_t foreign = TASK_MEMORY(SECRET), monitor = RAM(0x800u), own = TASK_MEMORY(CONTROLLER);
    struct evidence_request request = {(const uint8_t *)own, 32, (uint8_t *)foreign, 16, 0};
    say("service port_write", syscall3(SYS_PORT_WRITE, monitor, 4, 0));
    say("service port_read", syscall3(SYS_PORT_READ, foreign, 4, 0));
    say("service program", syscall3(SYS_FLASH_PROGRAM, 0, foreign, 4));
    say("service store_get", syscall3(SYS_STORE_GET, 4, monitor, 4));
    say("service store_put", syscall3(SYS_STORE_PUT, 16, foreign, 4));
    say("service log_read", syscall3(SYS_LOG_READ, 0, monitor, 64));
    say("service task_info", syscall3(SYS_TASK_INFO, 0, foreign, 0));
    say("service gate_info", syscall3(SYS_GATE_INFO, 1, foreign, 0));
    say("service identity", syscall3(SYS_IDENTITY, foreign, 0, 0));
    say("service identity_in_image", syscall3(SYS_IDENTITY, FLASH(0x200u), 0, 0));
    say("service evidence", syscall3(SYS_EVIDENCE, foreign, 0, 0));
    say("service evidence_reply", syscall3(SYS_EVIDENCE, (uint32_t)&request, 0, 0));
    request = (struct evidence_request){(const uint8_t *)foreign, 32, (uint8_t *)own, 16, 0};
    say("service evidence_nonce", syscall3(SYS_EVIDENCE, (uint32_t)&request, 0, 0));
    say("service evidence_next", syscall3(SYS_EVIDENCE_NEXT, foreign, 64, 0));
    say("service evidence_done", syscall3(SYS_EVIDENCE_DONE, foreign, 64, 0));
    // What the keys of the store and the bounds of the slot deny.
    say("denied store_get_image_mac", syscall3(SYS_STORE_GET, 7, (uint32_t)buffer, 64));
    say("denied store_put_boot_state", syscall3(SYS_STORE_PUT, 1, own, 4));
    say("denied store_put_counter", syscall3(SYS_STORE_PUT, 2, own, 4));
    say("denied store_put_any_lifecycle", syscall3(SYS_STORE_PUT, 3, (uint32_t)"\0\x10", 2));
    say("denied store_put_large_setting", syscall3(SYS_STORE_PUT, 16, own, 129));
    say("denied store_put_large_endorsement", syscall3(SYS_STORE_PUT, 4, own, 1025));
    say("denied erase_behind_slot", syscall3(SYS_FLASH_ERASE, 0x80000, 0x1000, 0));
    say("denied erase_wrapping", syscall3(SYS_FLASH_ERASE, 0xFFF80000u, 0x1000, 0));
    say("denied program_store", syscall3(SYS_FLASH_PROGRAM, 0x80000, own, 4));
}

static void use_storage(void) {
    uint32_t word = 0xC0FFEEu;
    say("storage erase", syscall3(SYS_FLASH_ERASE, 0, 0x1000, 0));
    say("storage program", syscall3(SYS_FLASH_PROGRAM, 8, (uint32_t)&word, 4));
    say("storage put", syscall3(SYS_STORE_PUT, 4, (uint32_t)"endorsed", 8));
    say("storage get", syscall3(SYS_STORE_GET, 4, (uint32_t)buffer, 64));
    say("storage secure", syscall3(SYS_STORE_PUT, 3, (uint32_t)"\0\x30", 2));
    say("storage secure_again", syscall3(SYS_STORE_PUT, 3, (uint32_t)"\0\x30", 2));
    int32_t failed = 0;
    for (uint32_t i = 0; i < 200; i++) { // a bank has room for some sixty: the other one is begun several times
        buffer[0] = (uint8_t)i;
        failed += syscall3(SYS_STORE_PUT, 16, (uint32_t)buffer, 128) != 0;
    }
    buffer[0] = 0;
    say("storage put_often", failed);
    say("storage last_put", syscall3(SYS_STORE_GET, 16, (uint32_t)buffer, 128) == 128 ? buffer[0] : -1);
    say("storage mark_test", syscall3(SYS_MARK_TEST, 0, 0, 0));
    say("storage confirm", syscall3(SYS_CONFIRM, 0, 0, 0));
}

static void ask_evidence(void) {
    struct evidence_request request = {(const uint8_t *)"0123456789abcdef0123456789abcdef", 32, buffer, 64, 0};
    int32_t length = syscall3(SYS_EVIDENCE, (uint32_t)&request, 0, 0);
    say("evidence length", length);
    say("evidence first", buffer[0]); // the stand-in answers the nonce, each byte plus one
    request.capacity = 8;
    say("evidence too_long", syscall3(SYS_EVIDENCE, (uint32_t)&request, 0, 0));
    request.nonce_length = 31;
    say("evidence wrong_nonce", syscall3(SYS_EVIDENCE, (uint32_t)&request, 0, 0));
    request = (struct evidence_request){(const uint8_t *)"die", 32, buffer, 64, 0};
    request.nonce = (const uint8_t *)"!123456789abcdef0123456789abcdef";
    say("evidence attester_dies", syscall3(SYS_EVIDENCE, (uint32_t)&request, 0, 0));
    request.nonce = (const uint8_t *)"0123456789abcdef0123456789abcdef";
    say("evidence after_restart", syscall3(SYS_EVIDENCE, (uint32_t)&request, 0, 0));
    struct identity identity;
    say("identity call", syscall3(SYS_IDENTITY, (uint32_t)&identity, 0, 0));
    say("identity first", identity.instance_id[0]);
    say("identity lifecycle", identity.lifecycle);
}

static void ask_listener(void) {
    uint32_t words[3] = {0};
    send_word(ASK_LISTENER, 1);
    syscall3(SYS_WAIT, 1u << LISTENER_SAYS, 200, 0);
    syscall3(SYS_RECEIVE, LISTENER_SAYS, (uint32_t)words, sizeof words);
    say("listener received", (int32_t)words[0]);
    say("listener missed", (int32_t)words[1]);
    say("listener mixed", (int32_t)words[2]);
}

static void measure_time(void) {
    uint64_t before = syscall_time();
    sleep_ms(50);
    say("time slept_us", (int32_t)(syscall_time() - before));
    before = syscall_time();
    say("time timeout", syscall3(SYS_WAIT, 1u << RESULT, 20, 0));
    say("time timeout_us", (int32_t)(syscall_time() - before));
    before = syscall_time();
    say("time poll", syscall3(SYS_WAIT, 1u << RESULT, 0, 0));
    say("time port_timeout", syscall3(SYS_PORT_READ, (uint32_t)buffer, 16, 20));
    say("time port_timeout_us", (int32_t)(syscall_time() - before));
}

static void report_tasks(void) {
    for (uint32_t task = 0; task <= ATTESTER; task++) {
        struct task_info info = info_of(task);
        put("task ");
        put(coffret_tasks[task].name);
        put_number(info.state);
        put_number((int32_t)info.faults);
        put_number((int32_t)info.restarts);
        put_number(info.last_fault);
        put_number((int32_t)info.fault_address);
        put_number((int32_t)info.cpu_ms);
        end_line();
    }
}

static void report_log(void) {
    uint32_t from = 0;
    for (;;) {
        int32_t length = syscall3(SYS_LOG_READ, from, (uint32_t)buffer, sizeof buffer);
        if (length <= 0) {
            break;
        }
        for (int32_t at = 0; at < length;) {
            const struct log_entry *entry = (const struct log_entry *)(buffer + at);
            put("log");
            put_number((int32_t)entry->sequence);
            put_number(entry->task);
            put(" ");
            for (uint32_t i = 0; i < entry->length; i++) {
                char text[2] = {((const char *)(entry + 1))[i], 0};
                put(text);
            }
            from = entry->sequence + 1u;
            at += (int32_t)(sizeof *entry + (entry->length + 3u) / 4u * 4u);
            end_line();
        }
    }
}

static void echo_port(void) {
    say("ready", 1);
    uint32_t total = 0;
    while (total < 1000) {
        int32_t length = syscall3(SYS_PORT_READ, (uint32_t)buffer, 300, FOREVER);
        if (length <= 0) {
            break;
        }
        syscall3(SYS_PORT_WRITE, (uint32_t)buffer, (uint32_t)length, 0);
        total += (uint32_t)length;
    }
    put("\n");
    say("echoed", (int32_t)total);
}

static void observe_native(void) {
    uint32_t word = 0;
    receive_word(NATIVE_SAYS, &word, 200);
    say("native argument", (int32_t)word);
}

void controller(const struct task *self) {
    (void)self;
    observe_native();
    measure_time();
    check_flows();
    report_log();
    probe_everything();
    probe_service_calls();
    use_storage();
    ask_evidence();
    attack_everything();
    make_foreign_calls();
    bear_nuisances();
    fuzz();
    ask_secret(0xFFFFu);
    ask_listener();
    report_tasks();
    report_log();
    echo_port();
    say("done", 1);
    for (;;) {
        sleep_ms(1000);
    }
}
