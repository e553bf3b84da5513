# 2型糖尿病(HbA1c 6.5%以上)の患者におけるSGLT2阻害薬と1年以内の入院(病院サンプル)
# SGLT2 inhibitor in diabetes (HbA1c 6.5 % or more) and admission within a year (Japanese hospital sample).
from datetime import timedelta

import kekkai

HBA1C = "3D046000001906202"
SGLT2 = "3969019F2027"
YEAR = timedelta(days=365)

diabetic = kekkai.sql(
    "SELECT person_id, collected_on FROM labs WHERE jlac10 = ? AND value >= ?", HBA1C, 6.5
).group_by("person_id").agg(diagnosed=("collected_on", "min"))  # fmt: skip
kekkai.progress(0.4, "labs")
treated = kekkai.sql("SELECT DISTINCT person_id FROM drugs WHERE yj_code = ?", SGLT2)
kekkai.progress(0.6, "drugs")
admitted = kekkai.sql("SELECT person_id, admitted_on FROM dpc")
kekkai.progress(0.8, "dpc")

# 診断後365日以内の最初の入院 / the first admission within 365 days after the first high HbA1c
after = (
    admitted.join(diabetic, on="person_id")
    .where(lambda row: row["diagnosed"] < row["admitted_on"] <= row["diagnosed"] + YEAR)
    .group_by("person_id")
    .agg(admitted=("admitted_on", "min"))
)
exposed = set(treated["person_id"])
cohort = diabetic.join(after, on="person_id", how="left").with_columns(
    exposed=lambda row: row["person_id"] in exposed,
    outcome=lambda row: row["admitted"] is not None,
    days=lambda row: (row["admitted"] - row["diagnosed"]).days if row["admitted"] else 365,
)
table = kekkai.two_by_two(cohort, "exposed", "outcome")
print(f"コホート {len(cohort)}人", table, sep="\n")
print("リスク比", table.risk_ratio(), "|", table.fisher())

PURPOSE = "HbA1c 6.5%以上となった最初の日から365日以内の入院。リスク比はKatz法、リスクはWilson法、95%信頼区間。"
names = ("SGLT2あり", "SGLT2なし")
counts = [(names[0], table.a, table.b), (names[1], table.c, table.d)]
kekkai.submit_table("SGLT2阻害薬の有無と入院", PURPOSE, counts, columns=["群", "入院あり", "入院なし"])
measures = [("リスク比", *table.risk_ratio()), ("オッズ比", *table.odds_ratio())]
kekkai.submit_table("SGLT2阻害薬と入院の関連", PURPOSE, measures, columns=["指標", "値", "下限", "上限"])
risks = table.risks()
bars = kekkai.Series("1年以内の入院", list(names), y=[r.value for r in risks],
                     low=[r.low for r in risks], high=[r.high for r in risks])  # fmt: skip
kekkai.submit_figure("1年以内の入院リスク", PURPOSE, "bar", bars, y_label="リスク")
