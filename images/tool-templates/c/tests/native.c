/* Tests what needs no session, natively and under sanitizers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow.h"
#include "kernel.h"
#include "line.h"
#include "stream.h"
#include "two_by_two.h"

static int failures;

#define CHECK(claim, ...)                                                                                            \
    do {                                                                                                             \
        if (!(claim)) {                                                                                              \
            failures++;                                                                                              \
            printf("%s:%d: %s: ", __FILE__, __LINE__, #claim);                                                       \
            printf(__VA_ARGS__);                                                                                     \
            printf("\n");                                                                                            \
        }                                                                                                            \
    } while (0)

static int near(double one, double other) {
    return fabs(one - other) <= 1e-12 * fmax(fabs(one), fabs(other));
}

/* A generator of one's own, so that a seed replays everywhere: SplitMix64. */
static uint64_t state;

static uint64_t draw(void) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double uniform(void) {
    return (double)(draw() >> 11) * 0x1p-53;
}

/* Physicians' Health Study (1989), aspirin and myocardial infarction; intervals as SciPy computes them. */
static void association_has_the_known_values(void) {
    struct two_by_two table = {139, 11037 - 139, 239, 11034 - 239};
    struct estimate ratio = risk_ratio(&table);
    CHECK(near(ratio.value, 0.581431874451967), "%.15g", ratio.value);
    CHECK(near(ratio.low, 0.4725282180958303), "%.15g", ratio.low);
    CHECK(near(ratio.high, 0.715434574449409), "%.15g", ratio.high);
    struct estimate share = proportion(15, 50);
    CHECK(near(share.low, 0.1910355350088095), "%.15g", share.low);
    CHECK(near(share.high, 0.4375035046445341), "%.15g", share.high);
}

static void an_empty_cell_gives_no_number(void) {
    struct two_by_two table = {0, 10, 5, 5};
    CHECK(isnan(risk_ratio(&table).value), "%g", risk_ratio(&table).value);
    CHECK(isnan(odds_ratio(&table).low), "%g", odds_ratio(&table).low);
    CHECK(isnan(proportion(0, 0).value), "%g", proportion(0, 0).value);
}

static void numbers_read_as_printf_writes_them(void) {
    double values[] = {0, 0.0004, 0.9996, 1, 1.3196679728500456, 0.046633916, 12.3456, 999.9999, 123456789.125, -2.5};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char expected[64];
        struct line line = {0};
        snprintf(expected, sizeof expected, "%.3f", values[i]);
        line_add_real(&line, values[i]);
        CHECK(strcmp(line.text, expected) == 0, "%s for %s", line.text, expected);
    }
    struct line line = {0};
    line_add_count(&line, UINT64_MAX, 0);
    line_add_count(&line, 7, 3);
    line_add_real(&line, NAN);
    line_add_real(&line, -INFINITY);
    CHECK(strcmp(line.text, "18446744073709551615  7nan-inf") == 0, "%s", line.text);
}

static void a_line_is_cut_between_characters(void) {
    for (size_t before = LINE_MAX - 8; before < LINE_MAX + 2; before++) {
        struct line line = {0};
        for (size_t i = 0; i < before; i++) {
            line_add(&line, "x");
        }
        line_add(&line, "脳");
        CHECK(line.length < LINE_MAX && strlen(line.text) == line.length, "%zu", line.length);
        unsigned char last = (unsigned char)line.text[line.length - 1];
        size_t room = before < LINE_MAX ? LINE_MAX - 1 - before : 0;
        CHECK(last == (room >= 3 ? 0xb3 : 'x'), "%zu before: %#x", before, last);
    }
}

static void moments_equal_a_plain_sum_in_long_doubles(void) {
    static double x[5003], w[5003];
    for (size_t count = 0; count <= 5003; count += count < 10 ? 1 : 1663) {
        long double weight = 0, sum = 0, squares = 0;
        for (size_t i = 0; i < count; i++) {
            x[i] = 1e6 + 10 * uniform();
            w[i] = i % 7 == 3 ? 0 : uniform();
            weight += w[i];
            sum += (long double)w[i] * x[i];
        }
        for (size_t i = 0; i < count; i++) {
            long double off = x[i] - sum / weight;
            squares += w[i] * off * off;
        }
        struct moments found = {0, 0, 0};
        size_t part = count / 3;
        moments_add(&found, x, w, part);
        moments_add(&found, x + part, w + part, count - part);
        double mean = weight > 0 ? (double)(sum / weight) : 0;
        CHECK(fabs(found.weight - (double)weight) <= 1e-9, "%zu: %g", count, found.weight);
        CHECK(fabs(found.mean - mean) <= 1e-8, "%zu: %.17g for %.17g", count, found.mean, mean);
        CHECK(fabs(found.squares - (double)squares) <= 1e-6 * (1 + (double)squares), "%zu: %g", count, found.squares);
    }
}

struct seen {
    size_t rows, exposed, missing;
    double outcomes, values;
    enum arrow_next end;
};

/* Reads bytes in pieces of a size. */
static struct seen read_all(const unsigned char *bytes, size_t length, size_t piece) {
    struct seen seen = {0, 0, 0, 0, 0, ARROW_MORE};
    struct arrow_stream stream;
    arrow_open(&stream);
    for (size_t at = 0; at < length && seen.end == ARROW_MORE; at += piece) {
        /* A copy of its own length: a sanitizer sees each byte beyond. */
        size_t taken = length - at < piece ? length - at : piece;
        unsigned char *copy = malloc(taken);
        memcpy(copy, bytes + at, taken);
        arrow_feed(&stream, copy, taken);
        free(copy);
        while ((seen.end = arrow_next(&stream)) == ARROW_BATCH) {
            seen.rows += stream.rows;
            for (size_t column = 0; column < stream.column_count; column++) {
                const struct arrow_column *from = &stream.columns[column];
                for (size_t row = 0; row < stream.rows && from->type != ARROW_OTHER; row++) {
                    double number = arrow_has(from, row) ? arrow_number(from, row) : 0;
                    seen.missing += !arrow_has(from, row);
                    seen.exposed += column == 0 && number == 1;
                    seen.outcomes += column == 1 ? number : 0;
                    seen.values += column == 3 ? number : 0;
                }
            }
        }
    }
    arrow_close(&stream);
    return seen;
}

static void a_stream_of_apache_arrow_reads_right_in_pieces_of_any_size(void) {
    for (size_t piece = 1; piece < sizeof STREAM + 10; piece += piece < 20 ? 1 : 97) {
        struct seen seen = read_all(STREAM, sizeof STREAM, piece);
        CHECK(seen.end == ARROW_END && seen.rows == 12, "pieces of %zu: %zu rows", piece, seen.rows);
        CHECK(seen.exposed == 6 && seen.missing == 3, "%zu exposed, %zu missing", seen.exposed, seen.missing);
        CHECK(seen.outcomes == 5 && seen.values == 33, "%g, %g", seen.outcomes, seen.values);
    }
}

static void a_stream_cut_anywhere_is_never_whole(void) {
    /* The last 8 bytes are the end's mark. */
    for (size_t length = 0; length < sizeof STREAM; length++) {
        struct seen seen = read_all(STREAM, length, sizeof STREAM);
        CHECK(seen.end == ARROW_MORE && (seen.rows % 5 == 0 || seen.rows == 12), "%zu bytes: %zu", length, seen.rows);
    }
}

static void damaged_bytes_are_never_read_beyond(void) {
    static unsigned char damaged[sizeof STREAM];
    for (int round = 0; round < 20000; round++) {
        memcpy(damaged, STREAM, sizeof STREAM);
        for (uint64_t change = draw() % 4 + 1; change; change--) {
            damaged[draw() % sizeof STREAM] = (unsigned char)draw();
        }
        read_all(damaged, sizeof damaged, 1 + draw() % sizeof STREAM);
    }
}

int main(int count, char **arguments) {
    state = count > 1 ? strtoull(arguments[1], NULL, 10) : 20260401;
    printf("seed %llu\n", (unsigned long long)state);
    association_has_the_known_values();
    an_empty_cell_gives_no_number();
    numbers_read_as_printf_writes_them();
    a_line_is_cut_between_characters();
    moments_equal_a_plain_sum_in_long_doubles();
    a_stream_of_apache_arrow_reads_right_in_pieces_of_any_size();
    a_stream_cut_anywhere_is_never_whole();
    damaged_bytes_are_never_read_beyond();
    printf(failures ? "%d failures\n" : "native tests passed\n", failures);
    return failures != 0;
}
