-- Questions that people ask of the OMOP Common Data Model, as they write them. Each begins with what it is asked
-- for: a statistic is shown to people, rows go to programs. GiBleed answers; DuckDB gives the same.

-- statistic: persons by sex, named from the vocabulary
SELECT coalesce(c.concept_name, p.gender_source_value) AS sex, count(DISTINCT p.person_id) AS persons
FROM person p
LEFT JOIN concept c ON c.concept_id = p.gender_concept_id
GROUP BY coalesce(c.concept_name, p.gender_source_value);

-- statistic: persons by decade of birth
SELECT (year_of_birth / 10) * 10 AS decade, count(*) AS persons
FROM person
GROUP BY (year_of_birth / 10) * 10
ORDER BY decade;

-- statistic: the ten most frequent conditions
SELECT c.concept_name, count(DISTINCT co.person_id) AS persons, count(*) AS records
FROM condition_occurrence co
JOIN concept c ON c.concept_id = co.condition_concept_id
WHERE c.domain_id = 'Condition'
GROUP BY c.concept_name
ORDER BY persons DESC, c.concept_name
LIMIT 10;

-- statistic: prevalence of viral sinusitis by calendar year
SELECT extract(year FROM condition_start_date) AS year, count(DISTINCT person_id) AS persons
FROM condition_occurrence
WHERE condition_concept_id = 40481087
GROUP BY extract(year FROM condition_start_date)
ORDER BY year;

-- statistic: season of acute bronchitis
SELECT date_part('month', condition_start_date) AS month, count(*) AS episodes
FROM condition_occurrence
WHERE condition_concept_id = 260139
GROUP BY 1
ORDER BY 1;

-- statistic: age at the first diagnosis of osteoarthritis, by sex
WITH first_diagnosis AS (
  SELECT person_id, min(condition_start_date) AS diagnosed_on
  FROM condition_occurrence
  WHERE condition_concept_id = 80180
  GROUP BY person_id
)
SELECT p.gender_source_value AS sex, count(*) AS persons,
  avg(date_part('year', f.diagnosed_on) - p.year_of_birth) AS mean_age
FROM first_diagnosis f
JOIN person p ON p.person_id = f.person_id
GROUP BY p.gender_source_value;

-- statistic: new users of celecoxib or diclofenac, with a year of observation before (washout)
WITH index_date AS (
  SELECT person_id, min(drug_exposure_start_date) AS started_on
  FROM drug_exposure
  WHERE drug_concept_id IN (1118084, 1124300)
  GROUP BY person_id
)
SELECT count(DISTINCT i.person_id) AS new_users
FROM index_date i
JOIN observation_period op ON op.person_id = i.person_id
WHERE i.started_on BETWEEN op.observation_period_start_date + INTERVAL '365 days'
  AND op.observation_period_end_date;

-- statistic: of new users, who bled within a year of the index date
WITH index_date AS (
  SELECT person_id, drug_concept_id, min(drug_exposure_start_date) AS started_on
  FROM drug_exposure
  WHERE drug_concept_id IN (1118084, 1124300)
  GROUP BY person_id, drug_concept_id
), bleeding AS (
  SELECT person_id, min(condition_start_date) AS bled_on
  FROM condition_occurrence
  WHERE condition_concept_id = 192671
  GROUP BY person_id
)
SELECT i.drug_concept_id, count(*) AS users,
  count(*) FILTER (WHERE b.bled_on BETWEEN i.started_on AND i.started_on + INTERVAL '1 year') AS cases
FROM index_date i
LEFT JOIN bleeding b ON b.person_id = i.person_id
GROUP BY i.drug_concept_id;

-- statistic: first exposures of persons without the outcome before
SELECT count(DISTINCT d.person_id) AS persons
FROM drug_exposure d
WHERE d.drug_concept_id = 1118084
  AND NOT EXISTS (
    SELECT 1 FROM condition_occurrence c
    WHERE c.person_id = d.person_id AND c.condition_concept_id = 192671
      AND c.condition_start_date < d.drug_exposure_start_date);

-- statistic: measured within 30 days of a diagnosis
SELECT c.condition_concept_id, count(DISTINCT m.person_id) AS persons, count(*) AS measurements
FROM condition_occurrence c
JOIN measurement m ON m.person_id = c.person_id
  AND m.measurement_date BETWEEN c.condition_start_date - INTERVAL '30 days' AND c.condition_start_date + INTERVAL '30 days'
WHERE c.condition_concept_id IN (80180, 260139, 40481087)
GROUP BY c.condition_concept_id;

-- statistic: days under a drug, from its eras
SELECT de.drug_concept_id, count(DISTINCT de.person_id) AS persons,
  sum(de.drug_era_end_date - de.drug_era_start_date + 1) AS days
FROM drug_era de
WHERE de.drug_concept_id IN (1118084, 1124300, 1112807, 1125315)
GROUP BY de.drug_concept_id;

-- statistic: exposed to an ingredient or anything below it in the hierarchy
SELECT count(DISTINCT d.person_id) AS persons
FROM drug_exposure d
JOIN concept_ancestor a ON a.descendant_concept_id = d.drug_concept_id
WHERE a.ancestor_concept_id = 1125315;

-- statistic: visits by age band
SELECT CASE
    WHEN date_part('year', v.visit_start_date) - p.year_of_birth < 40 THEN '0-39'
    WHEN date_part('year', v.visit_start_date) - p.year_of_birth < 65 THEN '40-64'
    ELSE '65+' END AS age_band,
  count(*) AS visits, avg(v.visit_end_date - v.visit_start_date) AS mean_days
FROM visit_occurrence v
JOIN person p ON p.person_id = v.person_id
GROUP BY 1
ORDER BY 1;

-- statistic: years of observation per person
SELECT count(*) AS periods, sum(observation_period_end_date - observation_period_start_date) / 365.25 AS person_years
FROM observation_period;

-- statistic: new cases per thousand person-years
WITH cases AS (
  SELECT person_id, min(condition_start_date) AS first_on
  FROM condition_occurrence
  WHERE condition_concept_id = 4112343
  GROUP BY person_id
)
SELECT count(c.first_on) AS cases,
  1000.0 * count(c.first_on) * 365.25 / sum(least(c.first_on, op.observation_period_end_date) - op.observation_period_start_date)
    AS per_thousand_years
FROM observation_period op
LEFT JOIN cases c ON c.person_id = op.person_id
  AND c.first_on BETWEEN op.observation_period_start_date AND op.observation_period_end_date;

-- statistic: both conditions
SELECT gender_concept_id, count(*) AS persons
FROM person
WHERE person_id IN (SELECT person_id FROM condition_occurrence WHERE condition_concept_id = 372328)
  AND person_id IN (SELECT person_id FROM condition_occurrence WHERE condition_concept_id = 260139)
GROUP BY gender_concept_id;

-- statistic: conditions by sex, side by side
SELECT co.condition_concept_id,
  count(DISTINCT co.person_id) FILTER (WHERE p.gender_source_value = 'F') AS women,
  count(DISTINCT co.person_id) FILTER (WHERE p.gender_source_value = 'M') AS men
FROM condition_occurrence co
JOIN person p USING (person_id)
GROUP BY co.condition_concept_id
HAVING count(DISTINCT co.person_id) > 500
ORDER BY co.condition_concept_id;

-- statistic: how many persons have so many exposures
SELECT least(exposures / 10 * 10, 60) AS at_least, count(*) AS persons
FROM (SELECT person_id, count(*) AS exposures FROM drug_exposure GROUP BY person_id) per_person
GROUP BY least(exposures / 10 * 10, 60)
ORDER BY at_least;

-- statistic: a code list by a regular expression
SELECT count(DISTINCT co.person_id) AS persons
FROM condition_occurrence co
JOIN concept c ON c.concept_id = co.condition_concept_id
WHERE regexp_like(c.concept_name, 'sinusitis', 'i');

-- statistic: exposure and outcome, two by two, within sex
WITH treated AS (
  SELECT DISTINCT person_id FROM drug_exposure WHERE drug_concept_id = 1118084
)
SELECT p.gender_source_value AS sex,
  count(*) FILTER (WHERE p.person_id IS NOT NULL) AS persons,
  count(DISTINCT c.person_id) AS bled
FROM person p
LEFT JOIN condition_occurrence c ON c.person_id = p.person_id AND c.condition_concept_id = 192671
WHERE EXISTS (SELECT 1 FROM treated t WHERE t.person_id = p.person_id)
GROUP BY p.gender_source_value;

-- rows: the first exposure of each person to an NSAID, by a window
SELECT person_id, drug_concept_id, drug_exposure_start_date
FROM (
  SELECT person_id, drug_concept_id, drug_exposure_start_date,
    row_number() OVER (PARTITION BY person_id ORDER BY drug_exposure_start_date, drug_exposure_id) AS place
  FROM drug_exposure
  WHERE drug_concept_id IN (1118084, 1124300)
) ranked
WHERE place = 1;

-- rows: drug eras with gaps of up to 30 days, by windows
WITH exposures AS (
  SELECT person_id, drug_concept_id, drug_exposure_start_date AS started_on,
    coalesce(drug_exposure_end_date, CAST(drug_exposure_start_date + INTERVAL '30 days' AS date)) AS ended_on,
    drug_exposure_id
  FROM drug_exposure
), marked AS (
  SELECT *, CASE WHEN started_on <= max(ended_on) OVER (
      PARTITION BY person_id, drug_concept_id ORDER BY started_on, drug_exposure_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) + INTERVAL '30 days' THEN 0 ELSE 1 END AS is_new
  FROM exposures
), numbered AS (
  SELECT *, sum(is_new) OVER (
      PARTITION BY person_id, drug_concept_id ORDER BY started_on, drug_exposure_id) AS era
  FROM marked
)
SELECT person_id, drug_concept_id, min(started_on) AS era_start, max(ended_on) AS era_end, count(*) AS exposures
FROM numbered
GROUP BY person_id, drug_concept_id, era;

-- rows: days since the previous visit
SELECT person_id, visit_start_date,
  visit_start_date - lag(visit_end_date) OVER (PARTITION BY person_id ORDER BY visit_start_date, visit_occurrence_id) AS days_since
FROM visit_occurrence;

-- rows: the last measurement before the index date
WITH index_date AS (
  SELECT person_id, min(drug_exposure_start_date) AS started_on
  FROM drug_exposure
  WHERE drug_concept_id = 1118084
  GROUP BY person_id
)
SELECT i.person_id, i.started_on, m.measurement_concept_id, m.measurement_date
FROM index_date i
JOIN measurement m ON m.person_id = i.person_id AND m.measurement_date < i.started_on
QUALIFY row_number() OVER (PARTITION BY i.person_id ORDER BY m.measurement_date DESC, m.measurement_id) = 1;

-- rows: one line for each person, conditions side by side
SELECT p.person_id, p.year_of_birth,
  max(CASE WHEN c.condition_concept_id = 80180 THEN 1 ELSE 0 END) AS osteoarthritis,
  max(CASE WHEN c.condition_concept_id = 192671 THEN 1 ELSE 0 END) AS bleeding,
  min(CASE WHEN c.condition_concept_id = 80180 THEN c.condition_start_date END) AS osteoarthritis_on
FROM person p
LEFT JOIN condition_occurrence c ON c.person_id = p.person_id
GROUP BY p.person_id, p.year_of_birth;

-- rows: quartiles of age at diagnosis
SELECT p.gender_source_value AS sex,
  percentile_cont(0.25) WITHIN GROUP (ORDER BY date_part('year', c.condition_start_date) - p.year_of_birth) AS q1,
  median(date_part('year', c.condition_start_date) - p.year_of_birth) AS q2,
  percentile_cont(0.75) WITHIN GROUP (ORDER BY date_part('year', c.condition_start_date) - p.year_of_birth) AS q3
FROM condition_occurrence c
JOIN person p ON p.person_id = c.person_id
WHERE c.condition_concept_id = 80180
GROUP BY p.gender_source_value;

-- rows: a person's timeline from several tables
SELECT person_id, condition_start_date AS day, 'condition' AS what, condition_concept_id AS concept_id
FROM condition_occurrence WHERE person_id < 60
UNION ALL
SELECT person_id, drug_exposure_start_date, 'drug', drug_concept_id
FROM drug_exposure WHERE person_id < 60
UNION ALL
SELECT person_id, procedure_date, 'procedure', procedure_concept_id
FROM procedure_occurrence WHERE person_id < 60;

-- rows: what followed the first line of treatment
WITH lines AS (
  SELECT person_id, drug_concept_id, min(drug_exposure_start_date) AS started_on
  FROM drug_exposure
  WHERE drug_concept_id IN (1118084, 1124300, 1127433, 1713671)
  GROUP BY person_id, drug_concept_id
), ordered AS (
  SELECT person_id, drug_concept_id,
    lead(drug_concept_id) OVER (PARTITION BY person_id ORDER BY started_on, drug_concept_id) AS next_drug,
    row_number() OVER (PARTITION BY person_id ORDER BY started_on, drug_concept_id) AS line
  FROM lines
)
SELECT drug_concept_id, next_drug, count(*) AS persons
FROM ordered
WHERE line = 1
GROUP BY drug_concept_id, next_drug;
