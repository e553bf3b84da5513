# Celecoxib or diclofenac in osteoarthritis, and gastrointestinal bleeding within a year (GiBleed, OMOP).
# 変形性関節症の患者におけるセレコキシブ・ジクロフェナクと1年以内の消化管出血
from datetime import timedelta

import kekkai

OSTEOARTHRITIS, BLEEDING = 80180, 192671
CELECOXIB, DICLOFENAC = 1118084, 1124300
YEAR = timedelta(days=365)

conditions = kekkai.sql(
    "SELECT person_id, condition_concept_id AS concept, condition_start_date AS day"
    " FROM condition_occurrence WHERE condition_concept_id IN (?, ?)",
    OSTEOARTHRITIS,
    BLEEDING,
)
drugs = kekkai.sql(
    "SELECT person_id, drug_concept_id AS drug, drug_exposure_start_date AS start"
    " FROM drug_exposure WHERE drug_concept_id IN (?, ?)",
    CELECOXIB,
    DICLOFENAC,
)
kekkai.progress(0.5, "read")


def first(concept, name):
    return conditions.where(concept=concept).group_by("person_id").agg(**{name: ("day", "min")})


# New users: the first of the two drugs, started after osteoarthritis and without an earlier bleeding.
users = drugs.sort("start", "drug").distinct("person_id")
cohort = (
    users.join(first(OSTEOARTHRITIS, "diagnosed"), on="person_id")
    .join(first(BLEEDING, "bled"), on="person_id", how="left")
    .where(lambda row: row["diagnosed"] <= row["start"] and not (row["bled"] and row["bled"] <= row["start"]))
    .with_columns(
        exposed=lambda row: row["drug"] == CELECOXIB,
        outcome=lambda row: bool(row["bled"] and row["bled"] <= row["start"] + YEAR),
    )
)
table = kekkai.two_by_two(cohort, "exposed", "outcome")
print(table)
print("risk ratio", table.risk_ratio(), "|", table.chi_square())

PURPOSE = "New users with osteoarthritis; bleeding within 365 days of the first dose. RR: Katz, risks: Wilson, 95 %."
risks = dict(zip(("celecoxib", "diclofenac"), table.risks()))
counts = [("celecoxib", table.a, table.b), ("diclofenac", table.c, table.d)]
kekkai.submit_table("Bleeding by drug", PURPOSE, counts, columns=["drug", "bleeding", "none"])
measures = {"risk ratio": table.risk_ratio(), "odds ratio": table.odds_ratio(), "risk difference": table.risk_difference()}
rows = [(name, *estimate) for name, estimate in measures.items()]
kekkai.submit_table("Celecoxib against diclofenac", PURPOSE, rows, columns=["measure", "value", "low", "high"])
bars = kekkai.Series("risk", list(risks), y=[r.value for r in risks.values()],
                     low=[r.low for r in risks.values()], high=[r.high for r in risks.values()])  # fmt: skip
kekkai.submit_figure("Risk of bleeding within a year", PURPOSE, "bar", bars, y_label="risk")
