"""Table one's figures and what it withholds, in CPython."""

import math
import random
import statistics
import unittest

import kekkai
import table_one


def frame(**columns):
    return kekkai.Frame(columns)


def cell(table, variable, level, measure, group):
    (row,) = [
        row for row in table if (row["variable"], row["level"], row["measure"]) == (variable, level, measure)
    ]
    return row[group]


class TableOne(unittest.TestCase):
    def setUp(self):
        self.ages = {"a": [float(n) for n in range(40, 60)], "b": [float(n) for n in range(50, 90)]}
        arms = ["a"] * 20 + ["b"] * 40
        self.frame = frame(
            arm=arms, age=self.ages["a"] + self.ages["b"], sex=["F", "M"] * 10 + ["F"] * 25 + ["M"] * 15
        )

    def test_numbers_are_described_by_group(self):
        table = table_one.describe(self.frame)
        self.assertEqual(table.columns, ["variable", "level", "measure", "arm a", "arm b", "smd", "p"])
        self.assertEqual(cell(table, "persons", None, "n", "arm b"), 40)
        self.assertEqual(cell(table, "age", None, "mean", "arm a"), 49.5)
        expected = statistics.stdev(self.ages["b"])
        self.assertEqual(cell(table, "age", None, "sd", "arm b"), float(f"{expected:.4g}"))

    def test_groups_are_compared(self):
        table = table_one.describe(self.frame)
        spread = math.sqrt((statistics.variance(self.ages["a"]) + statistics.variance(self.ages["b"])) / 2)
        self.assertAlmostEqual(cell(table, "age", None, "mean", "smd"), (49.5 - 69.5) / spread, 3)
        self.assertLess(cell(table, "age", None, "mean", "p"), 1e-6)
        self.assertGreater(cell(table, "sex", "F", "n", "p"), 0.05)

    def test_levels_are_counted(self):
        table = table_one.describe(self.frame)
        self.assertEqual(cell(table, "sex", "F", "n", "arm b"), 25)
        self.assertEqual(cell(table, "sex", "M", "%", "arm b"), 37.5)

    def test_no_count_under_the_threshold_is_shown_or_can_be_computed(self):
        seed = random.randrange(2**32)
        chance = random.Random(seed)
        for _ in range(200):
            levels = [chance.choice("ABCD") for _ in range(chance.randint(10, 60))]
            table = table_one.describe(frame(arm=["x"] * len(levels), level=levels))
            shown = [row["arm x"] for row in table if row["variable"] == "level" and row["measure"] == "n"]
            hidden = shown.count(None)
            self.assertTrue(all(n is None or n == 0 or n >= table_one.THRESHOLD for n in shown), f"seed {seed}")
            if len(shown) > 1:
                # A single gap is the total less the rest.
                self.assertNotEqual(hidden, 1, f"seed {seed}: {shown}")

    def test_a_comparison_that_would_reveal_a_hidden_count_is_left_out(self):
        table = table_one.describe(frame(arm=["a"] * 20 + ["b"] * 20, x=["p"] * 19 + ["q"] + ["p"] * 10 + ["q"] * 10))
        self.assertIsNone(cell(table, "x", "p", "n", "p"))
        self.assertIsNone(cell(table, "x", "p", "n", "smd"))
        self.assertIsNone(cell(table, "x", "q", "%", "arm a"))

    def test_a_small_group_is_refused(self):
        with self.assertRaisesRegex(table_one.Refused, "under 10"):
            table_one.describe(frame(arm=["a"] * 9 + ["b"] * 20, x=[1] * 29))

    def test_few_values_have_no_quartiles(self):
        table = table_one.describe(frame(arm=["a"] * 20, x=[1.0, 2.0] + [None] * 18))
        self.assertIsNone(cell(table, "x", None, "median", "arm a"))

    def test_rows_without_a_group_are_left_out(self):
        table = table_one.describe(frame(arm=["a"] * 12 + [None] * 5, x=[1] * 17))
        self.assertEqual(cell(table, "persons", None, "n", "arm a"), 12)

    def test_a_statement_without_columns_or_with_too_many_groups_is_refused(self):
        for wrong in (frame(arm=["a"] * 20), frame(arm=list(range(20)), x=[1] * 20), frame()):
            with self.assertRaises(table_one.Refused):
                table_one.describe(wrong)

    def test_arguments_are_one_or_two(self):
        for arguments in ([], ["a", "b", "c"]):
            with self.assertRaisesRegex(table_one.Refused, "usage"):
                table_one.main(arguments)


if __name__ == "__main__":
    unittest.main()
