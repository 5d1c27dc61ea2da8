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

_Static_assert(sizeof BOARD_NAME - 1u <= 32u, "so that HANDOFF_CERTIFICATE_MAX is enough");

#define SECRETS_MAGIC "CFUDS1\0" // eight bytes with the NUL
#define UDS_SIZE 32u
#define ID_SIZE 20u

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

// ---- the copy of what costs public-key arithmetic ----

// The record: a MAC that only this device can make, the CDI's input that the certificate was made for, and of the handoff
// the identity's key, the alias' and the certificate with its length.
#define MAC_SIZE 32u
#define INPUT_SIZE 32u
#define KEPT_START offsetof(struct handoff, identity.key)
#define KEPT_FIXED (offsetof(struct handoff, certificate) - KEPT_START)
#define COPY_MAX (MAC_SIZE + INPUT_SIZE + KEPT_FIXED + HANDOFF_CERTIFICATE_MAX)

static void mac_copy(const uint8_t uds[32], const uint8_t *record, size_t length, uint8_t mac[MAC_SIZE]) {
    dice_derive_secret(uds, "coffret certificate copy", record + MAC_SIZE, length - MAC_SIZE, mac);
}

// The record from the CDI's input on, if its MAC is right; else NULL.
static const uint8_t *load_copy(const uint8_t uds[32], const struct store *store, size_t *length) {
    const uint8_t *record = store_find(store, STORE_CERTIFICATE, length);
    if (record == NULL || *length < MAC_SIZE + INPUT_SIZE + KEPT_FIXED || *length > COPY_MAX) {
        return NULL;
    }
    uint8_t mac[MAC_SIZE];
    mac_copy(uds, record, *length, mac);
    return memory_compare(mac, record, sizeof mac) == MEMORY_EQUAL ? record + MAC_SIZE : NULL;
}

static void save_copy(const uint8_t uds[32], struct store *store, const uint8_t input[INPUT_SIZE],
                      const struct handoff *handoff) {
    static uint8_t record[COPY_MAX];
    size_t length = KEPT_FIXED + handoff->certificate_length;
    memcpy(record + MAC_SIZE, input, INPUT_SIZE);
    memcpy(record + MAC_SIZE + INPUT_SIZE, (const uint8_t *)handoff + KEPT_START, length);
    length += MAC_SIZE + INPUT_SIZE;
    mac_copy(uds, record, length, record);
    // Refused by the flash, the next start takes the slow way again.
    (void)store_put(store, STORE_CERTIFICATE, record, length);
}

// The identity's key from the copy, whichever image that was made for, or derived.
BOOT_STEP int dice_identify(const uint8_t uds[32], const struct store *store, struct handoff *handoff) {
    uint8_t private_key[32];
    size_t length;
    int error = 0;
    const uint8_t *copy = load_copy(uds, store, &length);
    if (copy != NULL) {
        memcpy(handoff->identity.key, copy + INPUT_SIZE, P256_PUBLIC_SIZE);
    } else {
        error = derive_private_key(uds, private_key);
        if (error == 0) {
            error = p256_public_from(private_key, handoff->identity.key);
        }
        wipe(private_key, sizeof private_key);
    }
    name_instance(handoff);
    return error;
}

// ---- the certificate ----

struct inputs {
    char issuer[2u * ID_SIZE];
    char subject[2u * ID_SIZE];
    uint8_t mode;
    uint8_t configuration_hash[32];
    uint8_t configuration_length;
    uint8_t configuration[127];
};

static void name_key(char name[2u * ID_SIZE], const uint8_t public_key[64]) {
    uint8_t id[ID_SIZE];
    hkdf(id, sizeof id, public_key, 64u, id_salt, sizeof id_salt, "ID");
    id[0] &= 0x7Fu;
    for (uint32_t i = 0; i < 2u * ID_SIZE; i++) {
        uint32_t digit = (uint32_t)id[i / 2u] >> (i % 2u == 0u ? 4 : 0) & 15u;
        name[i] = (char)(digit < 10u ? '0' + digit : 'a' + digit - 10u);
    }
}

// A document is a text with holes, since the encoder's calls would be longer: so many bytes of the text, then so many of
// the handoff or of the inputs.
struct hole {
    uint8_t before;
    uint8_t length; // WITH_LENGTH: of a byte that says how many there are, and those. 0: the document ends here
    uint16_t from;
};
#define WITH_LENGTH 0xFFu
#define IN_INPUTS 0x8000u
#define HANDOFF(member) offsetof(struct handoff, member)
#define INPUT(member) (IN_INPUTS | offsetof(struct inputs, member))

// Returns the end of the document.
static uint8_t *fill(uint8_t *at, const char *text, const struct hole *hole, const struct handoff *handoff,
                     const struct inputs *inputs) {
    for (;; hole++) {
        memcpy(at, text, hole->before);
        at += hole->before;
        text += hole->before;
        if (hole->length == 0u) {
            return at;
        }
        const uint8_t *base = (hole->from & IN_INPUTS) != 0u ? (const uint8_t *)inputs : (const uint8_t *)handoff;
        const uint8_t *field = base + (hole->from & ~IN_INPUTS);
        uint32_t length = hole->length == WITH_LENGTH ? 1u + *field : hole->length;
        memcpy(at, field, length);
        at += length;
    }
}

// The configuration descriptor {1: boot digest, 2: policy digest, 3: security counter, 4: board name}.
static void encode_configuration(const struct handoff *handoff, struct inputs *inputs) {
    static const char text[] = "\xA4\x01\x58\x20"
                               "\x02\x58\x20";
    static const struct hole holes[] = {{4, 32, HANDOFF(identity.boot_digest)}, {3, 32, HANDOFF(policy_digest)}, {0}};
    uint8_t *end = fill(inputs->configuration, text, holes, handoff, inputs);
    struct cbor_writer writer;
    cbor_writer_start(&writer, end, sizeof inputs->configuration - (size_t)(end - inputs->configuration));
    cbor_write_uint(&writer, 3u);
    cbor_write_uint(&writer, handoff->security_counter);
    cbor_write_uint(&writer, 4u);
    cbor_write_text(&writer, BOARD_NAME);
    inputs->configuration_length = (uint8_t)(end - inputs->configuration + cbor_writer_length(&writer));
}

static void collect_inputs(const struct handoff *handoff, struct inputs *inputs) {
    encode_configuration(handoff, inputs);
    sha256(inputs->configuration, inputs->configuration_length, inputs->configuration_hash);
    inputs->mode = (handoff->identity.lifecycle & 0xFF00u) == 0x3000u ? 1u : 2u; // normal, debug
}

// The CDI's input: H(code + configuration + authority + mode + hidden), hidden 64 zeros.
static void hash_inputs(const struct handoff *handoff, const struct inputs *inputs, uint8_t digest[INPUT_SIZE]) {
    static const struct hole holes[] = {{0, 32, HANDOFF(image_digest)},
                                        {0, 32, INPUT(configuration_hash)},
                                        {0, 32, HANDOFF(signer_id)},
                                        {0, 1, INPUT(mode)},
                                        {0}};
    uint8_t all[32u + 32u + 32u + 1u + 64u] = {0};
    (void)fill(all, "", holes, handoff, inputs);
    sha256(all, sizeof all, digest);
}

// COSE_Sign1 (RFC 9052 section 4.2): an array of four, << {alg: ES256} >>, no unprotected headers, the payload, the
// signature. The payload is the CWT of section "CBOR CDI Certificates", a byte string of 256..65535 bytes, as ours always
// has. The profile's labels go down from -4670545 (0x3A464450); its subject public key is a COSE_Key (RFC 9053 section 7.1.1).
#define LABEL(last) "\x3A\x00\x47\x44" last
static const char certificate_text[] = "\x84\x43\xA1\x01\x26\xA0\x59\x00\x00"
                                       "\xAA\x01\x78\x28"             // issuer
                                       "\x02\x78\x28"                 // subject
                                       LABEL("\x50") "\x58\x20"        // code
                                       LABEL("\x52") "\x58\x20"        // configuration's hash
                                       LABEL("\x53") "\x58"            // configuration
                                       LABEL("\x54") "\x58\x20"        // authority
                                       LABEL("\x56") "\x41"            // mode
                                       LABEL("\x57") "\x58\x50"        // {kty: EC2, alg: ES256, key_ops: [verify], crv: P-256,
                                       "\xA6\x01\x02\x03\x26\x04\x81\x02\x20\x01\x21\x58\x20" // x,
                                       "\x22\x58\x20"                 // y}
                                       LABEL("\x58") "\x41\x20"        // key usage: keyCertSign
                                       LABEL("\x59") "\x73"            // profile name
                                       "coffret.p256.sha256"
                                       "\x58\x40";                     // signature
#define PAYLOAD_HEAD 6u
#define PAYLOAD_AT 9u
#define BEHIND_PAYLOAD 2u
BOOT_LOW static const struct hole certificate_holes[] = {
    {13, sizeof(((struct inputs *)0)->issuer), INPUT(issuer)},
    {3, sizeof(((struct inputs *)0)->subject), INPUT(subject)},
    {7, 32, HANDOFF(image_digest)},
    {7, 32, INPUT(configuration_hash)},
    {6, WITH_LENGTH, INPUT(configuration_length)},
    {7, 32, HANDOFF(signer_id)},
    {6, 1, INPUT(mode)},
    {20, 32, HANDOFF(alias_public)},
    {3, 32, HANDOFF(alias_public[32])},
    {32 + BEHIND_PAYLOAD, 0, 0}};

// What is signed: the Sig_structure (RFC 9052 section 4.4) ["Signature1", << {alg: ES256} >>, h'', payload].
static void hash_to_sign(const uint8_t *payload, size_t length, uint8_t digest[32]) {
    BOOT_LOW static const uint8_t head[] = "\x84\x6ASignature1\x43\xA1\x01\x26\x40";
    struct sha256_context hash;
    sha256_init(&hash);
    sha256_update(&hash, head, sizeof head - 1u);
    sha256_update(&hash, payload, length);
    sha256_finish(&hash, digest);
}

// The slow way: a public key or two and a signature. The alias' private key is in the handoff.
static int make_certificate(const uint8_t uds[32], const struct store *store, struct inputs *inputs,
                            struct handoff *handoff) {
    uint8_t *certificate = handoff->certificate;
    uint8_t digest[32];
    uint8_t private_key[32];
    int error = dice_identify(uds, store, handoff) | p256_public_from(handoff->alias_private, handoff->alias_public) |
                derive_private_key(uds, private_key);
    name_key(inputs->issuer, handoff->identity.key);
    name_key(inputs->subject, handoff->alias_public);
    uint8_t *end = fill(certificate, certificate_text, certificate_holes, handoff, inputs);
    size_t length = (size_t)(end - certificate) - BEHIND_PAYLOAD;
    certificate[PAYLOAD_AT - 2u] = (uint8_t)((length - PAYLOAD_AT) >> 8);
    certificate[PAYLOAD_AT - 1u] = (uint8_t)(length - PAYLOAD_AT);
    hash_to_sign(certificate + PAYLOAD_HEAD, length - PAYLOAD_HEAD, digest);
    error |= p256_sign(private_key, digest, end);
    wipe(private_key, sizeof private_key);
    handoff->certificate_length = (uint16_t)(end + P256_SIGNATURE_SIZE - certificate);
    return error;
}

BOOT_STEP int dice_certify(const uint8_t uds[32], struct store *store, struct handoff *handoff) {
    struct inputs inputs;
    uint8_t input[INPUT_SIZE];
    uint8_t cdi[32]; // CDI_Attest
    size_t length;
    collect_inputs(handoff, &inputs);
    hash_inputs(handoff, &inputs, input);
    dice_derive_secret(uds, "CDI_Attest", input, sizeof input, cdi);
    int error = derive_private_key(cdi, handoff->alias_private);
    wipe(cdi, sizeof cdi);
    const uint8_t *copy = load_copy(uds, store, &length);
    if (copy != NULL && memory_compare(copy, input, INPUT_SIZE) == MEMORY_EQUAL) {
        memcpy((uint8_t *)handoff + KEPT_START, copy + INPUT_SIZE, length - MAC_SIZE - INPUT_SIZE);
        name_instance(handoff);
    } else if (error == 0) {
        error = make_certificate(uds, store, &inputs, handoff);
        if (error == 0) {
            save_copy(uds, store, input, handoff);
        }
    }
    if (error != 0) {
        wipe(handoff->alias_private, sizeof handoff->alias_private);
    }
    return error;
}
