"""Frames: what each operation gives, missing values included."""

import unittest
from datetime import date

from kekkai import Column, Frame
from kekkai.text import width

PEOPLE = Frame(
    {
        "id": [1, 2, 3, 4, 5],
        "sex": ["男", "女", "女", None, "男"],
        "age": [71, 65, None, 80, 65],
    }
)
DRUGS = Frame({"id": [1, 1, 3, 9], "drug": ["a", "b", "a", "c"], "age": [0, 0, 0, 0]})


class Frames(unittest.TestCase):
    def test_columns_of_different_lengths_are_refused(self):
        with self.assertRaisesRegex(ValueError, "1, 2"):
            Frame({"a": [1], "b": [1, 2]})

    def test_a_column_of_mixed_kinds_is_refused_by_name(self):
        with self.assertRaisesRegex(TypeError, '"a".*int, str'):
            Frame({"a": [1, "x"]})

    def test_an_unknown_column_says_which_there_are(self):
        with self.assertRaisesRegex(KeyError, "id, sex, age"):
            PEOPLE["name"]
        with self.assertRaises(KeyError):
            PEOPLE.drop("name")

    def test_rows_are_dicts(self):
        self.assertEqual(list(PEOPLE)[1], {"id": 2, "sex": "女", "age": 65})
        self.assertEqual(len(PEOPLE), 5)
        self.assertIn("sex", PEOPLE)

    def test_where_by_value_function_and_truths(self):
        self.assertEqual(list(PEOPLE.where(sex="女")["id"]), [2, 3])
        self.assertEqual(list(PEOPLE.where(lambda row: (row["age"] or 0) > 65)["id"]), [1, 4])
        self.assertEqual(list(PEOPLE.where([True, False, False, False, True], age=65)["id"]), [5])
        with self.assertRaises(ValueError):
            PEOPLE.where([True])

    def test_select_renames_and_with_columns_computes(self):
        frame = PEOPLE.select("id", years="age").with_columns(old=lambda row: (row["years"] or 0) >= 70)
        self.assertEqual(frame.columns, ["id", "years", "old"])
        self.assertEqual(list(frame["old"]), [True, False, False, True, False])

    def test_sort_is_stable_and_puts_missing_last(self):
        self.assertEqual(list(PEOPLE.sort("age")["id"]), [2, 5, 1, 4, 3])
        self.assertEqual(list(PEOPLE.sort("age", descending=True)["id"]), [4, 1, 2, 5, 3])
        self.assertEqual(list(PEOPLE.sort("age", "id", descending=True)["id"]), [4, 1, 5, 2, 3])

    def test_groups_leave_missing_values_out_of_aggregates(self):
        found = PEOPLE.group_by("sex").agg(n=("id", "count"), age=("age", "mean"), top=("age", max))
        self.assertEqual(
            list(found),
            [
                {"sex": "男", "n": 2, "age": 68.0, "top": 71},
                {"sex": "女", "n": 2, "age": 65.0, "top": 65},
                {"sex": None, "n": 1, "age": 80.0, "top": 80},
            ],
        )
        with self.assertRaisesRegex(ValueError, "mode"):
            PEOPLE.group_by("sex").agg(x=("age", "mode"))

    def test_groups_of_nothing_have_their_columns(self):
        found = PEOPLE.where(id=99).group_by("sex").agg(n=("id", "count"))
        self.assertEqual((found.columns, len(found)), (["sex", "n"], 0))

    def test_inner_join_repeats_matches(self):
        found = PEOPLE.select("id").join(DRUGS, on="id")
        self.assertEqual(list(found.tuples()), [(1, "a", 0), (1, "b", 0), (3, "a", 0)])

    def test_left_join_keeps_rows_without_match(self):
        found = PEOPLE.join(DRUGS, on="id", how="left")
        self.assertEqual(found.columns, ["id", "sex", "age", "drug", "age_right"])
        self.assertEqual(list(found["drug"]), ["a", "b", None, "a", None, None])

    def test_missing_keys_match_nothing(self):
        one = Frame({"k": [None, 1]})
        self.assertEqual(len(one.join(one, on="k")), 1)

    def test_value_counts_and_distinct(self):
        self.assertEqual(list(PEOPLE.value_counts("age").tuples()), [(65, 2), (71, 1), (None, 1), (80, 1)])
        self.assertEqual(list(PEOPLE.distinct("sex")["id"]), [1, 2, 4])

    def test_describe_counts_what_is_missing(self):
        row = PEOPLE.describe().where(column="age").row(0)
        self.assertEqual((row["missing"], row["n"], row["median"]), (1, 4, 68.0))

    def test_operations_leave_the_frame_as_it_was(self):
        before = list(PEOPLE.tuples())
        PEOPLE.sort("age").where(sex="男").with_columns(x=[1, 2])
        self.assertEqual(list(PEOPLE.tuples()), before)


class Columns(unittest.TestCase):
    def test_a_column_knows_its_type_and_figures(self):
        ages = PEOPLE["age"]
        self.assertEqual((ages.type.value, ages.missing, ages.count(), ages.max()), ("integer", 1, 4, 80))
        self.assertEqual(Column.of_values("d", [date(2024, 1, 1), None]).min(), date(2024, 1, 1))

    def test_slices_keep_name_and_type(self):
        self.assertEqual(list(PEOPLE["age"][1:3]), [65, None])


class Printing(unittest.TestCase):
    def test_full_width_characters_line_up(self):
        lines = str(PEOPLE).splitlines()
        self.assertEqual(
            lines,
            ["id  sex  age", "──  ───  ───", " 1  男    71", " 2  女    65", " 3  女     -", " 4  -     80", " 5  男    65"],
        )

    def test_widths_of_characters(self):
        self.assertEqual([width(text) for text in ("abc", "脳梗塞", "ﾊﾝ", "が", "か\u3099")], [3, 6, 2, 2, 2])

    def test_control_characters_are_shown_not_obeyed(self):
        self.assertIn("a·[31mb·c", str(Frame({"x": ["a\x1b[31mb\nc"]})))

    def test_a_long_frame_says_how_much_is_left(self):
        self.assertTrue(str(Frame({"x": list(range(25))})).endswith("… 5 more rows"))

    def test_a_long_cell_is_cut(self):
        longest = max(map(width, str(Frame({"x": ["脳" * 100]})).splitlines()))
        self.assertLessEqual(longest, 40)


if __name__ == "__main__":
    unittest.main()
