// SPDX-License-Identifier: Apache-2.0
// The attester: the only task that can read the attestation key, which boot left in its memory. It answers a nonce
// with a PSA attestation token (RFC 9783) in COSE_Sign1 (RFC 9052), signed by boot's services, and boot's
// certificate of the key.
//
// A token is longer than the memory the attester has, so it is made three times from the same facts: counted,
// because its length stands before it; hashed; and sent, piece by piece.
#include <stdbool.h>
#include <string.h>

#include "board_config.h"
#include "coffret/boot_services.h"
#include "coffret/cbor.h"
#include "coffret/handoff.h"
#include "coffret/syscall.h"
#include "coffret/tables.h"

#define ATTESTER_BSS __attribute__((section(".attester.bss")))

// Claims (RFC 9783 section 4; 10, 256 and 265 are RFC 9711's) and the keys of a software component.
enum claim {
    CLAIM_NONCE = 10,
    CLAIM_INSTANCE_ID = 256,
    CLAIM_PROFILE = 265,
    CLAIM_BOOT_SEED = 268,
    CLAIM_CLIENT_ID = 2394,
    CLAIM_LIFECYCLE = 2395,
    CLAIM_IMPLEMENTATION_ID = 2396,
    CLAIM_COMPONENTS = 2399
};
#define CLAIMS 8u
enum component_key { COMPONENT_TYPE = 1, COMPONENT_VALUE = 2, COMPONENT_VERSION = 4, COMPONENT_SIGNER = 5, COMPONENT_METHOD = 6 };

#define PROFILE "tag:psacertified.org,2023:psa#tfm"
#define METHOD "sha-256"
#define CLIENT_NON_SECURE (-1)
#define COSE_SIGN1_TAG 18u
#define MEASURED_BY_BOOT 3u             // boot, appliance, policy
#define DIGEST_SIZE 32u
#define SIGNATURE_SIZE 64u
#define NONCE_MAX 64u
#define PIECE_SIZE 96u                  // the longest single item: a text of 64, a nonce of 64, with their heads

static const uint8_t protected_header[] = {0xA1, 0x01, 0x26}; // {1: -7}: ES256

extern const struct handoff __handoff;
static const struct boot_services *const services =
    (const struct boot_services *)(BOARD_BOOT_BASE + BOOT_SERVICES_OFFSET);

enum pass { COUNT, HASH, SEND };

static struct {
    uint8_t nonce[NONCE_MAX];
    uint32_t nonce_length;
    uint8_t piece[PIECE_SIZE];
    struct cbor_writer writer;          // over `piece`
    enum pass pass;
    uint32_t counted;                   // bytes since the pass began
    bool failed;
} work ATTESTER_BSS;

static void send(const void *data, size_t length) {
    if (length != 0 && syscall3(SYS_EVIDENCE_DONE, (uint32_t)data, length, EVIDENCE_MORE) != 0) {
        work.failed = true;
    }
}

static void begin(enum pass pass) {
    work.pass = pass;
    work.counted = 0;
    cbor_writer_start(&work.writer, work.piece, sizeof work.piece);
}

// What is in `piece` goes where the pass wants it.
static void flush(struct sha256_context *hash) {
    size_t length = cbor_writer_length(&work.writer);
    if (work.writer.full) {
        work.failed = true; // a text of the tables that is longer than any they may hold
    }
    work.counted += length;
    if (work.pass == HASH) {
        services->sha256_update(hash, work.piece, length);
    } else if (work.pass == SEND) {
        send(work.piece, length);
    }
    cbor_writer_start(&work.writer, work.piece, sizeof work.piece);
}

static void put_bytes(struct sha256_context *hash, int32_t key, const uint8_t *data, size_t length) {
    cbor_write_int(&work.writer, key);
    cbor_write_bytes(&work.writer, data, length);
    flush(hash);
}

static void put_text(struct sha256_context *hash, int32_t key, const char *text) {
    cbor_write_int(&work.writer, key);
    cbor_write_text(&work.writer, text);
    flush(hash);
}

static void put_component(struct sha256_context *hash, const char *type, const uint8_t *digest, const char *version) {
    cbor_write_map(&work.writer, version != NULL ? 5 : 4);
    put_text(hash, COMPONENT_TYPE, type);
    put_bytes(hash, COMPONENT_VALUE, digest, DIGEST_SIZE);
    if (version != NULL) {
        put_text(hash, COMPONENT_VERSION, version);
    }
    put_bytes(hash, COMPONENT_SIGNER, __handoff.signer_id, DIGEST_SIZE);
    put_text(hash, COMPONENT_METHOD, METHOD);
}

static void put_table_component(struct sha256_context *hash, const struct component *component) {
    put_component(hash, component->type, component->digest, component->version);
}

// The token's payload; the order of the keys is the deterministic one (RFC 8949 section 4.2.1).
static void put_claims(struct sha256_context *hash) {
    cbor_write_map(&work.writer, CLAIMS);
    put_bytes(hash, CLAIM_NONCE, work.nonce, work.nonce_length);
    put_bytes(hash, CLAIM_INSTANCE_ID, __handoff.instance_id, sizeof __handoff.instance_id);
    put_text(hash, CLAIM_PROFILE, PROFILE);
    put_bytes(hash, CLAIM_BOOT_SEED, __handoff.boot_seed, sizeof __handoff.boot_seed);
    cbor_write_int(&work.writer, CLAIM_CLIENT_ID);
    cbor_write_int(&work.writer, CLIENT_NON_SECURE);
    cbor_write_int(&work.writer, CLAIM_LIFECYCLE);
    cbor_write_uint(&work.writer, __handoff.lifecycle);
    put_bytes(hash, CLAIM_IMPLEMENTATION_ID, __handoff.implementation_id, sizeof __handoff.implementation_id);
    cbor_write_int(&work.writer, CLAIM_COMPONENTS);
    cbor_write_array(&work.writer, MEASURED_BY_BOOT + coffret_counts.components);
    put_component(hash, "boot", __handoff.boot_digest, NULL);
    put_table_component(hash, &coffret_components[0]); // the runtime
    put_component(hash, "appliance", __handoff.image_digest, coffret_appliance_version);
    put_component(hash, "policy", __handoff.policy_digest, NULL);
    for (uint32_t i = 1; i < coffret_counts.components; i++) {
        put_table_component(hash, &coffret_components[i]);
    }
}

static void write_bytes_head(uint32_t length) {
    uint8_t head[5];
    struct cbor_writer writer;
    // A byte string of that length would begin with the same bytes as this one, which does not fit its buffer.
    cbor_writer_start(&writer, head, sizeof head);
    cbor_write_bytes_space(&writer, length);
    size_t size = (size_t)(writer.at - writer.start);
    memcpy(work.writer.at, head, size);
    work.writer.at += size;
}

// Over Sig_structure (RFC 9052 section 4.4): ["Signature1", protected, external_aad, payload].
static bool sign(uint32_t payload_length, uint8_t signature[SIGNATURE_SIZE]) {
    uint8_t digest[DIGEST_SIZE];
    struct sha256_context hash;
    services->sha256_init(&hash);
    begin(HASH);
    cbor_write_array(&work.writer, 4);
    cbor_write_text(&work.writer, "Signature1");
    cbor_write_bytes(&work.writer, protected_header, sizeof protected_header);
    cbor_write_bytes(&work.writer, protected_header, 0);
    write_bytes_head(payload_length);
    flush(&hash);
    put_claims(&hash);
    services->sha256_finish(&hash, digest);
    return services->p256_sign(__handoff.alias_private, digest, signature) == 0;
}

static uint32_t write_sign1_head(uint32_t payload_length) {
    cbor_write_tag(&work.writer, COSE_SIGN1_TAG);
    cbor_write_array(&work.writer, 4);
    cbor_write_bytes(&work.writer, protected_header, sizeof protected_header);
    cbor_write_map(&work.writer, 0);
    write_bytes_head(payload_length);
    return (uint32_t)(work.writer.at - work.writer.start);
}

static void put_little_endian(uint32_t value) {
    *work.writer.at++ = (uint8_t)value;
    *work.writer.at++ = (uint8_t)(value >> 8);
}

// The reply: two lengths, token, certificate.
static void answer(void) {
    uint8_t signature[SIGNATURE_SIZE];
    begin(COUNT);
    put_claims(NULL);
    uint32_t payload_length = work.counted;
    uint32_t head_length = write_sign1_head(payload_length);
    if (!sign(payload_length, signature)) {
        work.failed = true;
        return;
    }
    begin(SEND);
    put_little_endian(head_length + payload_length + 2u + SIGNATURE_SIZE); // the signature's own head: 58 40
    put_little_endian(__handoff.certificate_length);
    write_sign1_head(payload_length);
    flush(NULL);
    put_claims(NULL);
    cbor_write_bytes(&work.writer, signature, sizeof signature);
    flush(NULL);
    send(__handoff.certificate, __handoff.certificate_length);
}

_Noreturn void attester_main(const struct task *self);

_Noreturn void attester_main(const struct task *self) {
    (void)self;
    for (;;) {
        int32_t length = syscall3(SYS_EVIDENCE_NEXT, (uint32_t)work.nonce, sizeof work.nonce, 0);
        if (length <= 0) {
            continue;
        }
        work.nonce_length = (uint32_t)length;
        work.failed = __handoff.magic != HANDOFF_MAGIC || services->magic != BOOT_SERVICES_MAGIC ||
                      __handoff.certificate_length > sizeof __handoff.certificate;
        if (!work.failed) {
            answer();
        }
        // The end of the reply, or that there is none.
        syscall3(SYS_EVIDENCE_DONE, 0, 0, work.failed ? EVIDENCE_FAILED : EVIDENCE_COMPLETE);
    }
}
