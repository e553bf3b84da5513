"""What can go wrong: exceptions with a stable code, a place in the statement, and words."""

from . import messages


class Error(Exception):
    """Something that Kekkai refused.

    `code` is stable; `name` is the offending name, or which limit and how large it is; `line` and
    `column` count from 1 and are 0 where there is no place. Never holds a value of the data.
    """

    def __init__(self, code, name="", line=0, column=0):
        super().__init__(code, name, line, column)
        self.code, self.name, self.line, self.column = code, name, line, column

    def __str__(self):
        english, japanese = messages.of(self.code)
        about = f' "{self.name}"' if self.name else ""
        place = f" (line {self.line}, column {self.column})" if self.line else ""
        where = f"（{self.line}行{self.column}桁）" if self.line else ""
        return f"[{self.code}]{about}{place}: {english}\n  {japanese}{where}"


class QueryError(Error):
    """A statement was refused, or failed."""


class OutputError(Error):
    """An output was refused."""


class ScratchError(Error):
    """The scratch has no more room."""


class StreamError(Exception):
    """The rows of a statement can't be read: a bug of Kekkai, or a statement cut short."""
