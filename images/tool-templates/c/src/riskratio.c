/* riskratio: a two-by-two table with risk ratio, odds ratio and risk difference.
 *
 *   run tool riskratio 'SELECT exposed, outcome FROM …' ['title']
 *
 * The statement gives one row a person, with two columns: exposed and outcome, true or false, or 1 or 0. The
 * rows are read piece by piece, so that any number of persons fits into little memory.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arrow.h"
#include "line.h"
#include "tool.h"
#include "two_by_two.h"

#define TITLE "Risk ratio of two groups"

/* A string of the interface that borrows a C string. */
static tool_string_t text(const char *borrowed) {
    tool_string_t set;
    tool_string_set(&set, borrowed);
    return set;
}

static kekkai_session_types_value_t integer(uint64_t value) {
    return (kekkai_session_types_value_t){KEKKAI_SESSION_TYPES_VALUE_INTEGER, {.integer = (int64_t)value}};
}

static kekkai_session_types_value_t real(double value) {
    if (isnan(value)) {
        return (kekkai_session_types_value_t){.tag = KEKKAI_SESSION_TYPES_VALUE_NULL};
    }
    return (kekkai_session_types_value_t){KEKKAI_SESSION_TYPES_VALUE_REAL, {.real = value}};
}

static kekkai_session_types_value_t label(const char *borrowed) {
    return (kekkai_session_types_value_t){KEKKAI_SESSION_TYPES_VALUE_TEXT, {.text = text(borrowed)}};
}

/* Shows a line to the person who runs the tool. */
static void say(const struct line *line) {
    tool_string_t shown = text(line->text);
    kekkai_session_log_write(KEKKAI_SESSION_LOG_CHANNEL_OUT, &shown);
}

/* Gives the tool's error: three parts, of which the middle one names something. Its answer is false. */
static bool stop(tool_string_t *error, const char *before, const char *name, const char *after) {
    struct line line = {0};
    line_add(&line, before);
    line_add(&line, name);
    line_add(&line, after);
    tool_string_dup(error, line.text);
    return false;
}

/* The refusal of a statement or an output, with its place. */
static bool stop_at(tool_string_t *error, const char *what, kekkai_session_types_failure_t *failure) {
    struct line line = {0};
    line_add(&line, what);
    line_add(&line, ": ");
    line_add_bytes(&line, failure->code.ptr, failure->code.len);
    line_add(&line, " \"");
    line_add_bytes(&line, failure->name.ptr, failure->name.len);
    line_add(&line, "\" (");
    line_add_count(&line, failure->line, 0);
    line_add(&line, ":");
    line_add_count(&line, failure->column, 0);
    line_add(&line, ")");
    tool_string_dup(error, line.text);
    kekkai_session_types_failure_free(failure);
    return false;
}

/* 1, 0, or -1 where there is none; -2 for anything else. */
static int truth(const struct arrow_column *column, size_t row) {
    if (!arrow_has(column, row)) {
        return -1;
    }
    double value = arrow_number(column, row);
    return value == 1 ? 1 : value == 0 ? 0 : -2;
}

/* Counts the present batch. */
static bool count(const struct arrow_stream *stream, struct two_by_two *table, uint64_t *missing,
                  tool_string_t *error) {
    const struct arrow_column *columns = stream->columns;
    if (stream->column_count != 2 || columns[0].type == ARROW_OTHER || columns[1].type == ARROW_OTHER) {
        return stop(error, "the statement gives two columns, exposed and outcome, of true and false or 1 and 0 / ",
                    "曝露とアウトカムの2列（真偽値、または1と0）を返す文にしてください", "");
    }
    for (size_t row = 0; row < stream->rows; row++) {
        int exposed = truth(&columns[0], row);
        int outcome = truth(&columns[1], row);
        if (exposed == -2 || outcome == -2) {
            return stop(error, "column \"", columns[exposed == -2 ? 0 : 1].name,
                        "\" holds something else than 1 and 0 / 列に1と0以外の値があります");
        }
        if (exposed < 0 || outcome < 0) {
            ++*missing;
        } else if (exposed) {
            ++*(outcome ? &table->a : &table->b);
        } else {
            ++*(outcome ? &table->c : &table->d);
        }
    }
    return true;
}

/* Reads the rows piece by piece and counts them. */
static bool read_rows(kekkai_session_data_own_rows_t rows, struct two_by_two *table, uint64_t *missing,
                      tool_string_t *error) {
    struct arrow_stream stream;
    bool is_good = true;
    arrow_open(&stream);
    while (is_good) {
        tool_option_list_u8_t piece;
        kekkai_session_data_failure_t failure;
        if (!kekkai_session_data_method_rows_next(kekkai_session_data_borrow_rows(rows), &piece, &failure)) {
            is_good = stop_at(error, "query", &failure);
            break;
        }
        if (!piece.is_some) {
            break;
        }
        is_good = arrow_feed(&stream, piece.val.ptr, piece.val.len);
        tool_option_list_u8_free(&piece);
        enum arrow_next next;
        while (is_good && (next = arrow_next(&stream)) == ARROW_BATCH) {
            is_good = count(&stream, table, missing, error);
        }
        if (stream.error) {
            is_good = stop(error, "the rows can't be read: ", stream.error, " / 行を読めません");
        }
    }
    if (is_good && !stream.is_over) {
        is_good = stop(error, "the rows stop in the middle", "", " / 行が途中で終わっています");
    }
    arrow_close(&stream);
    return is_good;
}

static bool submit(const char *title, const char *const *names, size_t columns,
                   const kekkai_session_types_value_t *cells, size_t rows, tool_string_t *error) {
    tool_string_t header[8];
    kekkai_session_output_list_value_t lines[8];
    for (size_t i = 0; i < columns; i++) {
        header[i] = text(names[i]);
    }
    for (size_t i = 0; i < rows; i++) {
        /* The bindings take no const, and change nothing. */
        lines[i] = (kekkai_session_output_list_value_t){(kekkai_session_types_value_t *)cells + i * columns, columns};
    }
    kekkai_session_output_description_t about = {
        text(title),
        text("Two-by-two table by the tool riskratio; 95 % confidence: risks by Wilson, risk ratio by Katz, odds "
             "ratio by Woolf, risk difference by Wald."),
    };
    tool_list_string_t names_list = {header, columns};
    kekkai_session_output_list_list_value_t rows_list = {lines, rows};
    tool_string_t number;
    kekkai_session_output_failure_t failure;
    if (!kekkai_session_output_submit_table(&about, &names_list, &rows_list, &number, &failure)) {
        return stop_at(error, "submit", &failure);
    }
    struct line line = {0};
    line_add(&line, title);
    line_add(&line, ": ");
    line_add_bytes(&line, number.ptr, number.len);
    say(&line);
    tool_string_free(&number);
    return true;
}

/* A row of the printed table. */
static void say_row(const char *name, const uint64_t *counts) {
    struct line line = {0};
    line_add(&line, name);
    if (counts) {
        line_add_count(&line, counts[0], 9);
        line_add_count(&line, counts[1], 11);
    }
    say(&line);
}

static void say_measure(const char *name, const struct estimate *measure) {
    struct line line = {0};
    line_add(&line, name);
    line_add(&line, ": ");
    line_add_real(&line, measure->value);
    line_add(&line, " (");
    line_add_real(&line, measure->low);
    line_add(&line, " - ");
    line_add_real(&line, measure->high);
    line_add(&line, ")");
    say(&line);
}

static bool report(const struct two_by_two *t, uint64_t missing, const char *title, tool_string_t *error) {
    struct estimate exposed = proportion(t->a, t->a + t->b);
    struct estimate unexposed = proportion(t->c, t->c + t->d);
    struct estimate measures[] = {risk_ratio(t), odds_ratio(t), risk_difference(t)};
    static const char *const names[] = {"risk ratio", "odds ratio", "risk difference"};
    static const char *const count_columns[] = {"group", "outcome", "none", "risk", "low", "high"};
    static const char *const measure_columns[] = {"measure", "value", "low", "high"};

    say_row("            outcome       none", NULL);
    say_row("exposed   ", (const uint64_t[]){t->a, t->b});
    say_row("unexposed ", (const uint64_t[]){t->c, t->d});
    if (missing) {
        struct line line = {0};
        line_add_count(&line, missing, 0);
        line_add(&line, " rows without a value were left out / 値のない行を除きました");
        say(&line);
    }
    kekkai_session_types_value_t counts[] = {
        label("exposed"), integer(t->a), integer(t->b), real(exposed.value), real(exposed.low), real(exposed.high),
        label("unexposed"), integer(t->c), integer(t->d), real(unexposed.value), real(unexposed.low),
        real(unexposed.high),
    };
    kekkai_session_types_value_t cells[3 * 4];
    for (size_t i = 0; i < 3; i++) {
        say_measure(names[i], &measures[i]);
        cells[4 * i] = label(names[i]);
        cells[4 * i + 1] = real(measures[i].value);
        cells[4 * i + 2] = real(measures[i].low);
        cells[4 * i + 3] = real(measures[i].high);
    }
    struct line second = {0};
    line_add(&second, title);
    line_add(&second, ": measures");
    return submit(title, count_columns, 6, counts, 2, error) &&
           submit(second.text, measure_columns, 4, cells, 3, error);
}

/* A copy with the zero at its end that C wants. */
static char *copied(const tool_string_t *from) {
    char *copy = malloc(from->len + 1);
    if (copy) {
        memcpy(copy, from->ptr, from->len);
        copy[from->len] = 0;
    }
    return copy;
}

bool exports_tool_run(tool_string_t *error) {
    tool_list_string_t arguments;
    kekkai_session_args_get(&arguments);
    if (arguments.len < 1 || arguments.len > 2) {
        tool_list_string_free(&arguments);
        return stop(error, "usage: riskratio 'SELECT exposed, outcome FROM …' ['title'] / ",
                    "使い方: riskratio 'SELECT 曝露, アウトカム FROM …' ['表題']", "");
    }
    char *title = arguments.len == 2 ? copied(&arguments.ptr[1]) : NULL;
    kekkai_session_data_list_value_t none = {NULL, 0};
    kekkai_session_data_own_rows_t rows;
    kekkai_session_data_failure_t failure;
    bool is_good = kekkai_session_data_query(&arguments.ptr[0], &none, &rows, &failure);
    tool_list_string_free(&arguments);
    if (!is_good) {
        free(title);
        return stop_at(error, "query", &failure);
    }
    struct two_by_two table = {0, 0, 0, 0};
    uint64_t missing = 0;
    is_good = read_rows(rows, &table, &missing, error);
    kekkai_session_data_rows_drop_own(rows);
    is_good = is_good && report(&table, missing, title ? title : TITLE, error);
    free(title);
    return is_good;
}
