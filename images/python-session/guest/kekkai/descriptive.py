"""Descriptive statistics of plain lists, without missing values.

Sums of real numbers are rounded once (`math.fsum`), so that results don't depend on the order of rows.
An empty list gives NaN, as there is no answer.
"""

import math
from decimal import Decimal

NAN = math.nan


def total(values):
    """The sum; exact for integers and decimals."""
    if any(isinstance(value, float) for value in values):
        return math.fsum(values)
    return sum(values)


def mean(values):
    """The arithmetic mean."""
    values = list(values)
    return float(total(values)) / len(values) if values else NAN


def variance(values):
    """The sample variance (n - 1); NaN for fewer than two values."""
    values = [float(value) for value in values]
    if len(values) < 2:
        return NAN
    # Two passes: the textbook's difference of squares loses all digits for large means.
    centre = math.fsum(values) / len(values)
    return math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1)


def sd(values):
    """The sample standard deviation (n - 1); NaN for fewer than two values."""
    return math.sqrt(variance(values))


def quantile(values, share):
    """A quantile by linear interpolation: type 7 of Hyndman and Fan (1996), the default of R and NumPy."""
    if not 0 <= share <= 1:
        raise ValueError(f"a quantile's share is from 0 to 1, not {share}")
    ordered = sorted(values)
    if not ordered:
        return NAN
    place = (len(ordered) - 1) * share
    below = math.floor(place)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    if isinstance(low, Decimal):
        return low + (high - low) * Decimal(place - below)
    return low + (high - low) * (place - below)


def median(values):
    """The median."""
    return quantile(values, 0.5)


def quartiles(values):
    """The first quartile, the median and the third quartile."""
    ordered = sorted(values)
    return tuple(quantile(ordered, share) for share in (0.25, 0.5, 0.75))


def describe(values):
    """The usual figures of a list of numbers, by name."""
    values = list(values)
    first, middle, third = quartiles(values)
    return {"n": len(values), "mean": mean(values), "sd": sd(values), "q1": first, "median": middle, "q3": third}
