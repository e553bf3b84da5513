"""A small data frame: named columns of one length. Every operation gives a new frame."""

from collections import Counter

from . import arrow, descriptive, text
from .column import Column, Type

_SHOWN_ROWS = 20

_AGGREGATES = {
    "count": len,
    "sum": descriptive.total,
    "mean": descriptive.mean,
    "sd": descriptive.sd,
    "median": descriptive.median,
    "q1": lambda values: descriptive.quantile(values, 0.25),
    "q3": lambda values: descriptive.quantile(values, 0.75),
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
    "distinct": lambda values: len(set(values)),
    "first": lambda values: values[0] if values else None,
}


class Frame:
    """Named columns of one length.

    `Frame({"a": [1, 2]})` makes one; `kekkai.sql` gives one. `frame["a"]` is a column, iterating gives
    a dict for each row, `len` counts rows, printing shows an aligned table.
    """

    __slots__ = ("_columns", "_length")

    def __init__(self, columns=()):
        made = {}
        for name, values in dict(columns).items():
            made[name] = values.renamed(name) if isinstance(values, Column) else Column.of_values(name, values)
        lengths = {len(column) for column in made.values()}
        if len(lengths) > 1:
            raise ValueError(f"columns of different lengths: {', '.join(map(str, sorted(lengths)))}")
        self._columns = made
        self._length = lengths.pop() if lengths else 0

    @classmethod
    def of_rows(cls, rows, columns=None):
        """Of dicts; `columns` names them where there may be no row."""
        rows = list(rows)
        names = list(columns if columns is not None else rows[0] if rows else ())
        return cls({name: [row[name] for row in rows] for name in names})

    @classmethod
    def of_stream(cls, pieces):
        """Of an Arrow IPC stream in pieces."""
        stream = arrow.Stream(pieces)
        chunks = [chunks for _, chunks in stream.batches()]
        return cls._of_fields(stream.fields, chunks)

    @classmethod
    def batches_of_stream(cls, pieces):
        """One frame for each record batch, so that only one is in memory."""
        stream = arrow.Stream(pieces)
        for _, chunks in stream.batches():
            yield cls._of_fields(stream.fields, [chunks])

    @classmethod
    def _of_fields(cls, fields, batches):
        columns = {}
        for index, field in enumerate(fields):
            name, again = field.name, 2
            while name in columns:
                # SQL lets several columns have one name; a frame's have names of their own.
                name, again = f"{field.name}_{again}", again + 1
            columns[name] = field.column([chunks[index] for chunks in batches])
        return cls(columns)

    @property
    def columns(self):
        """The names of the columns."""
        return list(self._columns)

    @property
    def types(self):
        """The type of each column, by name."""
        return {name: column.type.value for name, column in self._columns.items()}

    def __len__(self):
        return self._length

    def __contains__(self, name):
        return name in self._columns

    def __getitem__(self, name):
        try:
            return self._columns[name]
        except KeyError:
            raise KeyError(f"no column {name!r}; there are {', '.join(self._columns) or 'none'}") from None

    def __iter__(self):
        names = self.columns
        return (dict(zip(names, values)) for values in self.tuples())

    def tuples(self):
        """The rows as tuples, in the order of the columns: quicker than dicts."""
        return zip(*self._columns.values())

    def row(self, place):
        """One row as a dict."""
        return {name: column[place] for name, column in self._columns.items()}

    def __eq__(self, other):
        if not isinstance(other, Frame):
            return NotImplemented
        return self.columns == other.columns and list(self.tuples()) == list(other.tuples())

    __hash__ = None

    def _take(self, places):
        places = list(places)
        return Frame({name: column.take(places) for name, column in self._columns.items()})

    def head(self, count=10):
        """The first rows."""
        return self._take(range(min(count, self._length)))

    def select(self, *names, **renamed):
        """These columns; `new="old"` renames."""
        return Frame({name: self[name] for name in names} | {new: self[old] for new, old in renamed.items()})

    def drop(self, *names):
        """Without these columns."""
        for name in names:
            self[name]  # An unknown name is an error here too.
        return Frame({name: column for name, column in self._columns.items() if name not in names})

    def with_columns(self, **made):
        """With more columns: each a list of values, or a function of a row (a dict)."""
        columns = dict(self._columns)
        for name, values in made.items():
            columns[name] = [values(row) for row in self] if callable(values) else values
        return Frame(columns)

    def where(self, *tests, **equal):
        """The rows that pass: `where(age=60)`, `where(lambda row: row["age"] > 60)`, or a list of truths."""
        kept = range(self._length)
        for name, value in equal.items():
            values = list(self[name])
            kept = [at for at in kept if values[at] == value]
        for test in tests:
            if callable(test):
                truths = [test(row) for row in self]
            else:
                truths = list(test)
                if len(truths) != self._length:
                    raise ValueError(f"{len(truths)} truths for {self._length} rows")
            kept = [at for at in kept if truths[at]]
        return self._take(kept)

    def sort(self, *names, descending=False):
        """Sorted by columns, missing values last; rows that compare equal keep their order."""
        places = list(range(self._length))
        for name in reversed(names):
            values = list(self[name])
            there = [at for at in places if values[at] is not None]
            there.sort(key=values.__getitem__, reverse=descending)
            places = there + [at for at in places if values[at] is None]
        return self._take(places)

    def distinct(self, *names):
        """The first row of each combination of these columns, or of all columns."""
        seen = {}
        for at, key in enumerate(zip(*(self[name] for name in names or self._columns))):
            seen.setdefault(key, at)
        return self._take(seen.values())

    def group_by(self, *names):
        """Groups of rows that agree in these columns: see `Groups.agg`."""
        return Groups(self, names)

    def value_counts(self, name):
        """How often each value of a column occurs, the most frequent first."""
        counts = Counter(self[name]).most_common()
        return Frame({name: [value for value, _ in counts], "count": [count for _, count in counts]})

    def join(self, other, on, how="inner"):
        """Rows of both that agree in a column or columns; `how` is inner or left.

        Missing values agree with nothing. A column that both have gets `_right` after its name.
        """
        if how not in ("inner", "left"):
            raise ValueError(f"a join is inner or left, not {how!r}")
        keys = [on] if isinstance(on, str) else list(on)
        found = {}
        for at, key in enumerate(zip(*(other[name] for name in keys))):
            if None not in key:
                found.setdefault(key, []).append(at)
        left, right = [], []
        for at, key in enumerate(zip(*(self[name] for name in keys))):
            matches = found.get(key, ())
            left.extend([at] * len(matches))
            right.extend(matches)
            if not matches and how == "left":
                left.append(at)
                right.append(None)
        columns = {name: column.take(left) for name, column in self._columns.items()}
        for name, column in other._columns.items():
            if name not in keys:
                columns[f"{name}_right" if name in columns else name] = column.take(right)
        return Frame(columns)

    def describe(self):
        """The usual figures of each column of numbers."""
        rows = []
        for name, column in self._columns.items():
            if column.type in (Type.INTEGER, Type.REAL, Type.DECIMAL):
                figures = descriptive.describe(column.present())
                rows.append({"column": name, "missing": column.missing} | figures)
        return Frame.of_rows(rows, ("column", "missing", "n", "mean", "sd", "q1", "median", "q3"))

    def __str__(self):
        shown = text.table(self.columns, self.head(_SHOWN_ROWS).tuples())
        if self._length > _SHOWN_ROWS:
            shown += f"\n… {self._length - _SHOWN_ROWS} more rows"
        return shown

    def __repr__(self):
        return f"<Frame: {self._length} rows of {', '.join(self._columns)}>"


class Groups:
    """Rows of a frame, grouped; in the order in which the groups first occur."""

    def __init__(self, frame, names):
        if not names:
            raise ValueError("group by which columns?")
        self._frame, self._names = frame, names
        self._places = {}
        for at, key in enumerate(zip(*(frame[name] for name in names))):
            self._places.setdefault(key, []).append(at)

    def __len__(self):
        return len(self._places)

    def __iter__(self):
        """The key of each group, a tuple, and its rows."""
        return ((key, self._frame._take(places)) for key, places in self._places.items())

    def count(self):
        """One row for each group, with the number of its rows."""
        columns = self._keys()
        columns["count"] = [len(places) for places in self._places.values()]
        return Frame(columns)

    def agg(self, **made):
        """One row for each group: `agg(mean_age=("age", "mean"))`.

        An aggregate is a name (count, sum, mean, sd, median, q1, q3, min, max, distinct, first) or a
        function of the group's values. Missing values are left out of both.
        """
        columns = self._keys()
        for new, (name, aggregate) in made.items():
            if isinstance(aggregate, str):
                if aggregate not in _AGGREGATES:
                    raise ValueError(f"no aggregate {aggregate!r}; there are {', '.join(_AGGREGATES)}")
                aggregate = _AGGREGATES[aggregate]
            values = list(self._frame[name])
            columns[new] = [
                aggregate([values[at] for at in places if values[at] is not None])
                for places in self._places.values()
            ]
        return Frame(columns)

    def _keys(self):
        return {name: list(values) for name, values in zip(self._names, zip(*self._places))} or {
            name: [] for name in self._names
        }
