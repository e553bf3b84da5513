-- Questions of Japanese hospital and claims data: DPC, レセプト, 検査値. The tables are those of `kekkai sample`,
-- ingested as any dataset is: pseudonyms for persons, ages in bands.

-- statistic: 年齢階級と性別ごとの患者数
SELECT age_band, sex, count(*) AS "患者数"
FROM patients
GROUP BY age_band, sex
ORDER BY age_band, sex;

-- statistic: DPC: 年ごとの入院件数と平均在院日数
SELECT extract(year FROM admitted_on) AS "年", count(*) AS "入院", count(DISTINCT person_id) AS "患者",
  avg(discharged_on - admitted_on + 1) AS "平均在院日数"
FROM dpc
GROUP BY extract(year FROM admitted_on)
ORDER BY 1;

-- statistic: ICD-10 の大分類 (先頭の三桁) ごとの入院と請求点数
SELECT substring(icd10 FROM 1 FOR 3) AS icd, count(*) AS admissions, sum(points) AS points, avg(points) AS mean_points
FROM dpc
GROUP BY substring(icd10 FROM 1 FOR 3)
ORDER BY icd;

-- statistic: HbA1c の基準値を超えた患者 (JLAC10 の分析物コード 3D046)
SELECT count(DISTINCT person_id) AS persons, avg(value) AS mean_value, stddev(value) AS deviation
FROM labs
WHERE left(jlac10, 5) = '3D046' AND value >= 6.5;

-- statistic: 糖尿病薬 (YJ コード 396 で始まる) を処方された患者の性別
SELECT p.sex, count(DISTINCT d.person_id) AS persons, sum(d.days) AS days
FROM drugs d
JOIN patients p ON p.person_id = d.person_id
WHERE d.yj_code LIKE '396%'
GROUP BY p.sex;

-- statistic: 診断基準を初めて満たした日から一年以内の入院
WITH diabetic AS (
  SELECT person_id, min(collected_on) AS met_on
  FROM labs
  WHERE jlac10 = '3D046000001906202' AND value >= 6.5
  GROUP BY person_id
)
SELECT count(DISTINCT a.person_id) AS admitted
FROM diabetic d
JOIN dpc a ON a.person_id = d.person_id
  AND a.admitted_on > d.met_on AND a.admitted_on <= d.met_on + INTERVAL '365 days';

-- statistic: 処方のある月とない月: 月ごとの処方患者数
SELECT date_trunc('month', prescribed_on) AS month, count(DISTINCT person_id) AS persons
FROM drugs
WHERE prescribed_on >= DATE '2023-01-01'
GROUP BY date_trunc('month', prescribed_on)
ORDER BY month;

-- statistic: 検査前 30 日以内の処方の有無
SELECT count(*) FILTER (WHERE l.value >= 7.0) AS high, count(*) AS tests
FROM labs l
WHERE l.jlac10 = '3D046000001906202'
  AND EXISTS (
    SELECT 1 FROM drugs d
    WHERE d.person_id = l.person_id AND d.yj_code LIKE '396%'
      AND d.prescribed_on BETWEEN l.collected_on - INTERVAL '30 days' AND l.collected_on);

-- statistic: 転帰ごとの在院日数の階級
SELECT outcome, CASE WHEN discharged_on - admitted_on < 7 THEN '1: 7日未満'
    WHEN discharged_on - admitted_on < 30 THEN '2: 30日未満' ELSE '3: 30日以上' END AS stay, count(*) AS n
FROM dpc
GROUP BY 1, 2
ORDER BY 1, 2;

-- statistic: 名前に「糖」のある検査
SELECT test_name, unit, count(*) AS tests, avg(value) AS mean_value
FROM labs
WHERE test_name LIKE '%糖%'
GROUP BY test_name, unit;

-- rows: 30 日以内の再入院
SELECT person_id, admitted_on, discharged_on,
  admitted_on - lag(discharged_on) OVER (PARTITION BY person_id ORDER BY admitted_on, discharged_on, icd10) AS days_since
FROM dpc
QUALIFY admitted_on - lag(discharged_on) OVER (PARTITION BY person_id ORDER BY admitted_on, discharged_on, icd10) <= 30;

-- rows: 検査ごとの四分位数
SELECT jlac10, test_name, count(*) AS n,
  percentile_cont(0.25) WITHIN GROUP (ORDER BY value) AS q1,
  median(value) AS q2,
  percentile_cont(0.75) WITHIN GROUP (ORDER BY value) AS q3
FROM labs
GROUP BY jlac10, test_name;

-- rows: 処方日数から数えた服薬の中断 (60 日を超える空き)
WITH supplied AS (
  SELECT person_id, prescribed_on, prescribed_on + CAST(days AS integer) AS until_on, claim_id
  FROM drugs
  WHERE yj_code LIKE '396%'
)
SELECT person_id, until_on, next_on, next_on - until_on AS gap
FROM (
  SELECT person_id, until_on,
    lead(prescribed_on) OVER (PARTITION BY person_id ORDER BY prescribed_on, until_on, claim_id) AS next_on
  FROM supplied
) s
WHERE next_on - until_on > 60;
