"""The session: its data, its arguments, its progress, its scratch."""

from componentize_py_types import Err
from wit_world.imports import args as _args
from wit_world.imports import data as _data
from wit_world.imports import progress as _progress
from wit_world.imports import scratch as _scratch
from wit_world.imports import types as _types

from .errors import QueryError, ScratchError
from .frame import Frame

_INTEGER_MIN, _INTEGER_MAX = -(1 << 63), (1 << 63) - 1


def refusal(kind, failed):
    """An exception of ours for a failure that came over the interface."""
    failure = failed.value
    return kind(failure.code, failure.name, failure.line, failure.column)


def value(of):
    """A Python value as one of the interface's; dates as ISO 8601 text."""
    if of is None:
        return _types.Value_Null()
    if isinstance(of, bool):
        return _types.Value_Boolean(of)
    if isinstance(of, int):
        if not _INTEGER_MIN <= of <= _INTEGER_MAX:
            raise OverflowError("an integer of more than 64 bits")
        return _types.Value_Integer(of)
    if isinstance(of, float):
        return _types.Value_Real(of)
    if isinstance(of, str):
        return _types.Value_Text(of)
    if hasattr(of, "isoformat"):
        return _types.Value_Text(of.isoformat())
    if hasattr(of, "as_integer_ratio"):
        # Decimals and fractions.
        return _types.Value_Real(float(of))
    raise TypeError(f"a value is None, a bool, an int, a float, a str or a date, not {type(of).__name__}")


def _pieces(ask, text, parameters):
    """The pieces of a statement's stream. The rows are let go of at the end, or where the reader stops."""
    try:
        with ask(text, [value(parameter) for parameter in parameters]) as rows:
            while (piece := rows.next()) is not None:
                yield piece
    except Err as failed:
        raise refusal(QueryError, failed) from None


def sql(text, *parameters):
    """The rows of a `SELECT`, where the agreement lets programs read rows. `?` stands for parameters.

    From the first call on, printed lines are withheld on terminals that may not show rows.
    """
    return Frame.of_stream(_pieces(_data.query, text, parameters))


def rows(text, *parameters):
    """Like `sql`, in pieces: yields frames of some thousand rows, so that any size can be read."""
    return Frame.batches_of_stream(_pieces(_data.query, text, parameters))


def statistic(text, *parameters):
    """A `SELECT` that gives statistics, as on the console: a suppressed cell is None.

    Reading it withholds nothing.
    """
    return Frame.of_stream(_pieces(_data.statistic, text, parameters))


def schema():
    """The tables and columns of the agreement, one row for each column."""
    rows = [
        {
            "dataset": table.dataset,
            "table": table.name,
            "column": column.name,
            "type": column.sql_type,
            "is_person_key": column.name == table.person_key,
            "japanese": column.japanese,
            "english": column.english,
        }
        for table in _data.schema()
        for column in table.columns
    ]
    names = ("dataset", "table", "column", "type", "is_person_key", "japanese", "english")
    return Frame.of_rows(rows, names)


def args():
    """What the program was started with."""
    return _args.get()


def progress(fraction, note=""):
    """Says how far the program is, from 0 to 1."""
    fraction = float(fraction)
    if not 0 <= fraction <= 1:
        raise ValueError(f"progress goes from 0 to 1, not {fraction}")
    _progress.report(fraction, note)


class Scratch:
    """Bytes that are kept for the length of the run: `scratch["name"] = b"…"`."""

    def __getitem__(self, name):
        found = _scratch.read(name)
        if found is None:
            raise KeyError(name)
        return found

    def __setitem__(self, name, data):
        try:
            _scratch.write(name, bytes(data))
        except Err as failed:
            raise refusal(ScratchError, failed) from None

    def __delitem__(self, name):
        if name not in self:
            raise KeyError(name)
        _scratch.remove(name)

    def __contains__(self, name):
        return name in _scratch.names()

    def __iter__(self):
        return iter(_scratch.names())

    def __len__(self):
        return len(_scratch.names())


scratch = Scratch()
