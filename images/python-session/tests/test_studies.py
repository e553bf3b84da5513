"""The example studies give what the reference gives on plain data."""

import csv
import json
import math
import random
import tempfile
import unittest
from datetime import date, timedelta
from pathlib import Path

import app
import duckdb
import reference
from componentize_py_types import Err
from session import Session, plain

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
GIBLEED = ROOT / "tests/data/gibleed"

# The tables of the sample, as ingest names and types them.
SAMPLE_VIEWS = {
    "labs": "SELECT 患者ID::BIGINT AS person_id, 採取日::DATE AS collected_on, JLAC10 AS jlac10, 結果値::DOUBLE AS value",
    "drugs": "SELECT 患者ID::BIGINT AS person_id, YJコード AS yj_code",
    "dpc": "SELECT 患者ID::BIGINT AS person_id, 入院日::DATE AS admitted_on",
}


def run(script, connection):
    """The session after an example script."""
    with Session(connection, piece=4 * 1024 * 1024).active() as session:
        try:
            app.WitWorld().run_script(script, (EXAMPLES / script).read_text())
        except Err as stopped:
            raise AssertionError(stopped.value.text) from None
    return session


def write_sample(folder, seed):
    """Some thousand patients in the columns of `kekkai sample`, with the links that the study looks for."""
    chance = random.Random(seed)
    first = date(2023, 4, 1)

    def day(most=700):
        return first + timedelta(days=chance.randrange(most))

    tables = {
        "labs": [("患者ID", "採取日", "JLAC10", "結果値")],
        "drugs": [("患者ID", "YJコード")],
        "dpc": [("患者ID", "入院日")],
    }
    for person in range(10_000_000, 10_003_000):
        for _ in range(chance.randrange(4)):
            test = chance.choice(["3D046000001906202", "3D010000001926101"])
            tables["labs"].append((person, day(), test, f"{chance.gauss(6.3, 0.8):.1f}"))
        if chance.random() < 0.3:
            tables["drugs"] += [(person, "3969019F2027")] * chance.randint(1, 3)
        for _ in range(chance.choice([0, 0, 0, 1, 2])):
            tables["dpc"].append((person, day(900)))
    for name, rows in tables.items():
        with open(Path(folder) / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)


class Studies(unittest.TestCase):
    def assertNear(self, found, expected, name):
        for one, other in zip(found, expected, strict=True):
            self.assertTrue(math.isclose(one, other, rel_tol=1e-12), f"{name}: {one} for {other}")

    def check(self, session, expected, names):
        kinds = [output[0] for output in session.outputs]
        self.assertEqual(kinds, ["table", "table", "figure"])
        counts = [[plain(cell) for cell in row[1:]] for row in session.outputs[0][4]]
        self.assertEqual(counts, expected["counts"])
        measures = [[plain(cell) for cell in row] for row in session.outputs[1][4]]
        for (_, *found), name in zip(measures, names, strict=True):
            self.assertNear(found, expected[name], name)
        series = session.outputs[2][3].series[0]
        for found, risk in zip(zip(series.y, series.low, series.high), expected["risks"], strict=True):
            self.assertNear(found, risk, "risk")

    def test_gibleed_equals_duckdb_on_plain_data(self):
        connection = duckdb.connect()
        for table in ("condition_occurrence", "drug_exposure"):
            connection.execute(f"CREATE VIEW {table} AS FROM read_parquet('{GIBLEED}/{table}.parquet')")
        session = run("study.py", connection)
        expected = reference.study("gibleed", str(GIBLEED))
        self.assertEqual(sum(map(sum, expected["counts"])), 2694)
        self.check(session, expected, ("risk_ratio", "odds_ratio", "risk_difference"))

    def test_the_sample_equals_duckdb_on_plain_data(self):
        seed = random.randrange(2**32)
        with self.subTest(seed=seed), tempfile.TemporaryDirectory() as folder:
            write_sample(folder, seed)
            connection = duckdb.connect()
            for name, view in SAMPLE_VIEWS.items():
                source = f"read_csv('{folder}/{name}.csv', all_varchar = true)"
                connection.execute(f"CREATE VIEW {name} AS {view} FROM {source}")
            session = run("study_sample.py", connection)
            expected = reference.study("sample", folder)
            self.assertGreater(min(map(min, expected["counts"])), 5)
            self.check(session, expected, ("risk_ratio", "odds_ratio"))

    def test_the_reference_prints_json(self):
        text = json.dumps(reference.study("gibleed", str(GIBLEED)))
        self.assertEqual(json.loads(text)["counts"], [[355, 1489], [124, 726]])

    def test_each_study_has_under_sixty_lines(self):
        for script in ("study.py", "study_sample.py"):
            self.assertLess(len((EXAMPLES / script).read_text().splitlines()), 60, script)


if __name__ == "__main__":
    unittest.main()
