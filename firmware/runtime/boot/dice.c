// SPDX-License-Identifier: Apache-2.0
// Device identity and certificate, after the Open Profile for DICE v2.6 with SHA-256 and P-256. docs/internals.md,
// section DICE, fixes every input; attest/dice.py is the oracle. Names are the specification's.
#include <string.h>

#include "board_config.h"
#include "boot.h"
#include "coffret/cbor.h"
#include "coffret/crypto.h"
#include "coffret/flash.h"
#include "coffret/section.h"

#define SECRETS_MAGIC "CFUDS1\0" // eight bytes with the NUL
#define UDS_SIZE 32u
#define ID_SIZE 20u
#define PROFILE_NAME "coffret.p256.sha256"

// Section "Salt".
BOOT_LOW static const uint8_t asym_salt[64] = {
    0x63, 0xB6, 0xA0, 0x4D, 0x2C, 0x07, 0x7F, 0xC1, 0x0F, 0x63, 0x9F, 0x21, 0xDA, 0x79, 0x38, 0x44,
    0x35, 0x6C, 0xC2, 0xB0, 0xB4, 0x41, 0xB3, 0xA7, 0x71, 0x24, 0x03, 0x5C, 0x03, 0xF8, 0xE1, 0xBE,
    0x60, 0x35, 0xD3, 0x1F, 0x28, 0x28, 0x21, 0xA7, 0x45, 0x0A, 0x02, 0x22, 0x2A, 0xB1, 0xB3, 0xCF,
    0xF1, 0x67, 0x9B, 0x05, 0xAB, 0x1C, 0xA5, 0xD1, 0xAF, 0xFB, 0x78, 0x9C, 0xCD, 0x2B, 0x0B, 0x3B};
BOOT_LOW static const uint8_t id_salt[64] = {
    0xDB, 0xDB, 0xAE, 0xBC, 0x80, 0x20, 0xDA, 0x9F, 0xF0, 0xDD, 0x5A, 0x24, 0xC8, 0x3A, 0xA5, 0xA5,
    0x42, 0x86, 0xDF, 0xC2, 0x63, 0x03, 0x1E, 0x32, 0x9B, 0x4D, 0xA1, 0x48, 0x43, 0x06, 0x59, 0xFE,
    0x62, 0xCD, 0xB5, 0xB7, 0xE1, 0xE0, 0x0F, 0xC6, 0x80, 0x30, 0x67, 0x11, 0xEB, 0x44, 0x4A, 0xF7,
    0x72, 0x09, 0x35, 0x94, 0x96, 0xFC, 0xFF, 0x1D, 0xB9, 0x52, 0x0B, 0xA5, 0x1C, 0x7B, 0x29, 0xEA};

// Labels of the CWT, section "CBOR CDI Certificates". The profile's own go down from -4670545.
enum cwt_label { CWT_ISSUER = 1, CWT_SUBJECT = 2, CWT_PROFILE_FIRST = -4670545 };
enum profile_label {
    PROFILE_CODE = 0,
    PROFILE_CONFIGURATION_HASH = 2,
    PROFILE_CONFIGURATION = 3,
    PROFILE_AUTHORITY = 4,
    PROFILE_MODE = 6,
    PROFILE_PUBLIC_KEY = 7,
    PROFILE_KEY_USAGE = 8,
    PROFILE_NAME_LABEL = 9
};

const uint8_t *dice_device_secret(void) {
    const uint8_t *secrets = flash_address(BOARD_SECRETS_OFFSET);
    if (memcmp(secrets, SECRETS_MAGIC, 8u) != 0) {
        return NULL;
    }
    const uint8_t *uds = secrets + 8;
    // A factory that stopped between magic and secret left an erased one.
    for (uint32_t i = 1; i < UDS_SIZE; i++) {
        if (uds[i] != uds[0]) {
            return uds;
        }
    }
    return NULL;
}

void dice_derive_secret(const uint8_t secret[32], const char *purpose, const void *salt, size_t salt_length,
                        uint8_t derived[32]) {
    hkdf(derived, 32u, secret, 32u, salt, salt_length, purpose);
}

// ASYM_KDF, its private half.
static int derive_private_key(const uint8_t secret[32], uint8_t private_key[32]) {
    uint8_t seed[32];
    dice_derive_secret(secret, "Key Pair", asym_salt, sizeof asym_salt, seed);
    int error = p256_private_from_seed(seed, private_key);
    wipe(seed, sizeof seed);
    return error;
}

// Instance id: UEID type 1 (RFC 9711 section 4.2.1), then SHA-256 of the uncompressed point.
static void name_instance(struct handoff *handoff) {
    struct sha256_context hash;
    sha256_init(&hash);
    sha256_update(&hash, (const uint8_t *)"\x04", 1u);
    sha256_update(&hash, handoff->identity.key, sizeof handoff->identity.key);
    sha256_finish(&hash, handoff->identity.instance_id + 1);
    handoff->identity.instance_id[0] = 1u;
}

// The identity with its private key, which the caller wipes.
static int identify(const uint8_t uds[32], struct handoff *handoff, uint8_t private_key[32]) {
    int error = derive_private_key(uds, private_key);
    if (error == 0) {
        error = p256_public_from(private_key, handoff->identity.key);
    }
    name_instance(handoff);
    return error;
}

BOOT_STEP int dice_identify(const uint8_t uds[32], struct handoff *handoff) {
    uint8_t private_key[32];
    int error = identify(uds, handoff, private_key);
    wipe(private_key, sizeof private_key);
    return error;
}

static void write_id(struct cbor_writer *writer, const uint8_t public_key[64]) {
    uint8_t id[ID_SIZE];
    char hex[2u * ID_SIZE];
    hkdf(id, sizeof id, public_key, 64u, id_salt, sizeof id_salt, "ID");
    id[0] &= 0x7Fu;
    for (uint32_t i = 0; i < sizeof hex; i++) {
        uint32_t digit = (uint32_t)id[i / 2u] >> (i % 2u == 0u ? 4 : 0) & 15u;
        hex[i] = (char)(digit < 10u ? '0' + digit : 'a' + digit - 10u);
    }
    cbor_write_text_length(writer, hex, sizeof hex);
}

static void write_labelled(struct cbor_writer *writer, int32_t label, const void *data, size_t length) {
    cbor_write_int(writer, label);
    cbor_write_bytes(writer, data, length);
}

static void write_claim(struct cbor_writer *writer, enum profile_label label, const void *data, size_t length) {
    write_labelled(writer, CWT_PROFILE_FIRST - (int32_t)label, data, length);
}

// {1: boot digest, 2: policy digest, 3: security counter, 4: board name}. Returns its length.
static size_t encode_configuration(const struct handoff *handoff, uint8_t *buffer, size_t capacity) {
    struct cbor_writer writer;
    cbor_writer_start(&writer, buffer, capacity);
    cbor_write_map(&writer, 4u);
    write_labelled(&writer, 1, handoff->identity.boot_digest, 32u);
    write_labelled(&writer, 2, handoff->policy_digest, 32u);
    cbor_write_uint(&writer, 3u);
    cbor_write_uint(&writer, handoff->security_counter);
    cbor_write_uint(&writer, 4u);
    cbor_write_text(&writer, BOARD_NAME);
    return cbor_writer_length(&writer);
}

// COSE_Key (RFC 9053 section 7.1.1): {kty: EC2, alg: ES256, key_ops: [verify], crv: P-256, x, y}.
static size_t encode_public_key(const uint8_t key[64], uint8_t *buffer, size_t capacity) {
    static const uint8_t head[] = {0xA6, 0x01, 0x02, 0x03, 0x26, 0x04, 0x81, 0x02, 0x20, 0x01};
    struct cbor_writer writer;
    memcpy(buffer, head, sizeof head);
    cbor_writer_start(&writer, buffer + sizeof head, capacity - sizeof head);
    write_labelled(&writer, -2, key, 32u);
    write_labelled(&writer, -3, key + 32, 32u);
    return sizeof head + cbor_writer_length(&writer);
}

struct inputs {
    uint8_t configuration[128];
    size_t configuration_length;
    uint8_t configuration_hash[32];
    uint8_t mode;
};

static void collect_inputs(const struct handoff *handoff, struct inputs *inputs) {
    inputs->configuration_length =
        encode_configuration(handoff, inputs->configuration, sizeof inputs->configuration);
    sha256(inputs->configuration, inputs->configuration_length, inputs->configuration_hash);
    inputs->mode = (handoff->identity.lifecycle & 0xFF00u) == 0x3000u ? 1u : 2u; // normal, debug
}

// CDI_Attest = KDF(32, UDS, H(code + configuration + authority + mode + hidden), "CDI_Attest"), hidden 64 zeros.
static void derive_cdi(const uint8_t uds[32], const struct handoff *handoff, const struct inputs *inputs,
                       uint8_t cdi[32]) {
    struct sha256_context hash;
    uint8_t digest[32] = {0};
    sha256_init(&hash);
    sha256_update(&hash, handoff->image_digest, 32u);
    sha256_update(&hash, inputs->configuration_hash, 32u);
    sha256_update(&hash, handoff->signer_id, 32u);
    sha256_update(&hash, &inputs->mode, 1u);
    sha256_update(&hash, digest, sizeof digest); // hidden: 64 zeros
    sha256_update(&hash, digest, sizeof digest);
    sha256_finish(&hash, digest);
    dice_derive_secret(uds, "CDI_Attest", digest, sizeof digest, cdi);
}

static size_t encode_claims(const struct handoff *handoff, const struct inputs *inputs, uint8_t *buffer,
                            size_t capacity) {
    struct cbor_writer writer;
    uint8_t key[96];
    cbor_writer_start(&writer, buffer, capacity);
    cbor_write_map(&writer, 10u);
    cbor_write_int(&writer, CWT_ISSUER);
    write_id(&writer, handoff->identity.key);
    cbor_write_int(&writer, CWT_SUBJECT);
    write_id(&writer, handoff->alias_public);
    write_claim(&writer, PROFILE_CODE, handoff->image_digest, 32u);
    write_claim(&writer, PROFILE_CONFIGURATION_HASH, inputs->configuration_hash, 32u);
    write_claim(&writer, PROFILE_CONFIGURATION, inputs->configuration, inputs->configuration_length);
    write_claim(&writer, PROFILE_AUTHORITY, handoff->signer_id, 32u);
    write_claim(&writer, PROFILE_MODE, &inputs->mode, 1u);
    write_claim(&writer, PROFILE_PUBLIC_KEY, key, encode_public_key(handoff->alias_public, key, sizeof key));
    write_claim(&writer, PROFILE_KEY_USAGE, "\x20", 1u); // keyCertSign
    cbor_write_int(&writer, CWT_PROFILE_FIRST - PROFILE_NAME_LABEL);
    cbor_write_text(&writer, PROFILE_NAME);
    return cbor_writer_length(&writer);
}

// The Sig_structure (RFC 9052 section 4.4) up to the payload's length: ["Signature1", << {alg: ES256} >>, h'', payload].
// The head of the payload's byte string is that of 256..65535 bytes, as ours always has.
static const uint8_t signature_head[] = {0x84, 0x6A, 'S', 'i',  'g',  'n',  'a',  't', 'u',
                                         'r',  'e',  '1', 0x43, 0xA1, 0x01, 0x26, 0x40, 0x59};
// COSE_Sign1 (RFC 9052 section 4.2) up to that byte string: an array of four, << {alg: ES256} >>, no unprotected headers.
static const uint8_t sign1_head[] = {0x84, 0x43, 0xA1, 0x01, 0x26, 0xA0};
#define BYTES_HEAD_SIZE 3u

// What room the certificate leaves for its payload.
#define PAYLOAD_MAX (HANDOFF_CERTIFICATE_MAX - sizeof sign1_head - BYTES_HEAD_SIZE - 2u - P256_SIGNATURE_SIZE)

// The slow way: two public keys and a signature. The alias' private key is in the handoff.
static int make_certificate(const uint8_t uds[32], const struct inputs *inputs, struct handoff *handoff) {
    static uint8_t to_sign[sizeof signature_head + 2u + PAYLOAD_MAX];
    static const uint8_t bytes_64[] = {0x58, 64};
    uint8_t *payload = to_sign + sizeof signature_head + 2u;
    uint8_t digest[32];
    uint8_t private_key[32];
    int error = identify(uds, handoff, private_key);
    if (error == 0) {
        error = p256_public_from(handoff->alias_private, handoff->alias_public);
    }
    size_t length = encode_claims(handoff, inputs, payload, PAYLOAD_MAX);
    memcpy(to_sign, signature_head, sizeof signature_head);
    payload[-2] = (uint8_t)(length >> 8);
    payload[-1] = (uint8_t)length;
    sha256(to_sign, (size_t)(payload - to_sign) + length, digest);

    uint8_t *certificate = handoff->certificate;
    memcpy(certificate, sign1_head, sizeof sign1_head);
    certificate += sizeof sign1_head;
    memcpy(certificate, payload - BYTES_HEAD_SIZE, BYTES_HEAD_SIZE + length);
    certificate += BYTES_HEAD_SIZE + length;
    memcpy(certificate, bytes_64, sizeof bytes_64);
    certificate += sizeof bytes_64;
    if (error == 0) {
        error = p256_sign(private_key, digest, certificate);
    }
    wipe(private_key, sizeof private_key);
    handoff->certificate_length = (uint16_t)(certificate + P256_SIGNATURE_SIZE - handoff->certificate);
    return length != 0u ? error : -1;
}

// What of the handoff is kept: the public keys, and the certificate with its length.
#define KEPT_START offsetof(struct handoff, identity.key)
#define KEPT_FIXED (offsetof(struct handoff, certificate) - KEPT_START)
#define MAC_SIZE 32u

// The copy is whole and this image's on this device if its MAC is right: the key comes from the CDI, and that from
// every input of the certificate.
static void mac_copy(const uint8_t key[32], const void *kept, size_t length, uint8_t mac[MAC_SIZE]) {
    struct hmac_context hmac;
    hmac_init(&hmac, key, 32u);
    hmac_update(&hmac, kept, length);
    hmac_finish(&hmac, mac);
}

static bool load_copy(const struct store *store, const uint8_t key[32], struct handoff *handoff) {
    size_t length;
    const uint8_t *record = store_find(store, STORE_CERTIFICATE, &length);
    if (record == NULL || length <= MAC_SIZE + KEPT_FIXED ||
        length > MAC_SIZE + KEPT_FIXED + HANDOFF_CERTIFICATE_MAX) {
        return false;
    }
    uint8_t mac[MAC_SIZE];
    mac_copy(key, record + MAC_SIZE, length - MAC_SIZE, mac);
    if (memory_compare(mac, record, MAC_SIZE) != MEMORY_EQUAL) {
        return false;
    }
    memcpy((uint8_t *)handoff + KEPT_START, record + MAC_SIZE, length - MAC_SIZE);
    name_instance(handoff);
    return true;
}

static void save_copy(struct store *store, const uint8_t key[32], const struct handoff *handoff) {
    static uint8_t record[MAC_SIZE + KEPT_FIXED + HANDOFF_CERTIFICATE_MAX];
    size_t length = KEPT_FIXED + handoff->certificate_length;
    memcpy(record + MAC_SIZE, (const uint8_t *)handoff + KEPT_START, length);
    mac_copy(key, record + MAC_SIZE, length, record);
    // Refused by the flash, the next start takes the slow way again.
    (void)store_put(store, STORE_CERTIFICATE, record, MAC_SIZE + length);
}

BOOT_STEP int dice_certify(const uint8_t uds[32], struct store *store, struct handoff *handoff) {
    struct inputs inputs;
    uint8_t cdi[32];
    uint8_t key[32];
    collect_inputs(handoff, &inputs);
    derive_cdi(uds, handoff, &inputs, cdi);
    dice_derive_secret(cdi, "coffret certificate copy", "", 0u, key);
    int error = derive_private_key(cdi, handoff->alias_private);
    wipe(cdi, sizeof cdi);
    if (error == 0 && !load_copy(store, key, handoff)) {
        error = make_certificate(uds, &inputs, handoff);
        if (error == 0) {
            save_copy(store, key, handoff);
        }
    }
    wipe(key, sizeof key);
    if (error != 0) {
        wipe(handoff->alias_private, sizeof handoff->alias_private);
    }
    return error;
}
