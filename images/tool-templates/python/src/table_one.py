"""Table one: the characteristics of groups, side by side.

    run tool tableone 'SELECT arm, age, sex FROM …' ['title']

The statement gives one row a person. Its first column names the person's group; of the others, numbers are
described by mean, standard deviation, median and quartiles, texts and truths by counts and percentages of
their levels. Two groups are compared: standardized mean difference, and Welch's t or the chi-square test.
"""

import math
from collections import Counter

import kekkai
from kekkai import Type

GROUPS_MAX = 6
LEVELS_MAX = 30
#: A count of fewer persons is not shown, and nothing that it could be computed from.
THRESHOLD = 10

_NUMBERS = (Type.INTEGER, Type.REAL, Type.DECIMAL)
_LEVELS = (Type.TEXT, Type.BOOLEAN)


class Refused(Exception):
    """The arguments or the statement's columns don't fit."""


def main(arguments):
    """Reads, describes, submits."""
    if not 1 <= len(arguments) <= 2:
        raise Refused(
            "usage: tableone 'SELECT group, column, … FROM …' ['title']\n"
            "使い方: tableone 'SELECT 群, 列, … FROM …' ['表題']"
        )
    frame = kekkai.sql(arguments[0])
    kekkai.progress(0.5, f"{len(frame)} rows")
    table = describe(frame)
    print(table)
    title = arguments[1] if len(arguments) == 2 else "Table one"
    number = kekkai.submit_table(
        title,
        "Characteristics by group, by the tool tableone. Counts under "
        f"{THRESHOLD} and what would reveal them are left out. SMD: standardized mean difference (Austin, 2009); "
        "p: Welch's t, or chi-square.",
        table,
    )
    print(f"{title}: {number}")


def describe(frame):
    """Table one of a frame whose first column names groups."""
    group, *others = frame.columns or [None]
    if not others:
        raise Refused("the statement gives a group and at least one column / 群と1列以上を返す文にしてください")
    if frame[group].type not in (*_LEVELS, Type.INTEGER):
        raise Refused(f'column "{group}" names no groups / 列「{group}」は群を表していません')
    frame = frame.where([value is not None for value in frame[group]])
    sizes = Counter(frame[group])
    names = sorted(sizes, key=str)
    if not 1 <= len(names) <= GROUPS_MAX:
        raise Refused(f"{len(names)} groups: 1 to {GROUPS_MAX} fit / 群は1〜{GROUPS_MAX}個です")
    small = [name for name in names if sizes[name] < THRESHOLD]
    if small:
        raise Refused(f"a group has under {THRESHOLD} persons / {THRESHOLD}人未満の群があります")
    rows = [("persons", None, "n", *(sizes[name] for name in names), None, None)]
    for name in others:
        column = frame[name]
        values = [[] for _ in names]
        places = {key: place for place, key in enumerate(names)}
        for key, value in zip(frame[group], column):
            if value is not None:
                values[places[key]].append(value)
        if column.type in _NUMBERS:
            rows += _numbers(name, [[float(value) for value in part] for part in values])
        elif column.type in _LEVELS:
            rows += _levels(name, values)
        else:
            raise Refused(f'column "{name}" is a {column.type.value}: numbers, texts and truths can be described')
    header = ["variable", "level", "measure", *(f"{group} {name}" for name in names), "smd", "p"]
    return kekkai.Frame({name: list(values) for name, values in zip(header, zip(*rows))})


def _rounded(value, digits=4):
    """To significant digits: more would tell of single persons."""
    if value is None or math.isnan(value):
        return None
    return float(f"{value:.{digits}g}")


def _numbers(name, parts):
    smd = p = None
    if len(parts) == 2:
        p = _rounded(kekkai.t_test(*parts).p)
        spread = math.sqrt((kekkai.variance(parts[0]) + kekkai.variance(parts[1])) / 2)
        smd = _rounded((kekkai.mean(parts[0]) - kekkai.mean(parts[1])) / spread) if spread else None
    # Few values are as good as listed by their quartiles.
    figures = [kekkai.describe(part) if len(part) >= THRESHOLD else {} for part in parts]
    if not all(figures):
        smd = p = None
    rows = []
    for measure in ("mean", "sd", "median", "q1", "q3"):
        shown = [_rounded(found[measure]) if found else None for found in figures]
        is_first = measure == "mean"
        rows.append((name, None, measure, *shown, smd if is_first else None, p if is_first else None))
    return rows


def _levels(name, parts):
    counts = [Counter(part) for part in parts]
    levels = sorted(set().union(*counts), key=str)
    if len(levels) > LEVELS_MAX:
        raise Refused(f'column "{name}" has {len(levels)} levels: at most {LEVELS_MAX} / 水準は{LEVELS_MAX}個までです')
    hidden = [_hidden(count, levels) for count in counts]
    smd = p = None
    if len(parts) == 2 and not any(hidden) and all(counts):
        p = _rounded(kekkai.chi_square([[count[level] for level in levels] for count in counts]).p)
        if len(levels) == 2:
            one, other = (count[levels[1]] / count.total() for count in counts)
            spread = math.sqrt((one * (1 - one) + other * (1 - other)) / 2)
            smd = _rounded((one - other) / spread) if spread else None
    rows = []
    for at, level in enumerate(levels):
        shown = [None if level in secret else count[level] for count, secret in zip(counts, hidden)]
        shares = [
            None if number is None else _rounded(100 * number / count.total(), 3) if count else None
            for number, count in zip(shown, counts)
        ]
        # The comparison stands once, beside the first level.
        beside = (smd, p) if at == 0 else (None, None)
        rows.append((name, str(level), "n", *shown, *beside))
        rows.append((name, str(level), "%", *shares, None, None))
    return rows


def _hidden(count, levels):
    """Levels of a group that are not shown: those of few persons, and one more where a single one could be
    had by subtraction."""
    few = {level for level in levels if 0 < count[level] < THRESHOLD}
    if len(few) == 1:
        rest = [level for level in levels if level not in few and count[level]]
        if rest:
            few.add(min(rest, key=lambda level: count[level]))
    return few
