"""Tests the component itself in the stand-in: the engine, the limits and the interface of a session.

    component.py COMPONENT STAND_IN

The study over GiBleed must give what DuckDB gives on the plain data.
"""

import json
import math
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import duckdb
import reference

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
GIBLEED = ROOT / "tests/data/gibleed"
COMPONENT = STAND_IN = None


class Ran:
    """What a script did: its outputs, what it printed, whether it ended well."""

    def __init__(self, source, *arguments, answers=None, options=()):
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "script.py"
            script.write_text(source)
            command = [STAND_IN, "--lang", "en", "--json", "--script", str(script), *options, COMPONENT]
            if answers:
                command += ["--answers", str(answers)]
            done = subprocess.run([*command, "--", *arguments], capture_output=True, text=True, timeout=300)
        self.outputs = [json.loads(line) for line in done.stdout.splitlines()]
        self.log = done.stderr
        self.is_good = done.returncode == 0


def cells(body):
    """The rows of a table's JSON as Python values."""
    kinds = {"int": int, "float": float, "text": str, "bool": bool}
    return [
        [None if cell == "null" else kinds[kind](value) for cell in row for kind, value in [next(iter(cell.items()))]]
        for row in body["table"]["rows"]
    ]


class Study(unittest.TestCase):
    def assertNear(self, found, expected):
        for one, other in zip(found, expected, strict=True):
            self.assertTrue(math.isclose(float(one), other, rel_tol=1e-12), f"{one} for {other}")

    def test_the_study_in_the_component_equals_duckdb(self):
        with tempfile.TemporaryDirectory() as folder:
            connection = duckdb.connect()
            for name, sql in {
                "conditions": "SELECT person_id, condition_concept_id AS concept, condition_start_date AS day"
                " FROM read_parquet($f || '/condition_occurrence.parquet')"
                " WHERE condition_concept_id IN (80180, 192671)",
                "drugs": "SELECT person_id, drug_concept_id AS drug, drug_exposure_start_date AS start"
                " FROM read_parquet($f || '/drug_exposure.parquet') WHERE drug_concept_id IN (1118084, 1124300)",
            }.items():
                connection.sql(sql, params={"f": str(GIBLEED)}).write_csv(f"{folder}/{name}.csv")
            Path(folder, "answers.toml").write_text(
                '[[answer]]\nsql-contains = "condition_occurrence"\ncsv = "conditions.csv"\n'
                '[[answer]]\nsql-contains = "drug_exposure"\ncsv = "drugs.csv"\n'
            )
            ran = Ran((EXAMPLES / "study.py").read_text(), answers=folder)
        self.assertTrue(ran.is_good, ran.log)
        expected = reference.study("gibleed", str(GIBLEED))
        counts, measures, figure = (output["body"] for output in ran.outputs)
        self.assertEqual([row[1:] for row in cells(counts)], expected["counts"])
        for row, name in zip(cells(measures), ("risk_ratio", "odds_ratio", "risk_difference"), strict=True):
            self.assertNear(row[1:], expected[name])
        series = figure["figure"]["series"][0]
        for row, risk in zip(zip(series["y"], series["low"], series["high"]), expected["risks"], strict=True):
            self.assertNear(row, risk)
        self.assertIn("risk ratio 1.32", ran.log)


class Scripts(unittest.TestCase):
    def stops(self, source, *parts, options=()):
        ran = Ran(source, options=options)
        self.assertFalse(ran.is_good, ran.log)
        for part in parts:
            self.assertIn(part, ran.log)
        return ran

    def test_a_script_prints_and_has_its_arguments(self):
        ran = Ran("import sys\nprint('こんにちは', sys.argv[1:])", "a", "脳")
        self.assertTrue(ran.is_good, ran.log)
        self.assertIn("こんにちは ['a', '脳']", ran.log)

    def test_a_traceback_shows_the_scripts_line(self):
        self.stops("x = 0\nprint(1 / x)\n", 'File "script.py", line 2', "print(1 / x)", "ZeroDivisionError")

    def test_the_whole_offered_library_can_be_imported(self):
        # By name, as a script does: what was not initialized at the build has no file to come from.
        library = (EXAMPLES.parent / "guest/library.py").read_text()
        names = re.findall(r"^import (\S+)", library, re.M)
        self.assertGreater(len(names), 60)
        source = "\n".join(f"import {name}" for name in names)
        ran = Ran(source + "\nprint('all', __import__('zlib').crc32(b'a'))")
        self.assertTrue(ran.is_good, ran.log)
        self.assertIn("all 3904355907", ran.log)

    def test_sockets_files_and_processes_are_refused(self):
        self.stops("open('/etc/passwd')", "no files")
        self.stops("open('/tmp/x', 'w')", "no files")
        self.stops("import os; os.listdir('/')", "Error")
        self.stops("import socket; socket.socket()", "Error")
        self.stops("import socket; socket.create_connection(('127.0.0.1', 22))", "Error")
        self.stops("import socket; socket.getaddrinfo('localhost', 22)", "Error")
        self.stops("import threading\nthreading.Thread(target=print).start()", "Error")
        self.stops("import os; os.system('id')", "Error")

    def test_a_module_that_is_not_offered_says_what_there_is(self):
        for name in ("numpy", "ftplib", "sqlite3", "turtle"):
            self.stops(f"import {name}", "ModuleNotFoundError", "no NumPy")

    def test_the_environment_is_empty(self):
        ran = Ran("import os\nprint(len(os.environ), [k for k in os.environ if 'PATH' in k])")
        self.assertIn("[]", ran.log)

    def test_a_deep_recursion_is_an_error_and_no_trap(self):
        self.stops("def f(n): return f(n + 1)\nf(0)", "RecursionError")

    def test_memory_that_is_used_up_is_said_to_be(self):
        ran = self.stops("x = []\nwhile True: x.append(bytearray(16 << 20))", options=("--memory-limit", "128"))
        self.assertRegex(ran.log, "MemoryError|memory")

    def test_an_endless_loop_ends_at_the_time_limit(self):
        self.stops("while True: pass", options=("--time-limit", "2"))

    def test_numbers_differ_from_run_to_run(self):
        source = "import random, secrets, uuid\nprint(random.random(), secrets.token_hex(8), uuid.uuid4())"
        one, other = (Ran(source).log.split() for _ in range(2))
        for a, b in zip(one[-3:], other[-3:]):
            self.assertNotEqual(a, b)

    def test_statistics_are_those_of_cpython(self):
        source = (
            "import kekkai\n"
            "print(kekkai.TwoByTwo(355, 1489, 124, 726).fisher().p.hex())\n"
            "print(kekkai.t_test([1.5, 2.5, 4.0], [2.0, 8.0, 9.5, 3.0]).p.hex())\n"
            "print(kekkai.chi_square([[10, 20, 30], [6, 9, 17]]).p.hex())\n"
        )
        import kekkai

        here = [
            kekkai.TwoByTwo(355, 1489, 124, 726).fisher().p,
            kekkai.t_test([1.5, 2.5, 4.0], [2.0, 8.0, 9.5, 3.0]).p,
            kekkai.chi_square([[10, 20, 30], [6, 9, 17]]).p,
        ]
        found = [float.fromhex(word) for word in Ran(source).log.split() if word.startswith("0x")]
        for one, other in zip(found, here, strict=True):
            self.assertTrue(math.isclose(one, other, rel_tol=1e-12), f"{one} for {other}")

    def test_help_is_there(self):
        ran = Ran("import kekkai\nhelp(kekkai.sql)")
        self.assertTrue(ran.is_good, ran.log)
        self.assertIn("The rows of a `SELECT`", ran.log)

    def test_nesting_beyond_the_stack_is_named_as_such(self):
        self.stops("import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1)\nf(0)", "stack-limit")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} COMPONENT STAND_IN")
    COMPONENT, STAND_IN = sys.argv[1:3]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
