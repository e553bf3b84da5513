"""The example studies once more, in CPython and DuckDB on plain data: what a session must equal.

    python reference.py gibleed FOLDER     the Parquet files of GiBleed
    python reference.py sample FOLDER      the CSV files that `kekkai sample` wrote

Prints JSON: for each output of the study its title and its numbers. Cohorts are made by SQL alone and
intervals by the textbook's formulas, written here again, so that nothing is shared with `kekkai`.
"""

import json
import sys
from math import exp, log, sqrt

import duckdb

# The standard normal deviate of a two-sided 95 %.
Z = 1.959963984540054

GIBLEED = """
WITH first AS (
  SELECT person_id, condition_concept_id AS concept, min(condition_start_date) AS day
  FROM read_parquet($folder || '/condition_occurrence.parquet') GROUP BY ALL
), ranked AS (
  SELECT person_id, drug_concept_id AS drug, drug_exposure_start_date AS start,
         row_number() OVER (PARTITION BY person_id ORDER BY drug_exposure_start_date, drug_concept_id) AS place
  FROM read_parquet($folder || '/drug_exposure.parquet') WHERE drug_concept_id IN (1118084, 1124300)
)
SELECT drug = 1118084 AS exposed, coalesce(bled.day <= start + INTERVAL 365 DAY, false) AS outcome, count(*)
FROM ranked
JOIN first AS diagnosed ON diagnosed.person_id = ranked.person_id AND diagnosed.concept = 80180
LEFT JOIN first AS bled ON bled.person_id = ranked.person_id AND bled.concept = 192671
WHERE place = 1 AND diagnosed.day <= start AND (bled.day IS NULL OR bled.day > start)
GROUP BY ALL
"""

SAMPLE = """
WITH diabetic AS (
  SELECT 患者ID, min(採取日::DATE) AS day FROM read_csv($folder || '/labs*.csv', all_varchar = true)
  WHERE JLAC10 = '3D046000001906202' AND 結果値::DOUBLE >= 6.5 GROUP BY ALL
), treated AS (
  SELECT DISTINCT 患者ID FROM read_csv($folder || '/drugs*.csv', all_varchar = true) WHERE YJコード = '3969019F2027'
), admitted AS (
  SELECT 患者ID, 入院日::DATE AS day FROM read_csv($folder || '/dpc*.csv', all_varchar = true)
)
SELECT 患者ID IN (FROM treated) AS exposed,
       EXISTS (FROM admitted WHERE admitted.患者ID = diabetic.患者ID
               AND admitted.day > diabetic.day AND admitted.day <= diabetic.day + INTERVAL 365 DAY) AS outcome,
       count(*)
FROM diabetic GROUP BY ALL
"""


def wilson(cases, total):
    p = cases / total
    centre = (p + Z**2 / (2 * total)) / (1 + Z**2 / total)
    half = Z / (1 + Z**2 / total) * sqrt(p * (1 - p) / total + Z**2 / (4 * total**2))
    return [p, centre - half, centre + half]


def ratio(value, error):
    return [value, exp(log(value) - Z * error), exp(log(value) + Z * error)]


def figures(a, b, c, d):
    n, m = a + b, c + d
    p, q = a / n, c / m
    error = sqrt(p * (1 - p) / n + q * (1 - q) / m)
    return {
        "counts": [[a, b], [c, d]],
        "risks": [wilson(a, n), wilson(c, m)],
        "risk_ratio": ratio(p / q, sqrt(1 / a - 1 / n + 1 / c - 1 / m)),
        "odds_ratio": ratio(a * d / (b * c), sqrt(1 / a + 1 / b + 1 / c + 1 / d)),
        "risk_difference": [p - q, p - q - Z * error, p - q + Z * error],
    }


def study(name, folder):
    """The numbers of a study over a folder of plain data."""
    sql = {"gibleed": GIBLEED, "sample": SAMPLE}[name]
    cells = {(bool(e), bool(o)): n for e, o, n in duckdb.execute(sql, {"folder": folder}).fetchall()}
    order = ((True, True), (True, False), (False, True), (False, False))
    return figures(*(cells.get(key, 0) for key in order))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("gibleed", "sample"):
        sys.exit(f"usage: {sys.argv[0]} gibleed|sample FOLDER")
    print(json.dumps(study(sys.argv[1], sys.argv[2]), indent=1))
