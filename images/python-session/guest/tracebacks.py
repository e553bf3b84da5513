"""Tracebacks that show the script's own lines, and nothing of what runs it."""

import linecache
import traceback

# Longer ones are cut in the middle; in characters.
_TEXT_MAX = 16 * 1024

_HINTS = (
    (
        ModuleNotFoundError,
        "the session has Python's standard library and `kekkai`: no NumPy, no pandas, no pip",
        "使えるのはPython標準ライブラリと`kekkai`だけです。NumPy、pandas、pipはありません。",
    ),
    (
        OSError,
        "a session has no files, no network and no other programs; kekkai.scratch keeps bytes for the run",
        "セッションにはファイル、ネットワーク、他のプログラムはありません。実行中の保存にはkekkai.scratchを使えます。",
    ),
    (
        MemoryError,
        "the run's memory is used up: read with kekkai.rows, or ask for more ([programs] memory_limit_mib)",
        "実行のメモリを使い切りました。kekkai.rowsで少しずつ読むか、"
        "取決めの[programs] memory_limit_mibの変更を依頼してください。",
    ),
)


def remember(name, source):
    """Lets tracebacks and `inspect` find the script's lines."""
    # Without a time of change, linecache believes the entry for good.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)


def line(error, name):
    """The script's line: the innermost one that the error passed, or where the text can't be read."""
    found = 0
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == name:
            found = number
    if not found and isinstance(error, SyntaxError):
        found = error.lineno or 0
    return found


def text(error, name):
    """The traceback from the script's first line on, with a hint where one helps."""
    whole = traceback.TracebackException.from_exception(error, compact=True)
    _trim(whole, name, set())
    shown = "".join(whole.format())
    for kind, english, japanese in _HINTS:
        if isinstance(error, kind):
            shown += f"  {english}\n  {japanese}\n"
            break
    if len(shown) > _TEXT_MAX:
        half = _TEXT_MAX // 2
        shown = f"{shown[:half]}\n  …\n{shown[-half:]}"
    return shown


def _trim(of, name, seen):
    """Drops frames above the script's first, in an exception and those that led to it."""
    if of is None or id(of) in seen:
        return
    seen.add(id(of))
    first = next((at for at, frame in enumerate(of.stack) if frame.filename == name), None)
    if first is not None:
        del of.stack[:first]
    elif issubclass(of.exc_type, SyntaxError):
        of.stack.clear()
    for other in (of.__cause__, of.__context__, *(of.exceptions or ())):
        _trim(other, name, seen)
