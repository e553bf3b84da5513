"""Printed text, as lines of the session's log."""

import contextlib
import io
import sys

from wit_world.imports import log

# A line without an end is cut here, so that it is not gathered without bound; in characters.
_LINE_MAX = 8 * 1024


class _Lines(io.TextIOBase):
    """Writes whole lines to the log as they come.

    Lines are the unit: what follows the last line's end waits for its own, or for the end of the run;
    `flush` therefore changes nothing.
    """

    def __init__(self, channel):
        self._channel = channel
        self._rest = ""

    @property
    def encoding(self):
        return "utf-8"

    def writable(self):
        return True

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() takes a str, not {type(text).__name__}")
        whole, end, rest = (self._rest + text).rpartition("\n")
        if end:
            # With the last line's end: without it, an empty last line would be lost.
            self._send(whole + end)
        while len(rest) > _LINE_MAX:
            self._send(rest[:_LINE_MAX])
            rest = rest[_LINE_MAX:]
        self._rest = rest
        return len(text)

    def _send(self, text):
        # A lone surrogate has no UTF-8: it is shown as an escape.
        log.write(self._channel, text.encode("utf-8", "backslashreplace").decode("utf-8"))

    def finish(self):
        """Sends what has no line's end."""
        if self._rest:
            self._send(self._rest)
            self._rest = ""


@contextlib.contextmanager
def printed():
    """While this lasts, standard output and error are the session's log."""
    out, error = _Lines(log.Channel.OUT), _Lines(log.Channel.ERROR)
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), out, error
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        out.finish()
        error.finish()
