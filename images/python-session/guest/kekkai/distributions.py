"""Distribution functions, to about twelve digits.

Incomplete gamma and beta functions by series and continued fraction (modified Lentz): Abramowitz and
Stegun 6.5.29, 6.5.31, 26.5.8; Lentz (1976).
"""

import math
from statistics import NormalDist

_TINY = 1e-300
_ENOUGH = 1e-16
_STEPS_MAX = 100_000

_NORMAL = NormalDist()


def normal_quantile(share):
    """The standard normal deviate below which this share lies."""
    return _NORMAL.inv_cdf(share)


def normal_two_sided(deviate):
    """The share of a standard normal that is further from 0 than this."""
    return math.erfc(abs(deviate) / math.sqrt(2))


def _continued_fraction(terms, first):
    """Modified Lentz: `terms` gives pairs of numerator and denominator."""
    value = first or _TINY
    c, d = value, 0.0
    for numerator, denominator in terms:
        d = denominator + numerator * d
        d = 1 / (d or _TINY)
        c = denominator + numerator / c
        c = c or _TINY
        step = c * d
        value *= step
        if abs(step - 1) < _ENOUGH * 4:
            return value
    raise ArithmeticError("a continued fraction doesn't converge")


def _gamma_upper(shape, x):
    """The regularized upper incomplete gamma function Q(shape, x)."""
    if x <= 0:
        return 1.0
    front = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1:
        term = part = 1 / shape
        for step in range(1, _STEPS_MAX):
            term *= x / (shape + step)
            part += term
            if term < part * _ENOUGH:
                break
        return 1 - front * part
    terms = ((-step * (step - shape), x + 2 * step + 1 - shape) for step in range(1, _STEPS_MAX))
    return front / _continued_fraction(terms, x + 1 - shape)


def chi_square_upper(statistic, degrees):
    """The share of a chi-square distribution above a statistic."""
    return _gamma_upper(degrees / 2, statistic / 2)


def beta_lower(a, b, x):
    """The regularized incomplete beta function I_x(a, b)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_lower(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))

    def terms():
        for step in range(_STEPS_MAX):
            odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
            yield odd, 1.0
            even = (step + 1) * (b - step - 1) * x / ((a + 2 * step + 1) * (a + 2 * step + 2))
            yield even, 1.0

    return front / (a * _continued_fraction(terms(), 1.0))


def t_two_sided(statistic, degrees):
    """The share of Student's t distribution that is further from 0 than a statistic."""
    if math.isinf(statistic):
        return 0.0
    return beta_lower(degrees / 2, 0.5, degrees / (degrees + statistic * statistic))


def t_quantile(share, degrees):
    """The deviate of Student's t distribution below which this share lies."""
    if not 0 < share < 1:
        raise ValueError(f"a share is between 0 and 1, not {share}")
    if share < 0.5:
        return -t_quantile(1 - share, degrees)
    outside = 2 * (1 - share)
    low, high = 0.0, 1.0
    while t_two_sided(high, degrees) > outside:
        low, high = high, high * 2
    # Halving a double's interval ends after some sixty steps.
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if t_two_sided(middle, degrees) > outside:
            low = middle
        else:
            high = middle
