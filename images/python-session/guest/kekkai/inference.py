"""Tests: each gives its statistic, its degrees of freedom and a two-sided p-value."""

import math
from dataclasses import dataclass

from .descriptive import mean, variance
from .distributions import chi_square_upper, t_quantile, t_two_sided


@dataclass(frozen=True)
class Test:
    """A test's result. NaN where the data gives none."""

    name: str
    statistic: float
    degrees: float
    p: float

    def __str__(self):
        degrees = "" if math.isnan(self.degrees) else f", df {self.degrees:.4g}"
        return f"{self.name}: statistic {self.statistic:.4g}{degrees}, p {self.p:.3g}"


def chi_square(table, correction=False):
    """Pearson's test of independence of rows and columns of counts.

    `correction` is Yates's, for two-by-two tables only.
    """
    rows = [sum(row) for row in table]
    columns = [sum(column) for column in zip(*table, strict=True)]
    n = sum(rows)
    if correction and (len(rows), len(columns)) != (2, 2):
        raise ValueError("Yates's correction is for two-by-two tables")
    if len(rows) < 2 or len(columns) < 2 or 0 in rows or 0 in columns:
        return Test("chi-square", math.nan, math.nan, math.nan)
    parts = []
    for row, row_sum in zip(table, rows):
        for count, column_sum in zip(row, columns):
            expected = row_sum * column_sum / n
            off = abs(count - expected)
            if correction:
                # Not beyond 0: Yates's half must not turn a difference round.
                off = max(off - 0.5, 0.0)
            parts.append(off * off / expected)
    statistic = math.fsum(parts)
    degrees = (len(rows) - 1) * (len(columns) - 1)
    return Test("chi-square", statistic, degrees, chi_square_upper(statistic, degrees))


def fisher_exact(a, b, c, d):
    """Fisher's exact test of a two-by-two table: the tables with the same margins that are no likelier."""
    # The logarithm of each table's probability relative to the observed one's, by the ratio of neighbours.
    def walk(a, b, c, d, up):
        logarithm = 0.0
        while (b and c) if up else (a and d):
            if up:
                logarithm += math.log(b * c / ((a + 1) * (d + 1)))
                a, b, c, d = a + 1, b - 1, c - 1, d + 1
            else:
                logarithm += math.log(a * d / ((b + 1) * (c + 1)))
                a, b, c, d = a - 1, b + 1, c + 1, d - 1
            yield logarithm

    logarithms = [0.0, *walk(a, b, c, d, True), *walk(a, b, c, d, False)]
    # The likeliest table has weight 1, so that nothing overflows.
    top = max(logarithms)
    # The tolerance of R and SciPy: tables as likely as the observed one differ by rounding only.
    tail = math.fsum(math.exp(one - top) for one in logarithms if one <= 1e-7)
    p = tail / math.fsum(math.exp(one - top) for one in logarithms)
    statistic = a * d / (b * c) if b and c else math.inf if a and d else math.nan
    return Test("Fisher's exact", statistic, math.nan, min(1.0, p))


def t_test(one, other, equal_variances=False):
    """Compares two means: Welch's test, or Student's if the variances are said to be equal."""
    one, other = list(one), list(other)
    n, m = len(one), len(other)
    name = "Student's t" if equal_variances else "Welch's t"
    if n < 2 or m < 2:
        return Test(name, math.nan, math.nan, math.nan)
    v, w = variance(one), variance(other)
    if equal_variances:
        degrees = n + m - 2
        squared = ((n - 1) * v + (m - 1) * w) / degrees * (1 / n + 1 / m)
    else:
        squared = v / n + w / m
        if squared:
            degrees = squared**2 / ((v / n) ** 2 / (n - 1) + (w / m) ** 2 / (m - 1))
    if not squared:
        return Test(name, math.nan, math.nan, math.nan)
    statistic = (mean(one) - mean(other)) / math.sqrt(squared)
    return Test(name, statistic, degrees, t_two_sided(statistic, degrees))


def mean_interval(values, confidence=0.95):
    """A mean with the interval of Student's t: value, low, high."""
    values = list(values)
    n = len(values)
    if n < 2:
        return mean(values), math.nan, math.nan
    half = t_quantile((1 + confidence) / 2, n - 1) * math.sqrt(variance(values) / n)
    centre = mean(values)
    return centre, centre - half, centre + half
