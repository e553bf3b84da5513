"""tableone: what componentize-py wraps. The work is in table_one.py, which CPython tests."""

import traceback

import kekkai
import table_one
import wit_world
from componentize_py_types import Err


class WitWorld(wit_world.WitWorld):
    """The world `tool`."""

    def run(self) -> None:
        """Runs the tool; raises `Err` with words for the person who started it."""
        with kekkai.printed():
            try:
                table_one.main(kekkai.args())
            except (kekkai.Error, table_one.Refused) as error:
                raise Err(str(error)) from None
            except Exception:
                # A bug of the tool: its author needs to see where.
                raise Err(traceback.format_exc()) from None
