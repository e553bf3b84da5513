"""Kekkai for Python: data of the agreement, statistics, outputs.

    import kekkai
    patients = kekkai.sql("SELECT person_id, sex FROM patients WHERE prefecture = ?", "京都府")
    print(patients.value_counts("sex"))
    kekkai.submit_table("Patients by sex", "Counts of the cohort", patients.value_counts("sex"))

`help(kekkai.sql)` and so on say more.
"""

from .column import Column, Type
from .descriptive import describe, mean, median, quantile, quartiles, sd, variance
from .epidemiology import Estimate, TwoByTwo, proportion, two_by_two
from .errors import Error, OutputError, QueryError, ScratchError, StreamError
from .frame import Frame
from .inference import Test, chi_square, fisher_exact, mean_interval, t_test
from .printing import printed
from .session import args, progress, rows, schema, scratch, sql, statistic
from .submit import Series, submit_figure, submit_model, submit_table, submit_text, survival_series
from .survival import KaplanMeier, kaplan_meier, log_rank

__all__ = [
    "Column", "Error", "Estimate", "Frame", "KaplanMeier", "OutputError", "QueryError", "ScratchError",
    "Series", "StreamError", "Test", "TwoByTwo", "Type", "args", "chi_square", "describe", "fisher_exact",
    "kaplan_meier", "log_rank", "mean", "mean_interval", "median", "printed", "progress", "proportion", "quantile",
    "quartiles", "rows", "schema", "scratch", "sd", "sql", "statistic", "submit_figure", "submit_model",
    "submit_table", "submit_text", "survival_series", "t_test", "two_by_two", "variance",
]  # fmt: skip
