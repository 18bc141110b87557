/* What the tests share. C99, C11 and C++17. */
#ifndef CHECK_H
#define CHECK_H

#include <edgeweave.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ew_error *err;

#define CHECK(holds)                                                                     \
    do {                                                                                 \
        if (!(holds)) {                                                                  \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #holds,              \
                    ew_error_message(err));                                              \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

/* The call works. */
#define OK(call)                                                                         \
    do {                                                                                 \
        int32_t status_ = (call);                                                        \
        CHECK(status_ == EW_OK && err == NULL);                                          \
    } while (0)

/* The call fails with this status, an error of the same status, and a message. */
#define FAILS(wanted, call)                                                              \
    do {                                                                                 \
        int32_t status_ = (call);                                                        \
        CHECK(status_ == (wanted));                                                      \
        CHECK(ew_error_status(err) == (wanted));                                         \
        CHECK(ew_error_message(err)[0] != '\0');                                         \
        ew_error_free(err);                                                              \
        err = NULL;                                                                      \
    } while (0)

#define S(text) ew_str_of(text)

static inline ew_bytes bytes_of(const void *data, size_t len) {
    ew_bytes bytes;
    bytes.ptr = (const uint8_t *)data;
    bytes.len = len;
    return bytes;
}

static inline ew_str none(void) { return ew_str_of(NULL); }

static inline ew_bytes no_bytes(void) { return bytes_of(NULL, 0); }

/* Whether a buffer holds a text; frees it. */
static inline int has(ew_buffer *buffer, const char *part) {
    int found = strstr(ew_buffer_data(buffer), part) != NULL;
    if (!found) fprintf(stderr, "in %s no %s\n", ew_buffer_data(buffer), part);
    ew_buffer_free(buffer);
    return found;
}

#endif
