-- What the streams and aggregates of docs/features.md come to, straight from the
-- input tables: what churn features build is held against. Written from the
-- words there, not from the engine: plain joins, one row for each event and
-- instant. oracle.py asks for each feature as it is declared.
--
-- Given: rows(customer_id, t), and the tables as texts: customers_csv,
-- engagement_csv, complaints_csv, payments_csv, contacts_csv, attributes_csv.
-- Times are whole microseconds, amounts exact decimals.

CREATE MACRO us(x) AS epoch_us(x::TIMESTAMPTZ);
CREATE MACRO utc(x) AS make_timestamp(x);
CREATE MACRO days(n) AS (n * 86400000000)::BIGINT;
CREATE MACRO amount(x) AS x::DECIMAL(18, 6);
CREATE MACRO over(a, b) AS CASE WHEN b = 0 THEN NULL ELSE a / b END;
-- Least squares over x = 0 … n-1, from sums of y and x*y.
CREATE MACRO slope(n, sy, sxy) AS
    (n * sxy - sy * (n * (n - 1) // 2))::DOUBLE
    / (n * ((n - 1) * n * (2 * n - 1) // 6) - (n * (n - 1) // 2) * (n * (n - 1) // 2));

CREATE TABLE customers AS
SELECT *, us(signed_up_at) AS signed, us(churned_at) AS left_at FROM customers_csv;

CREATE TABLE engagement AS
SELECT customer_id, event_id AS id, us(occurred_at) AS happened, coalesce(us(recorded_at), happened) AS known,
       coalesce(kind, '') AS kind, amount(value) AS value
FROM engagement_csv;

CREATE TABLE complaints AS
SELECT customer_id, event_id AS id, us(opened_at) AS happened, coalesce(us(recorded_at), happened) AS known,
       coalesce(category, '') AS category, coalesce(channel, '') AS channel, amount(severity) AS severity, us(resolved_at) AS done,
       greatest(coalesce(us(resolved_recorded_at), done), known) AS done_known, amount(complaints_csv.satisfaction) AS satisfaction
FROM complaints_csv;

-- A payment may have several rows: one for each status that has a time.
CREATE TABLE payments AS
SELECT customer_id, event_id AS id, any_value(amount(payments_csv.amount)) AS amount, coalesce(any_value(payments_csv.currency), '') AS currency,
       min(us(due_at)) AS due, min(CASE WHEN due_at IS NOT NULL THEN coalesce(us(recorded_at), us(due_at)) END) AS due_known,
       min(us(payments_csv.paid_at)) AS paid_at,
       min(coalesce(us(paid_recorded_at), CASE WHEN due_at IS NULL THEN us(recorded_at) END, us(payments_csv.paid_at))) AS paid_known,
       min(us(status_at)) FILTER (status = 'failed') AS failed_at, min(us(status_at)) FILTER (status = 'refunded') AS refunded_at
FROM payments_csv GROUP BY customer_id, event_id;

CREATE TABLE contacts AS
SELECT customer_id, event_id AS id, us(occurred_at) AS happened, coalesce(us(recorded_at), happened) AS known, coalesce(action, '') AS action,
       coalesce(channel, '') AS channel, coalesce(arm, '') AS arm, coalesce(outcome, '') AS outcome, coalesce(amount(cost), 0) AS cost
FROM contacts_csv;

-- A row of the attributes table says one thing for each of its columns.
CREATE TABLE attributes AS
SELECT customer_id, event_id AS of_row, attribute || '/' || coalesce(said, '') AS id, us(valid_from) AS happened, coalesce(us(recorded_at), happened) AS known,
       attribute, coalesce(said, '') AS text, try_cast(said AS DECIMAL(18, 6)) AS value
FROM attributes_csv UNPIVOT INCLUDE NULLS (said FOR attribute IN (COLUMNS(* EXCLUDE (customer_id, valid_from, recorded_at, event_id))));

-- The streams as they could be known at t, with fields, texts and states under
-- their names: what happened and was recorded before it.
CREATE MACRO visible(stream) AS TABLE FROM rows JOIN query_table(stream) USING (customer_id) WHERE happened < t AND known < t;

CREATE TABLE engagement_at AS FROM visible('engagement');
CREATE TABLE contacts_at AS FROM visible('contacts');
-- What is said again is no change.
CREATE TABLE attributes_at AS
SELECT * EXCLUDE (before)
FROM (SELECT *, lag(text) OVER (PARTITION BY customer_id, t, attribute ORDER BY happened, known, id) AS before FROM visible('attributes'))
WHERE before IS NULL OR before <> text;

CREATE TABLE complaints_at AS
SELECT * EXCLUDE (satisfaction), coalesce(done < t AND done_known < t, false) AS resolved, NOT resolved AS open,
       CASE WHEN resolved THEN (done - happened)::DOUBLE / 3600000000 END AS hours_to_resolve, CASE WHEN resolved THEN v.satisfaction END AS satisfaction
FROM visible('complaints') v;

-- One that was made before its bill was seen is a purchase when it was paid.
CREATE TABLE payments_at AS
SELECT *, CASE WHEN billed THEN due ELSE paid_at END AS happened, CASE WHEN billed THEN due_known ELSE paid_known END AS known, NOT paid AS unpaid,
       greatest(0, CASE WHEN paid THEN paid_at ELSE t END - happened)::DOUBLE / days(1) AS days_late, days_late > 3 AS late,
       CASE WHEN paid THEN greatest(0, happened - paid_at)::DOUBLE / days(1) END AS days_early,
       coalesce(failed_at < t, false) AS failed, coalesce(refunded_at < t, false) AS refunded
FROM (SELECT *, coalesce(due < t AND due_known < t, false) AS billed, coalesce(paid_at < t AND paid_known < t, false) AS paid
      FROM rows JOIN payments USING (customer_id))
WHERE billed OR paid;

-- A stream with the fields that every one has.
CREATE MACRO seen(stream) AS TABLE
SELECT *, (t - happened)::DOUBLE / days(1) AS age_days, hour(utc(happened)) AS hour, isodow(utc(happened)) AS weekday
FROM query_table(stream || '_at');

-- 29 February is 1 March in a year that has none.
CREATE MACRO in_year(day, y) AS make_date(y, month(day), 1) + (day(day) - 1)::INTEGER;

CREATE TABLE customer AS
SELECT customer_id, t, (t - since)::DOUBLE / days(1) AS tenure, month(utc(since)) AS signup_month,
       (year(utc(since)) - 1970) * 12 + month(utc(since)) - 1 AS cohort,
       date_diff('day', utc(t)::DATE, least(CASE WHEN this >= utc(t)::DATE THEN this END, next)) AS anniversary
FROM (SELECT *, in_year(utc(since), year(utc(t))) AS this, in_year(utc(since), year(utc(t)) + 1) AS next
      FROM (SELECT customer_id, t, CASE WHEN signed < t THEN signed END AS since FROM rows LEFT JOIN customers USING (customer_id)));

CREATE TABLE calendar AS
SELECT customer_id, t, month(utc(t)) AS month, day(utc(t)) AS day_of_month, isodow(utc(t)) AS day_of_week,
       sin(2 * pi() * t / (365.2425 * days(1))) AS season_sin, cos(2 * pi() * t / (365.2425 * days(1))) AS season_cos
FROM rows;

-- Every aggregate of items(customer_id, t, id, happened, known, kind, value, yes)
-- in a window of w days that ends o days before t. value is in whole sub-units,
-- per to the unit; yes is the condition of a share.
CREATE MACRO every(items, w, o, per) AS TABLE
WITH before AS (
         SELECT *, t - days(o) AS till, happened - lag(happened) OVER (PARTITION BY customer_id, t ORDER BY happened, known, id) AS gap,
                kind <> '' AND max(happened) OVER (PARTITION BY customer_id, t, kind ORDER BY happened
                                                   RANGE BETWEEN 7776000000000 PRECEDING AND 1 PRECEDING) IS NOT NULL AS again
         FROM query_table(items) WHERE happened < till),
     i AS (
         SELECT *, (till - happened - 1) // days(1) AS day, (till - happened - 1) // days(7) AS week,
                till - max(happened) OVER (PARTITION BY customer_id, t) AS since,
                row_number() OVER (PARTITION BY customer_id, t ORDER BY happened DESC, known DESC, id DESC) AS back
         FROM before WHERE happened >= till - days(w)),
     v AS (
         SELECT customer_id, t, value, row_number() OVER oldest AS nth, lag(value) OVER oldest AS prior,
                count(*) OVER (PARTITION BY customer_id, t) + 1 - nth AS back
         FROM i WHERE value IS NOT NULL WINDOW oldest AS (PARTITION BY customer_id, t ORDER BY happened, known, id)),
     weekly AS (
         SELECT customer_id, t, k.week, count(i.id) AS n
         FROM rows CROSS JOIN (SELECT unnest(range(w // 7)) AS week) k LEFT JOIN i USING (customer_id, t, week) GROUP BY ALL),
     of_items AS (
         SELECT customer_id, t, count(*) AS count, count(*) FILTER (yes) / count(*) AS rate, coalesce(min(back) FILTER (NOT yes) - 1, count(*)) AS run,
                count(DISTINCT day) AS days, count(DISTINCT week) AS weeks, count(DISTINCT nullif(kind, '')) AS kinds, count(*) FILTER (again) AS repeats,
                min(since)::DOUBLE / days(1) AS recency, max(till - happened)::DOUBLE / days(1) AS first,
                slope(w::BIGINT, count(*), sum(w - 1 - day)) AS slope,
                over(sum(gap)::DOUBLE, count(gap)) / days(1) AS gap_mean, stddev_samp(gap) / days(1) AS gap_std, max(gap)::DOUBLE / days(1) AS gap_max,
                max(gap) FILTER (back = 1)::DOUBLE / days(1) AS gap_last, over(count(*) FILTER (gap <= since), count(gap)) AS gap_rank
         FROM i GROUP BY customer_id, t),
     of_kinds AS (
         SELECT customer_id, t, max(n) / sum(n) AS top_share
         FROM (SELECT customer_id, t, kind, count(*) AS n FROM i WHERE kind <> '' GROUP BY ALL) GROUP BY customer_id, t),
     of_values AS (
         SELECT customer_id, t, sum(value)::DOUBLE / per AS sum, sum(value)::DOUBLE / count(*) / per AS mean, stddev_samp(value) / per AS std,
                min(value)::DOUBLE / per AS min, max(value)::DOUBLE / per AS max, max(value) FILTER (back = 1)::DOUBLE / per AS last,
                max(value) FILTER (nth = 1)::DOUBLE / per AS earliest,
                list_sort(list(value)) AS sorted, (sorted[(count(*) + 1) // 2] + sorted[count(*) // 2 + 1])::DOUBLE / (2 * per) AS median,
                count(*) FILTER (value > prior) AS rises, count(*) FILTER (value < prior) AS falls,
                over(max(value) FILTER (back = 1)::DOUBLE, max(prior) FILTER (back = 1)::DOUBLE) - 1 AS change,
                least(count(*), 12) AS n,
                CASE WHEN n > 1 THEN slope(n, sum(value) FILTER (back <= 12),
                    n * sum(value) FILTER (back <= 12) - sum(value * back) FILTER (back <= 12)) / per END AS trend
         FROM v GROUP BY customer_id, t),
     of_weeks AS (
         SELECT a.customer_id, a.t, coalesce(min(a.week) FILTER (a.n = 0), w // 7) AS active_weeks,
                coalesce(min(a.week) FILTER (a.n > 0), w // 7) AS empty_weeks,
                coalesce(min(a.week) FILTER (NOT a.n < b.n), w // 7 - 1) AS down_weeks
         FROM weekly a LEFT JOIN weekly b ON a.customer_id = b.customer_id AND a.t = b.t AND b.week = a.week + 1 GROUP BY a.customer_id, a.t)
SELECT * REPLACE (coalesce(count, 0) AS count, coalesce(run, 0) AS run, coalesce(days, 0) AS days, coalesce(weeks, 0) AS weeks,
                  coalesce(kinds, 0) AS kinds, coalesce(repeats, 0) AS repeats, coalesce(slope, 0) AS slope, coalesce(sum, 0) AS sum,
                  coalesce(rises, 0) AS rises, coalesce(falls, 0) AS falls),
       rate AS share
FROM rows LEFT JOIN of_items USING (customer_id, t) LEFT JOIN of_kinds USING (customer_id, t)
LEFT JOIN of_values USING (customer_id, t) LEFT JOIN of_weeks USING (customer_id, t);
