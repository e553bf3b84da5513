#include "two_by_two.h"

#include <math.h>

/* The standard normal deviate of a two-sided 95 %. */
static const double Z = 1.959963984540054;

static const struct estimate NONE = {NAN, NAN, NAN};

struct estimate proportion(uint64_t cases, uint64_t total) {
    if (total == 0) {
        return NONE;
    }
    double n = (double)total;
    double share = (double)cases / n;
    double scale = 1 + Z * Z / n;
    double centre = (share + Z * Z / (2 * n)) / scale;
    double half = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / scale;
    return (struct estimate){
        share,
        cases == 0 ? 0 : centre - half,
        cases == total ? 1 : centre + half,
    };
}

/* The interval of a ratio by the standard error of its logarithm. */
static struct estimate around(double value, double error) {
    double factor = exp(Z * error);
    return (struct estimate){value, value / factor, value * factor};
}

struct estimate risk_ratio(const struct two_by_two *t) {
    if (t->a == 0 || t->c == 0) {
        return NONE;
    }
    double a = (double)t->a, c = (double)t->c;
    double n = (double)(t->a + t->b), m = (double)(t->c + t->d);
    return around((a / n) / (c / m), sqrt(1 / a - 1 / n + 1 / c - 1 / m));
}

struct estimate odds_ratio(const struct two_by_two *t) {
    if (t->a == 0 || t->b == 0 || t->c == 0 || t->d == 0) {
        return NONE;
    }
    double a = (double)t->a, b = (double)t->b, c = (double)t->c, d = (double)t->d;
    return around((a * d) / (b * c), sqrt(1 / a + 1 / b + 1 / c + 1 / d));
}

struct estimate risk_difference(const struct two_by_two *t) {
    double n = (double)(t->a + t->b), m = (double)(t->c + t->d);
    if (n == 0 || m == 0) {
        return NONE;
    }
    double p = (double)t->a / n, q = (double)t->c / m;
    double half = Z * sqrt(p * (1 - p) / n + q * (1 - q) / m);
    return (struct estimate){p - q, p - q - half, p - q + half};
}
