"""Outputs: each waits for review, and leaves only when two people have approved exactly it.

Each function gives the output's number.
"""

import math
from dataclasses import dataclass
from dataclasses import field as _field

from componentize_py_types import Err
from wit_world.imports import output as _output

from .errors import OutputError
from .frame import Frame
from .session import refusal, value

_KINDS = {kind.name.lower().replace("_", "-"): kind for kind in _output.FigureKind}


@dataclass
class Series:
    """One series of a figure; lists are of one length, or empty where the kind has no use for them.

    bar: labels, y (low, high). line: x, y (low, high). scatter: x, y (labels). histogram: low and high (the
    bins' edges), y (their heights). box: labels, y (medians), low and high (quartiles). kaplan-meier: x
    (times), y (survival) (low, high). forest: labels, x (estimates), low, high.
    """

    name: str = ""
    labels: list = _field(default_factory=list)
    x: list = _field(default_factory=list)
    y: list = _field(default_factory=list)
    low: list = _field(default_factory=list)
    high: list = _field(default_factory=list)


def _submit(send, title, purpose, *body):
    try:
        return send(_output.Description(title, purpose), *body)
    except Err as failed:
        raise refusal(OutputError, failed) from None


def submit_table(title, purpose, table, columns=None):
    """Submits a table: a `Frame`, dicts, or rows of values with `columns`. NaN becomes a missing value."""
    if not isinstance(table, Frame):
        table = list(table)
        if columns is None:
            if not table or not isinstance(table[0], dict):
                raise ValueError("rows of plain values need columns=[…]")
            table = Frame.of_rows(table)
    if isinstance(table, Frame):
        names = list(columns or table.columns)
        rows = list(zip(*(table[name] for name in names)))
    else:
        names = list(columns)
        rows = [[row[name] for name in names] if isinstance(row, dict) else list(row) for row in table]
    for row in rows:
        if len(row) != len(names):
            raise ValueError(f"a row of {len(row)} values under {len(names)} columns")
    cells = [[value(None if cell != cell else cell) for cell in row] for row in rows]
    return _submit(_output.submit_table, title, purpose, [str(name) for name in names], cells)


def submit_figure(title, purpose, kind, series, x_label="", y_label=""):
    """Submits a figure: its numbers, which Kekkai draws. `kind` is bar, line, scatter, histogram, box,
    kaplan-meier or forest; `series` one `Series` or a list of them."""
    if kind not in _KINDS:
        raise ValueError(f"no kind of figure {kind!r}; there are {', '.join(_KINDS)}")
    series = [series] if isinstance(series, Series) else list(series)
    made = _output.Figure(_KINDS[kind], x_label, y_label, [_checked(one) for one in series])
    return _submit(_output.submit_figure, title, purpose, made)


def _checked(series):
    numbers = {}
    for name in ("x", "y", "low", "high"):
        numbers[name] = [float(number) for number in getattr(series, name)]
        if not all(map(math.isfinite, numbers[name])):
            raise ValueError(f'series "{series.name}": {name} has a number that is not finite')
    labels = [str(label) for label in series.labels]
    lengths = {len(numbers[name]) for name in numbers if numbers[name]} | ({len(labels)} if labels else set())
    if len(lengths) > 1:
        raise ValueError(f'series "{series.name}": lists of different lengths')
    return _output.Series(str(series.name), labels, numbers["x"], numbers["y"], numbers["low"], numbers["high"])


def survival_series(name, curve):
    """A series of a `kaplan-meier` figure, from a curve of `kekkai.kaplan_meier`."""
    steps = [step for step in curve.steps if step.events]
    return Series(
        name,
        x=[0.0, *(step.time for step in steps)],
        y=[1.0, *(step.survival for step in steps)],
        low=[1.0, *(step.low for step in steps)],
        high=[1.0, *(step.high for step in steps)],
    )


def submit_text(title, purpose, text):
    """Submits words."""
    return _submit(_output.submit_text, title, purpose, str(text))


def submit_model(title, purpose, method, parameters, observations):
    """Submits a fitted model. `parameters`: name → value, or name → (value, standard error)."""
    made = []
    for name, estimate in dict(parameters).items():
        number, error = estimate if isinstance(estimate, tuple) else (estimate, math.nan)
        if not math.isfinite(number):
            raise ValueError(f'parameter "{name}" is not finite')
        made.append(_output.Parameter(str(name), float(number), float(error)))
    return _submit(_output.submit_model, title, purpose, _output.Model(method, made, int(observations)))
