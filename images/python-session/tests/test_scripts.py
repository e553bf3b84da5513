"""Running scripts: what is printed, how they stop, what they may not do."""

import subprocess
import sys
import unittest
from pathlib import Path

import app
import kekkai
from componentize_py_types import Err
from session import Session
from wit_world.imports import log


def run(source, name="study.py", **options):
    """The session after a script, and why the script stopped or None."""
    with Session(**options).active() as session:
        try:
            app.WitWorld().run_script(name, source)
        except Err as stopped:
            return session, stopped.value
    return session, None


class Printing(unittest.TestCase):
    def test_lines_are_shown_as_they_come(self):
        session, _ = run("import kekkai\nprint('a')\nkekkai.progress(0.5, 'half')\nprint('b\\nc')")
        self.assertEqual([text for _, text in session.lines], ["a", "b", "c"])
        self.assertEqual(session.progress, [(0.5, "half")])

    def test_a_line_without_an_end_comes_at_the_end(self):
        session, _ = run("print('a', end='')\nprint('b', end='', flush=True)")
        self.assertEqual([text for _, text in session.lines], ["ab"])

    def test_a_line_without_an_end_is_not_gathered_without_bound(self):
        session, _ = run("import sys\nfor _ in range(100): sys.stdout.write('x' * 1000)")
        self.assertEqual(sum(len(text) for _, text in session.lines), 100_000)
        self.assertLess(max(len(text) for _, text in session.lines), 10_000)

    def test_empty_lines_are_kept(self):
        session, _ = run("print()\nprint('a\\n')\nprint()")
        self.assertEqual([text for _, text in session.lines], ["", "a", "", ""])

    def test_standard_error_is_marked(self):
        session, _ = run("import sys\nprint('oops', file=sys.stderr)")
        self.assertEqual(session.lines, [(log.Channel.ERROR, "oops")])

    def test_what_is_not_unicode_is_shown_escaped(self):
        session, stopped = run(r"print('\ud800')")
        self.assertIsNone(stopped)
        self.assertEqual(session.out(), r"\ud800")


class Stopping(unittest.TestCase):
    def test_a_traceback_shows_the_scripts_lines_and_nothing_of_the_runner(self):
        source = "def rate(n):\n    return 1 / n\n\nprint('before')\nrate(0)\n"
        session, stopped = run(source)
        self.assertEqual((stopped.kind, stopped.line), ("ZeroDivisionError", 2))
        self.assertEqual(session.out(), "before")
        self.assertIn('File "study.py", line 5, in <module>\n    rate(0)', stopped.text)
        self.assertIn('File "study.py", line 2, in rate\n    return 1 / n', stopped.text)
        self.assertNotIn("app.py", stopped.text)

    def test_a_syntax_error_has_its_line_and_mark(self):
        _, stopped = run("x = 1\nif x = 2:\n    pass\n")
        self.assertEqual((stopped.kind, stopped.line), ("SyntaxError", 2))
        self.assertIn("if x = 2:", stopped.text)
        self.assertIn("^", stopped.text)
        self.assertNotIn("app.py", stopped.text)

    def test_the_line_is_the_scripts_where_kekkai_raises(self):
        _, stopped = run("import kekkai\n\nkekkai.progress(2)\n")
        self.assertEqual((stopped.kind, stopped.line), ("ValueError", 3))

    def test_a_chain_of_errors_shows_the_scripts_lines_of_each(self):
        _, stopped = run("try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('x') from error\n")
        self.assertEqual((stopped.kind, stopped.line), ("ValueError", 4))
        self.assertIn("direct cause", stopped.text)
        self.assertNotIn("app.py", stopped.text)

    def test_a_deep_recursion_is_an_error_of_the_script(self):
        _, stopped = run("def f(): f()\nf()")
        self.assertEqual((stopped.kind, stopped.line), ("RecursionError", 1))
        self.assertLess(len(stopped.text), 20_000)

    def test_a_long_traceback_is_cut(self):
        _, stopped = run("raise ValueError('x' * 1_000_000)")
        self.assertLess(len(stopped.text), 20_000)

    def test_exit_ends_well_only_with_zero(self):
        for source, kind in (
            ("raise SystemExit", None),
            ("import sys; sys.exit(0)", None),
            ("import sys; sys.exit(3)", "SystemExit"),
            ("import sys; sys.exit('no cohort')", "SystemExit"),
        ):
            _, stopped = run(source)
            self.assertEqual(stopped and stopped.kind, kind, source)
        self.assertIn("no cohort", stopped.text)

    def test_input_says_what_to_use_instead(self):
        _, stopped = run("input('age? ')")
        self.assertIn("kekkai.args", stopped.text)
        self.assertIn("引数", stopped.text)

    def test_missing_packages_and_files_say_what_there_is(self):
        _, stopped = run("import numpy_that_is_not_here")
        self.assertIn("no NumPy", stopped.text)
        self.assertIn("標準ライブラリ", stopped.text)
        _, stopped = run("open('/nowhere/data.csv')")
        self.assertIn("no files", stopped.text)

    def test_hundreds_of_errors_in_a_group_don_t_fail_the_runner(self):
        _, stopped = run("raise ExceptionGroup('g', [ValueError(n) for n in range(500)])")
        self.assertEqual((stopped.kind, stopped.line), ("ExceptionGroup", 1))


class Namespace(unittest.TestCase):
    def test_a_script_is_main_and_has_its_arguments(self):
        session, _ = run("import sys\nprint(__name__, __file__, sys.argv)", arguments=["60", "男"])
        self.assertEqual(session.out(), "__main__ study.py ['study.py', '60', '男']")

    def test_a_script_finds_nothing_of_the_one_before(self):
        run("left = 1")
        _, stopped = run("print(left)")
        self.assertEqual(stopped.kind, "NameError")

    def test_classes_of_a_script_work_as_in_a_file(self):
        source = (
            "import dataclasses, pickle, inspect\n"
            "@dataclasses.dataclass\n"
            "class P:\n    age: int\n"
            "assert pickle.loads(pickle.dumps(P(3))) == P(3)\n"
            "print(inspect.getsource(P).count('age'))\n"
        )
        session, stopped = run(source)
        self.assertIsNone(stopped, stopped and stopped.text)
        self.assertEqual(session.out(), "1")

    def test_two_runs_draw_different_numbers(self):
        source = "import random\nprint(random.random())"
        self.assertNotEqual(run(source)[0].out(), run(source)[0].out())

    def test_the_runners_future_imports_are_not_the_scripts(self):
        source = "from __future__ import annotations\ndef f(x: undefined): pass\nprint(f.__annotations__)"
        self.assertEqual(run(source)[0].out(), "{'x': 'undefined'}")


class Packaged(unittest.TestCase):
    def test_the_module_imports_nothing_outside_what_scripts_can_import(self):
        # A module that only kekkai imports would be in the component by accident.
        guest = Path(app.__file__).parent
        source = (
            "import sys\n"
            "import library\n"
            "before = set(sys.modules)\n"
            "import kekkai\n"
            "own = ('kekkai', 'wit_world', 'componentize_py')\n"
            "print([name for name in set(sys.modules) - before if not name.startswith(own)])\n"
        )
        path = ":".join([str(guest), *sys.path])
        found = subprocess.run(
            [sys.executable, "-c", source], capture_output=True, text=True, env={"PYTHONPATH": path}, check=True
        )
        self.assertEqual(found.stdout.strip(), "[]")

    def test_every_public_name_is_documented(self):
        for name in kekkai.__all__:
            self.assertTrue(getattr(kekkai, name).__doc__, name)


if __name__ == "__main__":
    unittest.main()
