"""Data, outputs and scratch: what goes over the interface, and what comes back as an error."""

import math
import re
import unittest
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import kekkai
from kekkai import messages
from session import Session, plain
from wit_world.imports import types

ROOT = Path(__file__).resolve().parents[3]


def connection():
    made = duckdb.connect()
    made.execute("CREATE TABLE patients AS SELECT i AS person_id, '男' AS sex, i * 1.5 AS score FROM range(25000) t(i)")
    return made


class Data(unittest.TestCase):
    def test_rows_come_typed_and_whole(self):
        with Session(connection()).active() as session:
            frame = kekkai.sql("SELECT * FROM patients WHERE person_id < ? AND sex = ?", 20_000, "男")
        self.assertEqual(len(frame), 20_000)
        self.assertEqual(frame.types["person_id"], "integer")
        self.assertEqual(frame["person_id"].sum(), sum(range(20_000)))
        self.assertEqual(session.queries[0][1], [20_000, "男"])
        self.assertFalse(session.rows[0].is_open, "the rows were not let go of")

    def test_rows_in_pieces_are_let_go_of_where_the_reader_stops(self):
        with Session(connection()).active() as session:
            total = 0
            for frame in kekkai.rows("SELECT * FROM patients"):
                total += len(frame)
                break
            del frame
            self.assertEqual(total, 10_000)
        self.assertFalse(session.rows[0].is_open)

    def test_a_refused_statement_has_code_place_and_both_languages(self):
        with Session(connection()).active() as session:
            session.failure = types.Failure("table-unknown", "patient", 2, 6)
            for ask in (kekkai.sql, kekkai.statistic, lambda text: list(kekkai.rows(text))):
                with self.assertRaises(kekkai.QueryError) as caught:
                    ask("SELECT *\nFROM patient")
                error = caught.exception
                self.assertEqual((error.code, error.name, error.line, error.column), ("table-unknown", "patient", 2, 6))
                for part in ("line 2, column 6", '"patient"', "kekkai.schema()", "2行6桁"):
                    self.assertIn(part, str(error))

    def test_parameters_keep_their_types(self):
        given = [None, True, 7, 1.5, "脳", date(2024, 1, 2), Decimal("1.5")]
        with Session(connection()).active() as session:
            kekkai.sql("SELECT " + ", ".join("?" * len(given)), *given)
        self.assertEqual(session.queries[0][1], [None, True, 7, 1.5, "脳", "2024-01-02", 1.5])
        self.assertIs(session.queries[0][1][1], True)

    def test_values_that_fit_no_type_are_refused(self):
        with Session(connection()).active():
            with self.assertRaises(OverflowError):
                kekkai.sql("SELECT ?", 1 << 63)
            with self.assertRaisesRegex(TypeError, "list"):
                kekkai.sql("SELECT ?", [1])

    def test_the_schema_has_a_row_for_each_column(self):
        with Session().active():
            schema = kekkai.schema()
        self.assertEqual(list(schema["column"]), ["person_id", "sex"])
        self.assertEqual(list(schema["is_person_key"]), [True, False])

    def test_every_code_has_words(self):
        api = (ROOT / "sandbox/analysis-api/src/lib.rs").read_text()
        body = re.search(r"pub enum SqlErrorCode \{(.*?)\n\}", api, re.S).group(1)
        names = re.findall(r"^    ([A-Z]\w+),", body, re.M)
        self.assertGreater(len(names), 15)
        codes = {re.sub(r"(?<!^)([A-Z])", r"-\1", name).lower() for name in names}
        # What the process that runs programs refuses, and what the review service does.
        host = "\n".join(path.read_text() for path in (ROOT / "sandbox/wasm-worker/src/host").glob("*.rs"))
        refusals = set(re.findall(r'refusal\(\s*"([a-z-]+)"', host))
        limits = set(re.findall(r'=> "(limit-[a-z-]+)"', host))
        review = (ROOT / "output-review/review/src/review/submit.rs").read_text()
        reviewed = set(re.findall(r'Refusal::new\(\s*"([a-z-]+)"', review))
        # People at desktops name a method and what they replace; a program sends neither.
        desktops = {"method-length", "replaces-not-returned"}
        self.assertLessEqual(desktops, reviewed)
        reviewed -= desktops
        self.assertTrue(refusals and limits and reviewed)
        self.assertEqual((codes | refusals | limits | reviewed) - messages.codes(), set())
        for code in messages.codes():
            english, japanese = messages.of(code)
            self.assertTrue(english.isascii(), code)
            self.assertRegex(japanese, "[ぁ-ん]")

    def test_the_guide_lists_every_code_with_these_words(self):
        guides = [(ROOT / "images/tool-templates" / name).read_text() for name in ("README.md", "README.ja.md")]
        for code in messages.codes():
            for words, guide in zip(messages.of(code), guides):
                self.assertIn(f"| `{code}` | {words} |", guide)


class Outputs(unittest.TestCase):
    def test_a_frame_is_submitted_with_its_types(self):
        frame = kekkai.Frame({"sex": ["男", None], "n": [10, 12], "share": [0.4, 0.6], "day": [date(2024, 1, 2)] * 2})
        with Session().active() as session:
            number = kekkai.submit_table("Sexes", "Counts", frame)
        self.assertEqual(number, "out-1")
        kind, title, purpose, columns, rows = session.outputs[0]
        self.assertEqual((kind, title, purpose, columns), ("table", "Sexes", "Counts", ["sex", "n", "share", "day"]))
        self.assertEqual([[plain(cell) for cell in row] for row in rows][1], [None, 12, 0.6, "2024-01-02"])

    def test_rows_need_as_many_values_as_columns(self):
        with Session().active() as session:
            with self.assertRaises(ValueError):
                kekkai.submit_table("t", "p", [[1, 2], [3]], columns=["a", "b"])
            with self.assertRaises(ValueError):
                kekkai.submit_table("t", "p", [[1, 2]])
            kekkai.submit_table("t", "p", [{"a": 1, "b": 2}], columns=["b"])
            kekkai.submit_table("t", "p", [[float("nan"), 1.5]], columns=["low", "high"])
        self.assertEqual(session.outputs[0][3], ["b"])
        self.assertEqual([plain(cell) for cell in session.outputs[1][4][0]], [None, 1.5])

    def test_a_figure_has_finite_numbers_of_one_length(self):
        with Session().active() as session:
            kekkai.submit_figure("f", "p", "bar", kekkai.Series("risk", labels=["a", "b"], y=[1, 2]), y_label="risk")
            for series in (kekkai.Series(x=[1, 2], y=[1]), kekkai.Series(x=[1], y=[math.nan])):
                with self.assertRaises(ValueError):
                    kekkai.submit_figure("f", "p", "line", series)
            with self.assertRaisesRegex(ValueError, "kaplan-meier"):
                kekkai.submit_figure("f", "p", "pie", [])
        figure = session.outputs[0][3]
        self.assertEqual((figure.kind.name, figure.y_label, figure.series[0].y), ("BAR", "risk", [1.0, 2.0]))

    def test_a_survival_curve_starts_at_one(self):
        curve = kekkai.kaplan_meier([1, 2, 3, 4], [True, False, True, False])
        series = kekkai.survival_series("all", curve)
        self.assertEqual((series.x, series.y), ([0.0, 1, 3], [1.0, 0.75, 0.375]))

    def test_a_model_has_errors_where_given(self):
        with Session().active() as session:
            kekkai.submit_model("m", "p", "Cox", {"age": (0.1, 0.02), "sex": 0.5}, 120)
            with self.assertRaisesRegex(ValueError, "age"):
                kekkai.submit_model("m", "p", "Cox", {"age": math.inf}, 120)
        model = session.outputs[0][3]
        self.assertEqual((model.method, model.observations, model.parameters[0].error), ("Cox", 120, 0.02))
        self.assertTrue(math.isnan(model.parameters[1].error))

    def test_a_refused_output_says_which_limit_and_whom_to_ask(self):
        with Session().active() as session:
            session.failure = types.Failure("limit-outputs", "10", 0, 0)
            with self.assertRaises(kekkai.OutputError) as caught:
                kekkai.submit_text("t", "p", "words")
        for part in ("outputs_max", '"10"', "principal investigator", "研究責任者"):
            self.assertIn(part, str(caught.exception))


class Scratch(unittest.TestCase):
    def test_bytes_are_kept_and_removed(self):
        with Session().active():
            kekkai.scratch["a"] = bytearray(b"1")
            self.assertEqual((kekkai.scratch["a"], list(kekkai.scratch), "a" in kekkai.scratch), (b"1", ["a"], True))
            del kekkai.scratch["a"]
            self.assertEqual(len(kekkai.scratch), 0)
            for use in (lambda: kekkai.scratch["a"], lambda: kekkai.scratch.__delitem__("a")):
                with self.assertRaises(KeyError):
                    use()

    def test_a_full_scratch_is_an_error(self):
        with Session().active(), self.assertRaises(kekkai.ScratchError) as caught:
            kekkai.scratch["big"] = b"x" * 2000
        self.assertIn("scratch_kib_max", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
