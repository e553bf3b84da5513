"""DuckDB at the other end of a pipe: a line of JSON in, a line of JSON out.

    {"sql": "SELECT …"}  ->  {"rows": [[1, "a", null], …], "seconds": 0.01}  or  {"error": "…"}

Dates and times come in ISO 8601, decimals as numbers, floats that JSON doesn't know as {"float": "nan"}.
The arguments are extensions to load, each from its package of this environment.
"""

import datetime
import decimal
import importlib.util
import json
import math
import pathlib
import sys
import time

import duckdb


def plain(value):
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a value of {type(value).__name__} is not compared")


def extension_file(name):
    package = importlib.util.find_spec(f"duckdb_extension_{name}")
    folder = pathlib.Path(package.origin).parent / "extensions" / f"v{duckdb.__version__}"
    return str(folder / f"{name}.duckdb_extension")


connection = duckdb.connect()
for extension in sys.argv[1:]:
    connection.load_extension(extension_file(extension))
# What PostgreSQL, and so the engine, does: 7 / 2 is 3, and NULL is larger than every value.
connection.execute("SET integer_division = true")
connection.execute("SET default_null_order = 'nulls_last_on_asc_first_on_desc'")
connection.execute("SET threads = 1")
# Rewritten, `date_trunc('day', t) <> TIMESTAMP '… 10:30'` is true of a NULL (DuckDB 1.5.5); as written it is NULL.
connection.execute("SET disabled_optimizers = 'expression_rewriter'")
for line in sys.stdin:
    try:
        sql = json.loads(line)["sql"]
        began = time.perf_counter()
        rows = connection.execute(sql).fetchall()
        seconds = time.perf_counter() - began
        answer = {"rows": [[plain(value) for value in row] for row in rows], "seconds": seconds}
    except (duckdb.Error, TypeError) as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
