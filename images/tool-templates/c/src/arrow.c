#include "arrow.h"

#include <stdlib.h>
#include <string.h>

/* Message.fbs: MessageHeader */
enum { SCHEMA = 1, RECORD_BATCH = 3 };
/* Schema.fbs: Type */
enum { TYPE_NULL = 1, TYPE_INT = 2, TYPE_FLOAT = 3, TYPE_UTF8 = 5, TYPE_BOOL = 6, TYPE_DECIMAL = 7 };
enum { TYPE_DATE = 8, TYPE_TIMESTAMP = 10, TYPE_LARGE_UTF8 = 20 };
enum { PRECISION_DOUBLE = 2 };

/* A schema of many columns fits; more is a damaged length. */
#define METADATA_MAX (1u << 20)
/* Kekkai's batches have 4 MiB; a single long row may have more. */
#define BODY_MAX (64u << 20)
#define ROWS_MAX (64u << 20)

/* Bytes that offsets are checked against. */
struct span {
    const uint8_t *bytes;
    size_t length;
};

/* A FlatBuffers table: fields are found through its vtable. */
struct table {
    struct span data;
    size_t at, vtable, vtable_size;
    bool is_good;
};

static uint64_t read_le(struct span data, size_t at, size_t width, bool *is_good) {
    uint64_t value = 0;
    if (at > data.length || width > data.length - at) {
        *is_good = false;
        return 0;
    }
    for (size_t i = 0; i < width; i++) {
        value |= (uint64_t)data.bytes[at + i] << (8 * i);
    }
    return value;
}

static struct table table_at(struct span data, size_t at) {
    struct table table = {data, at, 0, 0, true};
    int32_t back = (int32_t)read_le(data, at, 4, &table.is_good);
    int64_t vtable = (int64_t)at - back;
    if (!table.is_good || vtable < 0) {
        table.is_good = false;
        return table;
    }
    table.vtable = (size_t)vtable;
    table.vtable_size = (size_t)read_le(data, table.vtable, 2, &table.is_good);
    return table;
}

/* Where a field is; 0 if it is absent. */
static size_t field(struct table *table, unsigned number) {
    size_t slot = 4 + 2 * (size_t)number;
    if (!table->is_good || slot + 2 > table->vtable_size) {
        return 0;
    }
    size_t offset = (size_t)read_le(table->data, table->vtable + slot, 2, &table->is_good);
    return offset ? table->at + offset : 0;
}

static uint64_t number(struct table *table, unsigned field_number, size_t width, uint64_t absent) {
    size_t at = field(table, field_number);
    return at ? read_le(table->data, at, width, &table->is_good) : absent;
}

/* The place that the offset at `at` points to. */
static size_t follow(struct table *table, size_t at) {
    return at + (size_t)read_le(table->data, at, 4, &table->is_good);
}

static bool subtable(struct table *table, unsigned field_number, struct table *found) {
    size_t at = field(table, field_number);
    if (!at) {
        return false;
    }
    *found = table_at(table->data, follow(table, at));
    table->is_good &= found->is_good;
    return table->is_good;
}

/* The first element's place and how many there are. */
static size_t vector(struct table *table, unsigned field_number, size_t width, size_t *count) {
    size_t at = field(table, field_number);
    *count = 0;
    if (!at) {
        return 0;
    }
    at = follow(table, at);
    size_t found = (size_t)read_le(table->data, at, 4, &table->is_good);
    if (!table->is_good || found > (table->data.length - at - 4) / width) {
        table->is_good = false;
        return 0;
    }
    *count = found;
    return at + 4;
}

static bool fail(struct arrow_stream *stream, const char *error) {
    stream->error = error;
    return false;
}

void arrow_open(struct arrow_stream *stream) {
    memset(stream, 0, sizeof *stream);
}

void arrow_close(struct arrow_stream *stream) {
    free(stream->bytes);
    stream->bytes = NULL;
}

bool arrow_feed(struct arrow_stream *stream, const uint8_t *piece, size_t length) {
    /* Messages that were read make room first. */
    if (stream->at) {
        memmove(stream->bytes, stream->bytes + stream->at, stream->length - stream->at);
        stream->length -= stream->at;
        stream->at = 0;
    }
    if (length > stream->capacity - stream->length) {
        size_t capacity = stream->length + length;
        uint8_t *bytes = realloc(stream->bytes, capacity);
        if (!bytes) {
            return fail(stream, "no memory for a batch");
        }
        stream->bytes = bytes;
        stream->capacity = capacity;
    }
    if (length) {
        memcpy(stream->bytes + stream->length, piece, length);
        stream->length += length;
    }
    return true;
}

static bool read_field(struct arrow_stream *stream, struct table *from, struct arrow_column *column) {
    struct table type;
    size_t length;
    size_t name = vector(from, 0, 1, &length);
    size_t kept = length < ARROW_NAME_MAX - 1 ? length : ARROW_NAME_MAX - 1;
    if (!from->is_good) {
        return fail(stream, "a damaged schema");
    }
    if (kept) {
        memcpy(column->name, from->data.bytes + name, kept);
    }
    column->name[kept] = 0;
    if (field(from, 4)) {
        return fail(stream, "a dictionary, which Kekkai does not send");
    }
    uint64_t kind = number(from, 2, 1, 0);
    bool has_type = subtable(from, 3, &type);
    column->type = ARROW_OTHER;
    column->data_buffers = 1;
    column->is_null_type = kind == TYPE_NULL;
    switch (kind) {
    case TYPE_NULL:
        column->data_buffers = 0;
        break;
    case TYPE_BOOL:
        column->type = ARROW_BOOLEAN;
        break;
    case TYPE_INT:
        if (has_type && number(&type, 0, 4, 0) == 64 && number(&type, 1, 1, 0)) {
            column->type = ARROW_INT64;
        }
        break;
    case TYPE_FLOAT:
        if (has_type && number(&type, 0, 2, 0) == PRECISION_DOUBLE) {
            column->type = ARROW_DOUBLE;
        }
        break;
    case TYPE_UTF8:
    case TYPE_LARGE_UTF8:
        column->data_buffers = 2;
        break;
    case TYPE_DECIMAL:
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
        break;
    default:
        return fail(stream, "a type that Kekkai does not send");
    }
    return from->is_good || fail(stream, "a damaged schema");
}

static bool read_schema(struct arrow_stream *stream, struct table *schema) {
    size_t count;
    if (number(schema, 0, 2, 0) != 0) {
        return fail(stream, "big-endian data");
    }
    size_t first = vector(schema, 1, 4, &count);
    if (!schema->is_good) {
        return fail(stream, "a damaged schema");
    }
    if (count > ARROW_COLUMNS_MAX) {
        return fail(stream, "more columns than this tool reads");
    }
    for (size_t i = 0; i < count; i++) {
        struct table from = table_at(schema->data, follow(schema, first + 4 * i));
        if (!from.is_good || !read_field(stream, &from, &stream->columns[i])) {
            return stream->error ? false : fail(stream, "a damaged schema");
        }
    }
    stream->column_count = count;
    stream->has_schema = true;
    return true;
}

/* The lengths and buffers of a batch, taken in the order of the columns. */
struct batch {
    struct table *table;
    struct span body;
    size_t nodes, node_count, buffers, buffer_count;
    size_t node, buffer;
};

/* The next buffer, if it has `needed` bytes inside the body. */
static const uint8_t *take_buffer(struct batch *batch, size_t needed) {
    if (batch->buffer >= batch->buffer_count) {
        return NULL;
    }
    size_t at = batch->buffers + 16 * batch->buffer++;
    bool is_good = true;
    uint64_t offset = read_le(batch->table->data, at, 8, &is_good);
    uint64_t length = read_le(batch->table->data, at + 8, 8, &is_good);
    if (!is_good || offset > batch->body.length || length > batch->body.length - offset || length < needed) {
        return NULL;
    }
    return batch->body.bytes + offset;
}

static bool read_column(struct arrow_stream *stream, struct batch *batch, struct arrow_column *column) {
    bool is_good = batch->node < batch->node_count;
    size_t at = batch->nodes + 16 * batch->node++;
    uint64_t length = is_good ? read_le(batch->table->data, at, 8, &is_good) : 0;
    uint64_t missing = is_good ? read_le(batch->table->data, at + 8, 8, &is_good) : 0;
    if (!is_good || length != stream->rows) {
        return fail(stream, "a column that is not as long as its batch");
    }
    column->present = NULL;
    column->values = NULL;
    if (column->is_null_type) {
        return true;
    }
    size_t bits = (stream->rows + 7) / 8;
    const uint8_t *present = take_buffer(batch, missing ? bits : 0);
    if (!present) {
        return fail(stream, "a buffer beyond its batch");
    }
    if (missing) {
        column->present = present;
    }
    size_t needed = column->type == ARROW_OTHER ? 0 : column->type == ARROW_BOOLEAN ? bits : 8 * stream->rows;
    for (int i = 0; i < column->data_buffers; i++) {
        column->values = take_buffer(batch, needed);
        if (!column->values) {
            return fail(stream, "a buffer beyond its batch");
        }
    }
    return true;
}

static bool read_batch(struct arrow_stream *stream, struct table *header, struct span body) {
    if (field(header, 3)) {
        return fail(stream, "compressed data, which Kekkai does not send");
    }
    uint64_t rows = number(header, 0, 8, 0);
    struct batch batch = {header, body, 0, 0, 0, 0, 0, 0};
    batch.nodes = vector(header, 1, 16, &batch.node_count);
    batch.buffers = vector(header, 2, 16, &batch.buffer_count);
    if (!header->is_good || rows > ROWS_MAX) {
        return fail(stream, "a damaged batch");
    }
    stream->rows = (size_t)rows;
    for (size_t i = 0; i < stream->column_count; i++) {
        if (!read_column(stream, &batch, &stream->columns[i])) {
            return false;
        }
    }
    return true;
}

enum arrow_next arrow_next(struct arrow_stream *stream) {
    while (!stream->error && !stream->is_over) {
        struct span rest = {stream->bytes + stream->at, stream->length - stream->at};
        bool is_good = true;
        if (rest.length < 8) {
            return ARROW_MORE;
        }
        uint64_t size = read_le(rest, 4, 4, &is_good);
        if (read_le(rest, 0, 4, &is_good) != 0xffffffff || size > METADATA_MAX) {
            fail(stream, "no Arrow IPC stream");
            break;
        }
        if (size == 0) {
            stream->is_over = true;
            break;
        }
        if (rest.length - 8 < size) {
            return ARROW_MORE;
        }
        struct span metadata = {rest.bytes + 8, (size_t)size};
        struct table message = table_at(metadata, (size_t)read_le(metadata, 0, 4, &is_good));
        struct table header;
        uint64_t kind = number(&message, 1, 1, 0);
        uint64_t body_length = number(&message, 3, 8, 0);
        if (!is_good || !message.is_good || !subtable(&message, 2, &header) || body_length > BODY_MAX) {
            fail(stream, "a damaged message");
            break;
        }
        if (rest.length - 8 - size < body_length) {
            return ARROW_MORE;
        }
        struct span body = {metadata.bytes + size, (size_t)body_length};
        stream->at += 8 + (size_t)size + (size_t)body_length;
        if (kind == SCHEMA && !stream->has_schema) {
            read_schema(stream, &header);
        } else if (kind == RECORD_BATCH && stream->has_schema) {
            if (read_batch(stream, &header, body)) {
                return ARROW_BATCH;
            }
        } else {
            fail(stream, "a message of an unexpected kind");
        }
    }
    return stream->error ? ARROW_ERROR : ARROW_END;
}

double arrow_number(const struct arrow_column *column, size_t row) {
    double real;
    int64_t integer;
    switch (column->type) {
    case ARROW_BOOLEAN:
        return ((const uint8_t *)column->values)[row / 8] >> (row % 8) & 1;
    case ARROW_INT64:
        /* Pieces may begin anywhere: the values need not be aligned. */
        memcpy(&integer, (const uint8_t *)column->values + 8 * row, 8);
        return (double)integer;
    case ARROW_DOUBLE:
        memcpy(&real, (const uint8_t *)column->values + 8 * row, 8);
        return real;
    default:
        return 0;
    }
}
