"""Statistics equal SciPy's, or the figures that their sources print."""

import math
import random
import statistics
import unittest
import warnings
from decimal import Decimal

import kekkai
import numpy
import scipy.stats
from kekkai import distributions

# Freireich et al. (1963), remission in leukaemia, weeks; as printed in Kalbfleisch and Prentice.
MERCAPTOPURINE = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


class Close(unittest.TestCase):
    def assertClose(self, found, expected, relative=1e-9, message=None):
        if math.isnan(expected):
            self.assertTrue(math.isnan(found), f"{found} for NaN: {message}")
        else:
            self.assertTrue(
                math.isclose(found, expected, rel_tol=relative, abs_tol=1e-300), f"{found} for {expected}: {message}"
            )

    def setUp(self):
        self.seed = random.randrange(2**32)
        self.random = random.Random(self.seed)

    def numbers(self, count, mean=0.0, sd=1.0):
        return [self.random.gauss(mean, sd) for _ in range(count)]


class Descriptive(Close):
    def test_mean_sd_and_quantiles_equal_numpys(self):
        for count in (1, 2, 3, 10, 101):
            values = self.numbers(count, 1e6, 3)
            self.assertClose(kekkai.mean(values), numpy.mean(values))
            if count > 1:
                self.assertClose(kekkai.sd(values), statistics.stdev(values), 1e-7)
            for share in (0, 0.1, 0.25, 0.5, 0.9, 1):
                self.assertClose(kekkai.quantile(values, share), numpy.quantile(values, share))

    def test_a_large_mean_costs_no_digits(self):
        self.assertClose(kekkai.sd([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]), math.sqrt(30))

    def test_nothing_has_no_mean_and_one_value_no_deviation(self):
        self.assertTrue(math.isnan(kekkai.mean([])))
        self.assertTrue(math.isnan(kekkai.median([])))
        self.assertTrue(math.isnan(kekkai.sd([1.0])))

    def test_decimals_keep_their_kind(self):
        self.assertEqual(kekkai.median([Decimal("1.1"), Decimal("1.3")]), Decimal("1.2"))

    def test_a_share_beyond_one_is_refused(self):
        with self.assertRaisesRegex(ValueError, "1.5"):
            kekkai.quantile([1], 1.5)


class Distributions(Close):
    def test_tails_equal_scipys(self):
        for _ in range(400):
            degrees = self.random.choice([1, 2, 3, 5, 10, 30, 200, 1e4]) * self.random.uniform(0.5, 2)
            x = self.random.expovariate(0.2)
            place = f"degrees {degrees}, x {x}, seed {self.seed}"
            upper = scipy.stats.chi2.sf(x, degrees)
            if upper > 1e-10:
                self.assertClose(distributions.chi_square_upper(x, degrees), upper, 1e-9, place)
            self.assertClose(distributions.t_two_sided(x, degrees), 2 * scipy.stats.t.sf(x, degrees), 1e-9, place)
            share = self.random.uniform(0.001, 0.999)
            self.assertClose(
                distributions.t_quantile(share, degrees), scipy.stats.t.ppf(share, degrees), 1e-6, f"{share} {place}"
            )

    def test_normal_deviates_equal_scipys(self):
        for share in (0.001, 0.025, 0.5, 0.9, 0.975, 0.9999):
            self.assertAlmostEqual(distributions.normal_quantile(share), scipy.stats.norm.ppf(share), 12)
        self.assertClose(distributions.normal_two_sided(1.96), 2 * scipy.stats.norm.sf(1.96))


class Tests(Close):
    def test_welch_and_student_equal_scipys(self):
        for _ in range(100):
            one = self.numbers(self.random.randint(2, 40), 0, 1)
            other = self.numbers(self.random.randint(2, 40), 0.5, 3)
            for equal in (False, True):
                found = kekkai.t_test(one, other, equal)
                expected = scipy.stats.ttest_ind(one, other, equal_var=equal)
                self.assertClose(found.statistic, expected.statistic, 1e-9, self.seed)
                self.assertClose(found.degrees, expected.df, 1e-9, self.seed)
                self.assertClose(found.p, expected.pvalue, 1e-8, self.seed)

    def test_chi_square_equals_scipys(self):
        for _ in range(100):
            shape = self.random.choice([(2, 2), (2, 3), (4, 3)])
            table = [[self.random.randint(1, 300) for _ in range(shape[1])] for _ in range(shape[0])]
            for correction in (False, True) if shape == (2, 2) else (False,):
                found = kekkai.chi_square(table, correction)
                expected = scipy.stats.chi2_contingency(table, correction=correction)
                self.assertClose(found.statistic, expected.statistic, 1e-9, f"{table} {correction}")
                self.assertClose(found.p, expected.pvalue, 1e-7, f"{table} {correction}")

    def test_fisher_equals_scipys(self):
        for scale in (5, 30, 2000):
            for _ in range(60):
                cells = [self.random.randint(0, scale) for _ in range(4)]
                found = kekkai.fisher_exact(*cells)
                expected = scipy.stats.fisher_exact([cells[:2], cells[2:]])
                # SciPy's own sum has about ten digits.
                self.assertClose(found.p, expected.pvalue, 1e-6, cells)

    def test_fishers_tea_tasting_has_its_printed_value(self):
        # Fisher, The Design of Experiments (1935): 34 of 70 in both tails.
        self.assertClose(kekkai.fisher_exact(3, 1, 1, 3).p, 34 / 70)

    def test_a_test_prints_only_what_it_has(self):
        self.assertEqual(str(kekkai.fisher_exact(3, 1, 1, 3)), "Fisher's exact: statistic 9, p 0.486")
        self.assertIn("df 1,", str(kekkai.chi_square([[3, 1], [1, 3]])))

    def test_a_constant_has_no_t(self):
        self.assertTrue(math.isnan(kekkai.t_test([1, 1], [1, 1]).p))

    def test_an_interval_of_a_mean_equals_scipys(self):
        values = self.numbers(25, 10, 2)
        low, high = scipy.stats.t.interval(0.95, 24, numpy.mean(values), scipy.stats.sem(values))
        _, found_low, found_high = kekkai.mean_interval(values)
        self.assertClose(found_low, low)
        self.assertClose(found_high, high)


class TwoByTwo(Close):
    def test_a_proportions_interval_equals_scipys(self):
        for cases, total in ((0, 10), (1, 10), (15, 50), (50, 50), (124, 850)):
            found = kekkai.proportion(cases, total)
            expected = scipy.stats.binomtest(cases, total).proportion_ci(0.95, "wilson")
            self.assertAlmostEqual(found.low, expected.low, 12)
            self.assertAlmostEqual(found.high, expected.high, 12)

    def test_the_physicians_aspirin_trial_has_its_known_risk_ratio(self):
        # Steering Committee of the Physicians' Health Study (1989): 139 of 11,037 and 239 of 11,034.
        table = kekkai.TwoByTwo(139, 11037 - 139, 239, 11034 - 239)
        ratio = table.risk_ratio()
        expected = scipy.stats.contingency.relative_risk(139, 11037, 239, 11034)
        interval = expected.confidence_interval(0.95)
        self.assertClose(ratio.value, expected.relative_risk)
        self.assertClose(ratio.low, interval.low)
        self.assertClose(ratio.high, interval.high)
        self.assertEqual(f"{ratio.value:.2f}", "0.58")

    def test_an_odds_ratio_equals_scipys(self):
        table = kekkai.TwoByTwo(20, 80, 10, 90)
        expected = scipy.stats.contingency.odds_ratio([[20, 80], [10, 90]], kind="sample")
        interval = expected.confidence_interval(0.95)
        found = table.odds_ratio()
        self.assertClose(found.value, expected.statistic)
        self.assertClose(found.low, interval.low)
        self.assertClose(found.high, interval.high)

    def test_a_risk_difference_has_walds_interval(self):
        found = kekkai.TwoByTwo(20, 80, 10, 90).risk_difference()
        half = 1.959963984540054 * math.sqrt(0.2 * 0.8 / 100 + 0.1 * 0.9 / 100)
        self.assertClose(found.value, 0.1)
        self.assertClose(found.low, 0.1 - half)
        self.assertClose(found.high, 0.1 + half)

    def test_an_empty_cell_gives_no_number_instead_of_a_wrong_one(self):
        for cells in ((0, 10, 5, 5), (0, 10, 0, 10), (0, 0, 0, 0), (5, 5, 0, 10)):
            table = kekkai.TwoByTwo(*cells)
            self.assertTrue(math.isnan(table.risk_ratio().low), cells)
            self.assertTrue(math.isnan(table.odds_ratio().low), cells)

    def test_no_table_of_anything_but_counts(self):
        for cells in ((1, 2, 3, -4), (1.5, 2, 3, 4)):
            with self.assertRaises(ValueError):
                kekkai.TwoByTwo(*cells)

    def test_rows_that_lack_a_value_are_left_out(self):
        frame = kekkai.Frame({"e": [True, True, False, None, False], "o": [True, False, True, True, None]})
        self.assertEqual(kekkai.two_by_two(frame, "e", "o"), kekkai.TwoByTwo(1, 1, 1, 0))


class Survival(Close):
    def test_remission_has_the_printed_curve(self):
        curve = kekkai.kaplan_meier(MERCAPTOPURINE, RELAPSED)
        # Kalbfleisch and Prentice, and every textbook since.
        printed = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
        self.assertEqual({s.time: round(s.survival, 3) for s in curve.steps if s.events}, printed)
        self.assertEqual(curve.median, 23)
        self.assertClose(curve.at(12), curve.at(10))
        self.assertEqual(curve.at(5.9), 1)

    def test_intervals_equal_scipys(self):
        for _ in range(20):
            times = [self.random.randint(1, 30) for _ in range(60)]
            events = [self.random.random() < 0.6 for _ in times]
            curve = kekkai.kaplan_meier(times, events)
            data = scipy.stats.CensoredData.right_censored(times, [not event for event in events])
            survival = scipy.stats.ecdf(data).sf
            with warnings.catch_warnings():
                # It warns where survival is 0 or 1, which have no interval here either.
                warnings.simplefilter("ignore", RuntimeWarning)
                interval = survival.confidence_interval(0.95, method="log-log")
            steps = {step.time: step for step in curve.steps}
            for time, value, low, high in zip(
                survival.quantiles, survival.probabilities, interval.low.probabilities, interval.high.probabilities
            ):
                self.assertClose(steps[time].survival, value, 1e-9, self.seed)
                if 0 < value < 1:
                    self.assertClose(steps[time].low, low, 1e-9, self.seed)
                    self.assertClose(steps[time].high, high, 1e-9, self.seed)

    def test_log_rank_equals_scipys(self):
        times = MERCAPTOPURINE + PLACEBO
        events = RELAPSED + [1] * 21
        groups = ["6-MP"] * 21 + ["placebo"] * 21
        found = kekkai.log_rank(times, events, groups)
        one = scipy.stats.CensoredData.right_censored(MERCAPTOPURINE, [not r for r in RELAPSED])
        expected = scipy.stats.logrank(one, scipy.stats.CensoredData(PLACEBO))
        self.assertClose(found.statistic, expected.statistic**2)
        self.assertClose(found.p, expected.pvalue)
        # R's survdiff prints 16.8.
        self.assertEqual(f"{found.statistic:.1f}", "16.8")

    def test_negative_or_missing_times_are_refused(self):
        for time in (-1, math.nan):
            with self.assertRaises(ValueError):
                kekkai.kaplan_meier([time], [True])


if __name__ == "__main__":
    unittest.main()
