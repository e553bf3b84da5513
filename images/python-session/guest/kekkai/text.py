"""Tables of text that line up, also with full-width characters."""

import unicodedata

_NUMBERS = (int, float)


def width(text):
    """Columns that a text takes on a terminal: two for full-width characters, none for combining ones."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def cell(value):
    """A value as people read it. Characters that would move the cursor are shown as `·`."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "".join(character if character.isprintable() else "·" for character in str(value))


def _cut(text, most):
    if width(text) <= most:
        return text
    kept, used = [], 1
    for character in text:
        used += width(character)
        if used > most:
            break
        kept.append(character)
    return "".join(kept) + "…"


def table(names, rows, most=40):
    """Rows under their names; numbers to the right, at most `most` columns a cell."""
    rows = [list(row) for row in rows]
    is_number = [
        all(value is None or isinstance(value, _NUMBERS) for value in column) and bool(rows)
        for column in zip(*rows)
    ] or [False] * len(names)
    lines = [[_cut(cell(name), most) for name in names]]
    lines += [[_cut(cell(value), most) for value in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(*lines)]

    def line(cells):
        padded = (
            " " * (wide - width(text)) + text if right else text + " " * (wide - width(text))
            for text, wide, right in zip(cells, widths, is_number)
        )
        return "  ".join(padded).rstrip()

    header, *body = map(line, lines)
    rule = "  ".join("─" * wide for wide in widths)
    return "\n".join([header, rule, *body])
