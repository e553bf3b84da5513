"""Proportions and two-by-two tables.

Intervals are those that textbooks give (Rothman, Greenland and Lash, "Modern Epidemiology", ch. 14);
each says which it is.
"""

import math
from dataclasses import dataclass

from .distributions import normal_quantile
from .inference import Test, chi_square, fisher_exact


@dataclass(frozen=True)
class Estimate:
    """A value and its confidence interval. NaN where the data gives none."""

    value: float
    low: float
    high: float

    def __str__(self):
        return f"{self.value:.3g} ({self.low:.3g} – {self.high:.3g})"

    def __iter__(self):
        return iter((self.value, self.low, self.high))


def _deviate(confidence):
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence is between 0 and 1, not {confidence}")
    return normal_quantile((1 + confidence) / 2)


def proportion(cases, total, confidence=0.95):
    """A proportion with Wilson's score interval (1927)."""
    if not 0 <= cases <= total:
        raise ValueError(f"{cases} cases of {total}")
    if total == 0:
        return Estimate(math.nan, math.nan, math.nan)
    z = _deviate(confidence)
    share = cases / total
    scale = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / scale
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / scale
    # At 0 and 1 the interval ends there exactly, but for rounding.
    low = 0.0 if cases == 0 else centre - half
    high = 1.0 if cases == total else centre + half
    return Estimate(share, low, high)


@dataclass(frozen=True)
class TwoByTwo:
    """Persons by exposure and outcome.

    ```
                 outcome   none
    exposed         a        b
    unexposed       c        d
    ```
    """

    a: int
    b: int
    c: int
    d: int

    def __post_init__(self):
        cells = (self.a, self.b, self.c, self.d)
        if any(not isinstance(cell, int) or cell < 0 for cell in cells):
            raise ValueError(f"a two-by-two table holds counts, not {cells}")

    @property
    def exposed(self):
        """Exposed persons."""
        return self.a + self.b

    @property
    def unexposed(self):
        """Unexposed persons."""
        return self.c + self.d

    def risks(self, confidence=0.95):
        """The risks of the exposed and of the unexposed, each with Wilson's interval."""
        return proportion(self.a, self.exposed, confidence), proportion(self.c, self.unexposed, confidence)

    def risk_ratio(self, confidence=0.95):
        """The risk ratio; interval by the logarithm's standard error (Katz, 1978)."""
        if not (self.exposed and self.unexposed and self.c):
            return Estimate(math.nan, math.nan, math.nan)
        value = (self.a / self.exposed) / (self.c / self.unexposed)
        if not self.a:
            return Estimate(value, math.nan, math.nan)
        error = math.sqrt(1 / self.a - 1 / self.exposed + 1 / self.c - 1 / self.unexposed)
        return _around(value, error, confidence)

    def odds_ratio(self, confidence=0.95):
        """The odds ratio; interval by the logarithm's standard error (Woolf, 1955)."""
        if not (self.b and self.c):
            return Estimate(math.nan, math.nan, math.nan)
        value = (self.a * self.d) / (self.b * self.c)
        if not (self.a and self.d):
            return Estimate(value, math.nan, math.nan)
        error = math.sqrt(1 / self.a + 1 / self.b + 1 / self.c + 1 / self.d)
        return _around(value, error, confidence)

    def risk_difference(self, confidence=0.95):
        """The risk difference; Wald's interval."""
        if not (self.exposed and self.unexposed):
            return Estimate(math.nan, math.nan, math.nan)
        one, other = self.a / self.exposed, self.c / self.unexposed
        error = math.sqrt(one * (1 - one) / self.exposed + other * (1 - other) / self.unexposed)
        half = _deviate(confidence) * error
        return Estimate(one - other, one - other - half, one - other + half)

    def chi_square(self, correction=False) -> Test:
        """Pearson's test of independence, with Yates's correction if asked."""
        return chi_square([[self.a, self.b], [self.c, self.d]], correction)

    def fisher(self) -> Test:
        """Fisher's exact test, two-sided."""
        return fisher_exact(self.a, self.b, self.c, self.d)

    def __str__(self):
        rows = [("", "outcome", "none", "total")]
        rows.append(("exposed", self.a, self.b, self.exposed))
        rows.append(("unexposed", self.c, self.d, self.unexposed))
        return "\n".join(f"{name:<10}{yes:>9}{no:>9}{both:>9}" for name, yes, no, both in rows)


def _around(value, error, confidence):
    factor = math.exp(_deviate(confidence) * error)
    return Estimate(value, value / factor, value * factor)


def two_by_two(frame, exposure, outcome):
    """Counts a frame's rows by two columns of true and false; rows that lack either are left out."""
    cells = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
    for exposed, happened in zip(frame[exposure], frame[outcome]):
        if exposed is not None and happened is not None:
            cells[bool(exposed), bool(happened)] += 1
    return TwoByTwo(cells[True, True], cells[True, False], cells[False, True], cells[False, False])
