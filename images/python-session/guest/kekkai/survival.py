"""Survival: the product-limit estimator of Kaplan and Meier, and the log-rank test."""

import math
from collections import Counter
from dataclasses import dataclass, field

from .distributions import chi_square_upper, normal_quantile
from .inference import Test


@dataclass(frozen=True)
class Step:
    """What happened at one time."""

    time: float
    at_risk: int
    events: int
    censored: int
    survival: float
    low: float
    high: float


@dataclass(frozen=True)
class KaplanMeier:
    """A survival curve: one step for each time at which somebody had the event or left."""

    steps: list = field(repr=False)

    def at(self, time):
        """The survival at a time."""
        survival = 1.0
        for step in self.steps:
            if step.time > time:
                break
            survival = step.survival
        return survival

    @property
    def median(self):
        """The first time at which survival is a half or less; NaN if it never is."""
        return next((step.time for step in self.steps if step.survival <= 0.5), math.nan)


def kaplan_meier(times, events, confidence=0.95):
    """The curve of persons followed for `times`, whose `events` tell who had the event.

    Greenwood's variance (1926); interval on the scale of log(-log S) (Kalbfleisch and Prentice), which
    stays between 0 and 1. Before the first event and at a survival of 0 there is none: low and high are
    the survival itself.
    """
    happened, left = Counter(), Counter()
    for time, event in zip(times, events, strict=True):
        if not time >= 0:
            raise ValueError("a time of follow-up is 0 or more")
        (happened if event else left)[time] += 1
    z = normal_quantile((1 + confidence) / 2)
    at_risk = happened.total() + left.total()
    survival, greenwood = 1.0, 0.0
    steps = []
    for time in sorted(happened | left):
        deaths, gone = happened[time], left[time]
        if deaths:
            survival *= 1 - deaths / at_risk
            if at_risk > deaths:
                greenwood += deaths / (at_risk * (at_risk - deaths))
        if 0 < survival < 1:
            spread = z * math.sqrt(greenwood) / math.log(survival)
            low, high = survival ** math.exp(-spread), survival ** math.exp(spread)
        else:
            survival = 0.0 if at_risk == deaths else survival
            low = high = survival
        steps.append(Step(time, at_risk, deaths, gone, survival, low, high))
        at_risk -= deaths + gone
    return KaplanMeier(steps)


def log_rank(times, events, groups):
    """The log-rank test of two groups (Mantel, 1966)."""
    names = sorted(set(groups), key=str)
    if len(names) != 2:
        raise ValueError(f"the log-rank test compares two groups, not {len(names)}")
    happened = Counter()
    leaving = Counter()
    for time, event, group in zip(times, events, groups, strict=True):
        leaving[time, group] += 1
        if event:
            happened[time, group] += 1
    one, other = names
    n, m = (sum(count for (_, group), count in leaving.items() if group == name) for name in names)
    expected, observed, spread = [], 0, []
    for time in sorted({time for time, _ in leaving}):
        first, second = happened[time, one], happened[time, other]
        deaths, total = first + second, n + m
        if deaths:
            observed += first
            expected.append(deaths * n / total)
            if total > 1:
                spread.append(deaths * (n / total) * (m / total) * (total - deaths) / (total - 1))
        n -= leaving[time, one]
        m -= leaving[time, other]
    width = math.fsum(spread)
    if not width:
        return Test("log-rank", math.nan, 1, math.nan)
    statistic = (observed - math.fsum(expected)) ** 2 / width
    return Test("log-rank", statistic, 1, chi_square_upper(statistic, 1))
