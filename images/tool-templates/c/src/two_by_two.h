/* A two-by-two table and its measures of association, with 95 % confidence intervals. */
#ifndef TWO_BY_TWO_H
#define TWO_BY_TWO_H

#include <stdint.h>

/* Persons by exposure and outcome: a exposed with, b exposed without, c and d the same unexposed. */
struct two_by_two {
    uint64_t a, b, c, d;
};

/* NaN where the table gives none. */
struct estimate {
    double value, low, high;
};

/* Wilson (1927). */
struct estimate proportion(uint64_t cases, uint64_t total);
/* Katz (1978). */
struct estimate risk_ratio(const struct two_by_two *table);
/* Woolf (1955). */
struct estimate odds_ratio(const struct two_by_two *table);
/* Wald. */
struct estimate risk_difference(const struct two_by_two *table);

#endif
