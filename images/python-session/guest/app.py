"""The Python session: runs a script from its text, once per instance.

Built by componentize-py: what is imported here is part of the component, already initialized.
"""

import builtins
import random
import sys
import types

import wit_world
from componentize_py_types import Err

import kekkai
import library  # noqa: F401  (the standard library that scripts can import)
import tracebacks


class WitWorld(wit_world.WitWorld):
    """The world `interpreter`."""

    def run_script(self, name: str, source: str) -> None:
        """Runs a script; raises `Err(Stopped)` if it doesn't end well."""
        # The component was initialized when it was built: without this, every run would draw the same
        # numbers. A script that wants to be repeatable calls random.seed itself.
        random.seed()
        with kekkai.printed():
            stopped = _run(name, source)
        if stopped is not None:
            raise Err(stopped)


def _run(name, source):
    """Why the script stopped, or None."""
    tracebacks.remember(name, source)
    module = types.ModuleType("__main__", None)
    module.__file__ = name
    sys.modules["__main__"] = module
    sys.argv = [name, *kekkai.args()]
    try:
        # dont_inherit: this file's own future imports are not the script's.
        exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)
    except SystemExit as exit:
        if exit.code in (None, 0):
            return None
        return wit_world.Stopped("SystemExit", tracebacks.line(exit, name), f"{exit.code}\n")
    except BaseException as error:
        return wit_world.Stopped(
            type(error).__name__, tracebacks.line(error, name), tracebacks.text(error, name)
        )
    return None


def _no_input(prompt="", /):
    """Stands where `input` stands elsewhere."""
    raise RuntimeError(
        "a script can't ask while it runs: start it with arguments (kekkai.args)\n"
        "  実行中の入力はできません。引数を付けて実行し、kekkai.argsで受け取ってください。"
    )


builtins.input = _no_input
