"""A session for tests: the bindings' imports, answered here."""

import contextlib
import unittest.mock

import pyarrow
from componentize_py_types import Err
from wit_world.imports import args, data, log, output, progress, scratch, types


def stream_of(table, rows_a_batch=10_000):
    """An Arrow table as the bytes of an IPC stream, written by Apache Arrow itself."""
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=rows_a_batch):
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def normalized(table):
    """As Kekkai sends: 64-bit numbers, plain texts."""
    fields = []
    for field in table.schema:
        kind = field.type
        if pyarrow.types.is_integer(kind):
            kind = pyarrow.int64()
        elif pyarrow.types.is_floating(kind):
            kind = pyarrow.float64()
        elif pyarrow.types.is_decimal(kind) and kind.scale == 0:
            # DuckDB's sum of integers is a HUGEINT.
            kind = pyarrow.int64()
        fields.append(pyarrow.field(field.name, kind))
    return table.cast(pyarrow.schema(fields))


def plain(value):
    """A value of the interface as Python's own."""
    return getattr(value, "value", None)


class Rows:
    """The resource `rows`, in pieces."""

    def __init__(self, content, piece):
        self.pieces = [content[at : at + piece] for at in range(0, len(content), piece)]
        self.is_open = True

    def next(self):
        assert self.is_open, "read after it was let go of"
        return self.pieces.pop(0) if self.pieces else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.is_open = False


class Session:
    """What a script asked and did."""

    def __init__(self, connection=None, arguments=(), piece=1000):
        self.connection = connection
        self.arguments = list(arguments)
        self.piece = piece
        self.lines = []
        self.outputs = []
        self.progress = []
        self.scratch = {}
        self.scratch_max = 1000
        self.queries = []
        self.rows = []
        #: Answers every call of `query` and `statistic` with a failure.
        self.failure = None

    def _query(self, sql, parameters):
        self.queries.append((sql, [plain(parameter) for parameter in parameters]))
        if self.failure:
            raise Err(self.failure)
        table = self.connection.sql(sql, params=[plain(parameter) for parameter in parameters]).to_arrow_table()
        rows = Rows(stream_of(normalized(table)), self.piece)
        self.rows.append(rows)
        return rows

    def _submit(self, kind):
        def submit(about, *body):
            if self.failure:
                raise Err(self.failure)
            self.outputs.append((kind, about.title, about.purpose, *body))
            return f"out-{len(self.outputs)}"

        return submit

    def _write(self, name, content):
        if sum(map(len, self.scratch.values())) + len(content) > self.scratch_max:
            raise Err(types.Failure("limit-scratch", "1 KiB", 0, 0))
        self.scratch[name] = content

    def _log(self, channel, text):
        # As the worker takes them: whole lines, of which the last may lack its end.
        self.lines += [(channel, line) for line in text.removesuffix("\n").split("\n")]

    def out(self):
        """What was printed."""
        return "\n".join(text for channel, text in self.lines if channel is log.Channel.OUT)

    @contextlib.contextmanager
    def active(self):
        """The bindings' functions are this session's while this lasts."""
        with contextlib.ExitStack() as stack:
            for module, name, replacement in (
                (data, "query", self._query),
                (data, "statistic", self._query),
                (data, "schema", lambda: list(SCHEMA)),
                (args, "get", lambda: list(self.arguments)),
                (progress, "report", lambda fraction, note: self.progress.append((fraction, note))),
                (log, "write", self._log),
                (scratch, "read", self.scratch.get),
                (scratch, "write", self._write),
                (scratch, "remove", lambda name: self.scratch.pop(name, None)),
                (scratch, "names", lambda: sorted(self.scratch)),
                (output, "submit_table", self._submit("table")),
                (output, "submit_figure", self._submit("figure")),
                (output, "submit_text", self._submit("text")),
                (output, "submit_model", self._submit("model")),
            ):
                # Each must exist in the bindings: a renamed function of the WIT fails here.
                stack.enter_context(unittest.mock.patch.object(module, name, replacement))
            yield self


SCHEMA = [
    data.Table(
        "sample",
        "patients",
        [data.Column("person_id", "bigint", "仮ID", "pseudonym"), data.Column("sex", "text", "性別", "sex")],
        "person_id",
        "患者",
        "Patients",
    )
]
