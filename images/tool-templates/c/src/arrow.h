/* Reads an Arrow IPC stream that comes in pieces: a schema, then record batches.
 *
 * Kekkai sends uncompressed streams without dictionaries, views or nesting. Every offset is checked against
 * the buffer that it points into: a damaged stream gives an error and never a read outside.
 *
 * Sources: Apache Arrow, "Arrow Columnar Format" with Message.fbs and Schema.fbs; FlatBuffers, "Internals".
 */
#ifndef ARROW_H
#define ARROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARROW_COLUMNS_MAX 64
/* A name is cut to this, in bytes with its end. */
#define ARROW_NAME_MAX 64

enum arrow_type {
    ARROW_BOOLEAN,
    ARROW_INT64,
    ARROW_DOUBLE,
    /* Columns that a tool may pass over: texts, dates, decimals … */
    ARROW_OTHER,
};

struct arrow_column {
    char name[ARROW_NAME_MAX];
    enum arrow_type type;
    /* Buffers besides the bitmap of what is there: known from the type. */
    int data_buffers;
    bool is_null_type;
    /* Of the present batch. `present` is NULL where nothing is missing. */
    const uint8_t *present;
    const void *values;
};

struct arrow_stream {
    struct arrow_column columns[ARROW_COLUMNS_MAX];
    size_t column_count;
    /* Rows of the present batch. */
    size_t rows;
    /* What went wrong, or NULL. */
    const char *error;
    bool has_schema;
    bool is_over;
    uint8_t *bytes;
    size_t length, capacity;
    /* Where the next message begins. */
    size_t at;
};

enum arrow_next { ARROW_BATCH, ARROW_MORE, ARROW_END, ARROW_ERROR };

void arrow_open(struct arrow_stream *stream);
/* Takes the next piece; false if there is no memory. Invalidates the present batch. */
bool arrow_feed(struct arrow_stream *stream, const uint8_t *piece, size_t length);
/* The next batch, in `stream->columns`; or a piece more is needed. */
enum arrow_next arrow_next(struct arrow_stream *stream);
void arrow_close(struct arrow_stream *stream);

/* Whether a row has a value. */
static inline bool arrow_has(const struct arrow_column *column, size_t row) {
    return !column->present || (column->present[row / 8] >> (row % 8) & 1);
}

/* A value as a number; true and false are 1 and 0. Only of a type other than ARROW_OTHER. */
double arrow_number(const struct arrow_column *column, size_t row);

#endif
