/*
 * A security key for stock OpenSSH, in software, for tests: Ed25519, a touch and no finger.
 *
 * OpenSSH's PROTOCOL.u2f says what a key signs: the application's digest, the flags, the counter, the
 * message's digest. The key handle is the private key itself: a real one would be wrapped.
 */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* OpenSSH takes exactly its own version: 9 or 10, which agree in what is used here. */
#ifndef API_VERSION
#define API_VERSION 0x000a0000
#endif

enum { ED25519 = 1, TOUCHED = 1, UNSUPPORTED = -2, FAILED = -1 };
enum { SEED = 32, PUBLIC = 32, SIGNATURE = 64 };

struct enrolled {
    uint8_t flags;
    uint8_t *public_key; size_t public_key_len;
    uint8_t *handle; size_t handle_len;
    uint8_t *signature; size_t signature_len;
    uint8_t *certificate; size_t certificate_len;
    uint8_t *authdata; size_t authdata_len;
};

struct signed_message {
    uint8_t flags;
    uint32_t counter;
    uint8_t *r; size_t r_len;
    uint8_t *s; size_t s_len;
};

uint32_t sk_api_version(void) { return API_VERSION; }

int sk_enroll(uint32_t algorithm, const uint8_t *challenge, size_t challenge_len,
              const char *application, uint8_t flags, const char *pin, void **options,
              struct enrolled **out) {
    (void)challenge, (void)challenge_len, (void)application, (void)flags, (void)pin, (void)options;
    if (algorithm != ED25519) return UNSUPPORTED;
    struct enrolled *made = calloc(1, sizeof *made);
    made->flags = TOUCHED;
    made->handle = malloc(made->handle_len = SEED);
    made->public_key = malloc(made->public_key_len = PUBLIC);
    /* No attestation: nobody asks this key for one. */
    made->signature = calloc(1, made->signature_len = SIGNATURE);
    if (RAND_bytes(made->handle, SEED) != 1) return FAILED;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, made->handle, SEED);
    size_t length = PUBLIC;
    if (!key || EVP_PKEY_get_raw_public_key(key, made->public_key, &length) != 1) return FAILED;
    EVP_PKEY_free(key);
    *out = made;
    return 0;
}

int sk_sign(uint32_t algorithm, const uint8_t *data, size_t data_len, const char *application,
            const uint8_t *handle, size_t handle_len, uint8_t flags, const char *pin,
            void **options, struct signed_message **out) {
    (void)flags, (void)pin, (void)options;
    if (algorithm != ED25519 || handle_len != SEED) return UNSUPPORTED;
    uint8_t message[SHA256_DIGEST_LENGTH + 1 + 4 + SHA256_DIGEST_LENGTH] = {0};
    SHA256((const uint8_t *)application, strlen(application), message);
    message[SHA256_DIGEST_LENGTH] = TOUCHED;
    message[SHA256_DIGEST_LENGTH + 4] = 1; /* the counter, big-endian */
    SHA256(data, data_len, message + SHA256_DIGEST_LENGTH + 5);
    struct signed_message *made = calloc(1, sizeof *made);
    made->flags = TOUCHED;
    made->counter = 1;
    made->r = malloc(made->r_len = SIGNATURE);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, handle, SEED);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t length = SIGNATURE;
    if (!key || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(context, made->r, &length, message, sizeof message) != 1)
        return FAILED;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    *out = made;
    return 0;
}

int sk_load_resident_keys(const char *pin, void **options, void ***keys, size_t *count) {
    (void)pin, (void)options;
    *keys = NULL;
    *count = 0;
    return 0;
}
