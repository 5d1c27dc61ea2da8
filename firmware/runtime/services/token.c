// SPDX-License-Identifier: Apache-2.0
// A token is longer than the memory the attester has, so it is made three times from the same facts: counted,
// because its length stands before it; hashed; and sent, piece by piece.
#include "services/token.h"

#include <string.h>

// Claims: RFC 9783 section 4; 10, 256, 261, 265, 267 and 268 are RFC 9711's; the negative ones are ours (private use).
enum claim {
    CLAIM_NONCE = 10,
    CLAIM_INSTANCE_ID = 256,
    CLAIM_UPTIME = 261,
    CLAIM_PROFILE = 265,
    CLAIM_BOOT_COUNT = 267,
    CLAIM_BOOT_SEED = 268,
    CLAIM_CLIENT_ID = 2394,
    CLAIM_LIFECYCLE = 2395,
    CLAIM_IMPLEMENTATION_ID = 2396,
    CLAIM_COMPONENTS = 2399,
    CLAIM_HEALTH = -75001,
    CLAIM_SUBJECT = -75002,
    CLAIM_PAIRWISE = -75003,
    CLAIM_SETTINGS = -75004
};
#define CLAIMS 11u              // one more when an enclave was asked for or to enrol a pairwise identity, one of settings
#define PAIRWISE_CLAIMS 7u
enum component_key { COMPONENT_TYPE = 1, COMPONENT_VALUE = 2, COMPONENT_VERSION = 4, COMPONENT_SIGNER = 5 };
enum health_key { HEALTH_LOG = 1, HEALTH_LOG_FIRST = 2, HEALTH_LOG_NEXT = 3, HEALTH_ENCLAVES = 4 };
enum pairwise_key { PAIRWISE_VERIFIER = 1, PAIRWISE_PUBLIC_KEY = 2 };
enum subject_key { SUBJECT_TYPE = 1, SUBJECT_SECRECY = 2, SUBJECT_INTEGRITY = 3, SUBJECT_GRANTS = 4, SUBJECT_GATES = 5 };

// Derived from RFC 9783's `tag:psacertified.org,2023:psa#tfm` (its section 5.2), because the instance id is of the DICE
// identity key and not of the key that signs, and because claims were added.
#define PROFILE "urn:uuid:8d3f6a52-5c0e-4b7d-9a41-c0ff2e7000a1"
// The same, less what tells one device from others with its image.
#define PAIRWISE_PROFILE "urn:uuid:0b5e1c34-27d9-4f0a-8c6e-c0ff2e7000a2"
#define CLIENT_NON_SECURE (-1)
#define COSE_SIGN1_TAG 18u
#define MEASURED_BY_BOOT 3u             // boot, appliance, policy
#define DIGEST_SIZE 32u
#define SIGNATURE_SIZE 64u

static const uint8_t protected_header[] = {0xA1, 0x01, 0x26}; // {1: -7}: ES256

// The identity that the token shows in place of the device's own; NULL: it is the device's own.
static const struct token_pairwise *shown(const struct token_maker *maker) {
    return TOKEN_HAS_PAIRWISE && maker->pairwise != NULL && !maker->pairwise->enrol ? maker->pairwise : NULL;
}

static void send(struct token_maker *maker, const void *data, size_t length) {
    if (length != 0 && !maker->send(data, length)) {
        maker->failed = true;
    }
}

static void begin(struct token_maker *maker, enum token_pass pass) {
    maker->pass = pass;
    maker->counted = 0;
    cbor_writer_start(&maker->writer, maker->piece, sizeof maker->piece);
}

// What is in `piece` goes where the pass wants it.
static void flush(struct token_maker *maker, struct sha256_context *hash) {
    size_t length = cbor_writer_length(&maker->writer);
    if (maker->writer.full) {
        maker->failed = true; // a text of the tables that is longer than any they may hold
    }
    maker->counted += length;
    if (maker->pass == TOKEN_HASH) {
        maker->services->sha256_update(hash, maker->piece, length);
    } else if (maker->pass == TOKEN_SEND) {
        send(maker, maker->piece, length);
    }
    cbor_writer_start(&maker->writer, maker->piece, sizeof maker->piece);
}

static void put_bytes(struct token_maker *maker, struct sha256_context *hash, int32_t key, const uint8_t *data, size_t length) {
    cbor_write_int(&maker->writer, key);
    cbor_write_bytes(&maker->writer, data, length);
    flush(maker, hash);
}

static void put_text(struct token_maker *maker, struct sha256_context *hash, int32_t key, const char *text) {
    cbor_write_int(&maker->writer, key);
    cbor_write_text(&maker->writer, text);
    flush(maker, hash);
}

static void put_uint(struct token_maker *maker, struct sha256_context *hash, int32_t key, uint32_t value) {
    cbor_write_int(&maker->writer, key);
    cbor_write_uint(&maker->writer, value);
    flush(maker, hash);
}

static void put_component(
    struct token_maker *maker, struct sha256_context *hash, const char *type, const uint8_t *digest, const char *version) {
    cbor_write_map(&maker->writer, version != NULL ? 4 : 3);
    put_text(maker, hash, COMPONENT_TYPE, type);
    put_bytes(maker, hash, COMPONENT_VALUE, digest, DIGEST_SIZE);
    if (version != NULL) {
        put_text(maker, hash, COMPONENT_VERSION, version);
    }
    put_bytes(maker, hash, COMPONENT_SIGNER, maker->facts->signer_id, DIGEST_SIZE);
}

// An enclave's version is the appliance's: it is not said again.
static void put_table_component(struct token_maker *maker, struct sha256_context *hash, uint32_t number) {
    const struct component *component = &maker->components[number];
    put_component(maker, hash, component->type, component->digest, number == 0 ? component->version : NULL);
}

// Digest and bounds of the log, then faults and restarts of each enclave, in the order of their components.
static void put_health(struct token_maker *maker, struct sha256_context *hash) {
    const struct attest_state *state = maker->state;
    cbor_write_int(&maker->writer, CLAIM_HEALTH);
    cbor_write_map(&maker->writer, 4);
    put_bytes(maker, hash, HEALTH_LOG, state->log_digest, sizeof state->log_digest);
    put_uint(maker, hash, HEALTH_LOG_FIRST, state->log_first);
    put_uint(maker, hash, HEALTH_LOG_NEXT, state->log_next);
    cbor_write_int(&maker->writer, HEALTH_ENCLAVES);
    cbor_write_array(&maker->writer, state->enclaves);
    for (uint32_t i = 0; i < state->enclaves; i++) {
        cbor_write_array(&maker->writer, 2);
        cbor_write_uint(&maker->writer, state->counts[i].faults);
        cbor_write_uint(&maker->writer, state->counts[i].restarts);
        flush(maker, hash);
    }
    flush(maker, hash);
}

// A label as the flow policy numbers its tags: tag n is bit n % 8 of byte n / 8.
static void put_label(struct token_maker *maker, struct sha256_context *hash, int32_t key, const struct label *label) {
    uint8_t bits[4u * COFFRET_LABEL_WORDS];
    for (uint32_t i = 0; i < sizeof bits; i++) {
        bits[i] = (uint8_t)(label->word[i / 4u] >> (8u * (i % 4u)));
    }
    put_bytes(maker, hash, key, bits, sizeof bits);
}

// One enclave: its component's type, labels, the memory beyond its own that it may touch, its gates and their budgets.
static void put_subject(struct token_maker *maker, struct sha256_context *hash) {
    const struct attest_state *state = maker->state;
    cbor_write_int(&maker->writer, CLAIM_SUBJECT);
    cbor_write_map(&maker->writer, 5);
    put_text(maker, hash, SUBJECT_TYPE, maker->components[state->subject].type);
    put_label(maker, hash, SUBJECT_SECRECY, &state->secrecy);
    put_label(maker, hash, SUBJECT_INTEGRITY, &state->integrity);
    cbor_write_int(&maker->writer, SUBJECT_GRANTS);
    cbor_write_array(&maker->writer, TASK_GRANTS);
    for (uint32_t i = 0; i < TASK_GRANTS; i++) {
        cbor_write_array(&maker->writer, 2);
        cbor_write_uint(&maker->writer, state->grants[i].rbar);
        cbor_write_uint(&maker->writer, state->grants[i].attributes);
        flush(maker, hash);
    }
    cbor_write_int(&maker->writer, SUBJECT_GATES);
    cbor_write_array(&maker->writer, state->gates);
    for (uint32_t i = 0; i < state->gates; i++) {
        cbor_write_array(&maker->writer, 3);
        cbor_write_uint(&maker->writer, state->gate[i].number);
        cbor_write_uint(&maker->writer, state->gate[i].used);
        cbor_write_uint(&maker->writer, state->gate[i].left_s);
        flush(maker, hash);
    }
    flush(maker, hash);
}

// The claims from the client id to the components: the same on each device with this image.
static void put_firmware(struct token_maker *maker, struct sha256_context *hash, const struct handoff *facts) {
    cbor_write_int(&maker->writer, CLAIM_CLIENT_ID);
    cbor_write_int(&maker->writer, CLIENT_NON_SECURE);
    cbor_write_int(&maker->writer, CLAIM_LIFECYCLE);
    cbor_write_uint(&maker->writer, facts->identity.lifecycle);
    put_bytes(maker, hash, CLAIM_IMPLEMENTATION_ID, facts->identity.implementation_id,
              sizeof facts->identity.implementation_id);
    cbor_write_int(&maker->writer, CLAIM_COMPONENTS);
    cbor_write_array(&maker->writer, MEASURED_BY_BOOT + maker->component_count);
    put_component(maker, hash, "boot", facts->identity.boot_digest, NULL);
    put_table_component(maker, hash, 0); // the runtime
    put_component(maker, hash, "appliance", facts->image_digest, maker->appliance_version);
    put_component(maker, hash, "policy", facts->policy_digest, NULL);
    for (uint32_t i = 1; i < maker->component_count; i++) {
        put_table_component(maker, hash, i);
    }
}

// For the operator: which key it is that this verifier will see.
static void put_enrolment(struct token_maker *maker, struct sha256_context *hash) {
    const struct token_pairwise *pairwise = maker->pairwise;
    cbor_write_int(&maker->writer, CLAIM_PAIRWISE);
    cbor_write_map(&maker->writer, 2);
    put_bytes(maker, hash, PAIRWISE_VERIFIER, pairwise->verifier, sizeof pairwise->verifier);
    put_bytes(maker, hash, PAIRWISE_PUBLIC_KEY, pairwise->public_key, sizeof pairwise->public_key);
}

// All that a pairwise token says: the nonce, that identity, and what is the same on each device with this image.
static void put_pairwise_claims(struct token_maker *maker, struct sha256_context *hash) {
    const struct token_pairwise *pairwise = maker->pairwise;
    cbor_write_map(&maker->writer, PAIRWISE_CLAIMS);
    put_bytes(maker, hash, CLAIM_NONCE, maker->nonce, maker->nonce_length);
    put_bytes(maker, hash, CLAIM_INSTANCE_ID, pairwise->instance_id, sizeof pairwise->instance_id);
    put_text(maker, hash, CLAIM_PROFILE, PAIRWISE_PROFILE);
    put_firmware(maker, hash, maker->facts);
}

// The token's payload; the order of the keys is the deterministic one (RFC 8949 section 4.2.1).
static void put_claims(struct token_maker *maker, struct sha256_context *hash) {
    const struct handoff *facts = maker->facts;
    bool enrol = TOKEN_HAS_PAIRWISE && maker->pairwise != NULL;
    bool settings = TOKEN_HAS_SETTINGS && maker->state->has_settings != 0;
    if (shown(maker) != NULL) {
        put_pairwise_claims(maker, hash);
        return;
    }
    cbor_write_map(&maker->writer, CLAIMS + (maker->state->subject != 0 || enrol) + settings);
    put_bytes(maker, hash, CLAIM_NONCE, maker->nonce, maker->nonce_length);
    put_bytes(maker, hash, CLAIM_INSTANCE_ID, facts->identity.instance_id, sizeof facts->identity.instance_id);
    put_uint(maker, hash, CLAIM_UPTIME, maker->state->uptime_s);
    put_text(maker, hash, CLAIM_PROFILE, PROFILE);
    put_uint(maker, hash, CLAIM_BOOT_COUNT, facts->boot_count);
    put_bytes(maker, hash, CLAIM_BOOT_SEED, facts->boot_seed, sizeof facts->boot_seed);
    put_firmware(maker, hash, facts);
    put_health(maker, hash);
    if (maker->state->subject != 0) {
        put_subject(maker, hash);
    }
    if (enrol) {
        put_enrolment(maker, hash);
    }
    if (settings) {
        put_bytes(maker, hash, CLAIM_SETTINGS, maker->state->settings_digest, sizeof maker->state->settings_digest);
    }
}

static void write_bytes_head(struct token_maker *maker, uint32_t length) {
    uint8_t head[5];
    struct cbor_writer writer;
    // A byte string of that length would begin with the same bytes as this one, which does not fit its buffer.
    cbor_writer_start(&writer, head, sizeof head);
    cbor_write_bytes_space(&writer, length);
    size_t size = (size_t)(writer.at - writer.start);
    memcpy(maker->writer.at, head, size);
    maker->writer.at += size;
}

static const uint8_t *signing_key(const struct token_maker *maker) {
    return shown(maker) != NULL ? shown(maker)->private_key : maker->facts->alias_private;
}

// Over Sig_structure (RFC 9052 section 4.4): ["Signature1", protected, external_aad, payload].
static bool sign(struct token_maker *maker, uint32_t payload_length, uint8_t signature[SIGNATURE_SIZE]) {
    uint8_t digest[DIGEST_SIZE];
    struct sha256_context hash;
    maker->services->sha256_init(&hash);
    begin(maker, TOKEN_HASH);
    cbor_write_array(&maker->writer, 4);
    cbor_write_text(&maker->writer, "Signature1");
    cbor_write_bytes(&maker->writer, protected_header, sizeof protected_header);
    cbor_write_bytes(&maker->writer, protected_header, 0);
    write_bytes_head(maker, payload_length);
    flush(maker, &hash);
    put_claims(maker, &hash);
    maker->services->sha256_finish(&hash, digest);
    return maker->services->p256_sign(signing_key(maker), digest, signature) == 0;
}

static uint32_t write_sign1_head(struct token_maker *maker, uint32_t payload_length) {
    cbor_write_tag(&maker->writer, COSE_SIGN1_TAG);
    cbor_write_array(&maker->writer, 4);
    cbor_write_bytes(&maker->writer, protected_header, sizeof protected_header);
    cbor_write_map(&maker->writer, 0);
    write_bytes_head(maker, payload_length);
    return (uint32_t)(maker->writer.at - maker->writer.start);
}

static void put_little_endian(struct token_maker *maker, uint32_t value) {
    *maker->writer.at++ = (uint8_t)value;
    *maker->writer.at++ = (uint8_t)(value >> 8);
}

static bool is_radio(const struct component *component) {
    static const char name[] = "radio";
    for (uint32_t i = 0; i < sizeof name; i++) {
        if (component->type[i] != name[i]) {
            return false; // nothing is read behind its end
        }
    }
    return true;
}

// The runtime, each enclave, and at most one more: the firmware that the radio must have.
static bool is_whole(const struct token_maker *maker) {
    uint32_t others = maker->component_count - 1u - maker->state->enclaves;
    return others == 0 || (others == 1u && is_radio(&maker->components[maker->component_count - 1u]));
}

bool token_make(struct token_maker *maker, const uint8_t *nonce, size_t nonce_length) {
    uint8_t signature[SIGNATURE_SIZE];
    const struct handoff *facts = maker->facts;
    maker->nonce = nonce;
    maker->nonce_length = nonce_length;
    maker->failed = facts->magic != HANDOFF_MAGIC || maker->services->magic != BOOT_SERVICES_MAGIC ||
                    facts->certificate_length > sizeof facts->certificate || maker->component_count == 0 ||
                    maker->state->enclaves > ATTEST_ENCLAVES || !is_whole(maker) || maker->state->gates > ATTEST_GATES ||
                    maker->state->subject > maker->state->enclaves;
    if (maker->failed) {
        return false;
    }
    begin(maker, TOKEN_COUNT);
    put_claims(maker, NULL);
    uint32_t payload_length = maker->counted;
    uint32_t head_length = write_sign1_head(maker, payload_length);
    if (!sign(maker, payload_length, signature)) {
        return false;
    }
    begin(maker, TOKEN_SEND);
    put_little_endian(maker, head_length + payload_length + 2u + SIGNATURE_SIZE); // the signature's own head: 58 40
    // The certificate names the device's keys.
    uint32_t certificate_length = shown(maker) != NULL ? 0u : facts->certificate_length;
    put_little_endian(maker, certificate_length);
    write_sign1_head(maker, payload_length);
    flush(maker, NULL);
    put_claims(maker, NULL);
    cbor_write_bytes(&maker->writer, signature, sizeof signature);
    flush(maker, NULL);
    send(maker, facts->certificate, certificate_length);
    return !maker->failed;
}
