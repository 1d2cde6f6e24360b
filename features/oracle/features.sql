-- The default catalogue of features in SQL, straight from the input tables: what
-- churn features build is held against. Written from docs and the catalogue, not
-- from the engine: plain joins, one row for each event and instant.
--
-- Given: rows(customer_id, t), and the tables as texts: customers_csv,
-- engagement_csv, complaints_csv, payments_csv, contacts_csv. Times are whole
-- microseconds, amounts exact decimals.

CREATE MACRO us(x) AS epoch_us(x::TIMESTAMPTZ);
CREATE MACRO days(n) AS (n * 86400000000)::BIGINT;
CREATE MACRO inside(happened, t, d) AS happened >= t - days(d);
CREATE MACRO over(a, b) AS CASE WHEN b = 0 THEN NULL ELSE a / b END;
CREATE MACRO rate_ratio(a, b, u, v) AS (a / u + 1 / v) / ((b - a) / (v - u) + 1 / v);
-- Least squares over x = 0 … n-1, from sums of y and x*y.
CREATE MACRO slope(n, sy, sxy) AS
    (n * sxy - sy * (n * (n - 1) // 2))::DOUBLE
    / (n * ((n - 1) * n * (2 * n - 1) // 6) - (n * (n - 1) // 2) * (n * (n - 1) // 2));

CREATE TABLE customers AS
SELECT *, us(signed_up_at) AS signed, us(churned_at) AS left_at FROM customers_csv;

CREATE TABLE engagement AS
SELECT customer_id, event_id AS id, us(occurred_at) AS happened, coalesce(us(recorded_at), us(occurred_at)) AS known,
       kind, value::DECIMAL(18, 6) AS value
FROM engagement_csv;

CREATE TABLE complaints AS
SELECT *, CASE WHEN done_known >= done THEN greatest(done_known, known) ELSE done_known END AS done_seen
FROM (SELECT customer_id, event_id AS id, us(opened_at) AS happened, coalesce(us(recorded_at), us(opened_at)) AS known,
             category, severity::DECIMAL(18, 6) AS severity, us(resolved_at) AS done,
             coalesce(us(resolved_recorded_at), us(resolved_at)) AS done_known, satisfaction::DECIMAL(18, 6) AS satisfaction
      FROM complaints_csv);

-- A payment may have several rows: one for each status that has a time.
CREATE TABLE payments AS
SELECT customer_id, event_id AS id, min(us(due_at)) AS due,
       min(CASE WHEN due_at IS NOT NULL THEN coalesce(us(recorded_at), us(due_at)) END) AS due_known,
       any_value(amount::DECIMAL(18, 6)) AS amount, min(us(paid_at)) AS paid,
       min(coalesce(us(paid_recorded_at), CASE WHEN due_at IS NULL THEN us(recorded_at) END, us(paid_at))) AS paid_known,
       min(us(status_at)) FILTER (status = 'failed') AS failed, min(us(status_at)) FILTER (status = 'refunded') AS refunded
FROM payments_csv GROUP BY customer_id, event_id;

CREATE TABLE contacts AS
SELECT customer_id, us(occurred_at) AS happened, coalesce(us(recorded_at), us(occurred_at)) AS known FROM contacts_csv;

-- What could be known at t: happened and recorded before it.
CREATE TABLE e AS
SELECT customer_id, t, id, happened, known, kind, value,
       (happened - lag(happened) OVER (PARTITION BY customer_id, t ORDER BY happened))::DOUBLE / days(1) AS gap
FROM rows JOIN engagement USING (customer_id) WHERE happened < t AND known < t;

CREATE TABLE c AS
SELECT customer_id, t, id, happened, known, category, severity,
       coalesce(done < t AND done_seen < t, false) AS resolved,
       CASE WHEN resolved THEN (done - happened)::DOUBLE / 3600000000 END AS hours,
       CASE WHEN resolved THEN satisfaction END AS csat,
       (t - happened)::DOUBLE / days(1) AS age,
       EXISTS (FROM complaints o WHERE o.customer_id = c.customer_id AND o.category = c.category AND o.category <> ''
               AND o.happened < c.happened AND o.happened >= c.happened - days(90) AND o.happened < t AND o.known < t) AS repeated
FROM rows JOIN complaints c USING (customer_id) WHERE happened < t AND known < t;

-- A payment that was made before its bill was seen is a purchase when it was paid.
CREATE TABLE p AS
SELECT *, greatest(0, CASE WHEN settled THEN paid ELSE t END - happened) AS late_for, late_for::DOUBLE / days(1) AS late_days,
       CASE WHEN settled THEN greatest(0, happened - paid)::DOUBLE / days(1) END AS early_days, late_days > 3 AS late,
       (happened - lag(happened) OVER (PARTITION BY customer_id, t ORDER BY happened))::DOUBLE / days(1) AS gap,
       coalesce(failed < t, false) AS has_failed, coalesce(refunded < t, false) AS has_refund
FROM (SELECT *, coalesce(due < t AND due_known < t, false) AS billed, coalesce(paid < t AND paid_known < t, false) AS settled,
             CASE WHEN billed THEN due ELSE paid END AS happened, CASE WHEN billed THEN due_known ELSE paid_known END AS known
      FROM rows JOIN payments USING (customer_id))
WHERE billed OR settled;

CREATE TABLE engagement_features AS
SELECT customer_id, t,
    count(*) FILTER (inside(happened, t, 7)) AS eng_n_7, count(*) FILTER (inside(happened, t, 30)) AS eng_n_30,
    count(*) FILTER (inside(happened, t, 90)) AS eng_n_90, count(*) FILTER (inside(happened, t, 180)) AS eng_n_180,
    count(*) FILTER (inside(happened, t, 365)) AS eng_n_365,
    coalesce(sum(value) FILTER (inside(happened, t, 30)), 0)::DOUBLE AS eng_sum_30,
    coalesce(sum(value) FILTER (inside(happened, t, 90)), 0)::DOUBLE AS eng_sum_90,
    coalesce(sum(value) FILTER (inside(happened, t, 365)), 0)::DOUBLE AS eng_sum_365,
    sum(value) FILTER (inside(happened, t, 30))::DOUBLE / count(value) FILTER (inside(happened, t, 30)) AS eng_mean_30,
    sum(value) FILTER (inside(happened, t, 90))::DOUBLE / count(value) FILTER (inside(happened, t, 90)) AS eng_mean_90,
    max(value) FILTER (inside(happened, t, 90)) AS eng_max_90,
    last(value ORDER BY happened, known, id) FILTER (inside(happened, t, 365) AND value IS NOT NULL) AS eng_last,
    count(DISTINCT (t - happened - 1) // days(1)) FILTER (inside(happened, t, 7)) AS eng_days_7,
    count(DISTINCT (t - happened - 1) // days(1)) FILTER (inside(happened, t, 30)) AS eng_days_30,
    count(DISTINCT (t - happened - 1) // days(1)) FILTER (inside(happened, t, 90)) AS eng_days_90,
    count(DISTINCT nullif(kind, '')) FILTER (inside(happened, t, 30)) AS eng_kinds_30,
    count(DISTINCT nullif(kind, '')) FILTER (inside(happened, t, 90)) AS eng_kinds_90,
    (t - max(happened) FILTER (inside(happened, t, 365)))::DOUBLE / days(1) AS eng_rec,
    (t - min(happened) FILTER (inside(happened, t, 365)))::DOUBLE / days(1) AS eng_first,
    slope(30, count(*) FILTER (inside(happened, t, 30)), coalesce(sum(29 - (t - happened - 1) // days(1)) FILTER (inside(happened, t, 30)), 0)) AS eng_slope_30,
    slope(90, count(*) FILTER (inside(happened, t, 90)), coalesce(sum(89 - (t - happened - 1) // days(1)) FILTER (inside(happened, t, 90)), 0)) AS eng_slope_90,
    avg(gap) FILTER (inside(happened, t, 90)) AS eng_gap_mean_90, avg(gap) FILTER (inside(happened, t, 365)) AS eng_gap_mean_365,
    stddev_samp(gap) FILTER (inside(happened, t, 90)) AS eng_gap_std_90, max(gap) FILTER (inside(happened, t, 90)) AS eng_gap_max_90,
    coalesce((t - max(happened) FILTER (inside(happened, t, 364)) - 1) // days(7), 52) AS eng_empty_weeks
FROM rows LEFT JOIN e USING (customer_id, t) GROUP BY customer_id, t;

-- Week by week back from t: how many weeks in a row have fewer than the one before.
CREATE TABLE engagement_weeks AS
WITH weeks AS (SELECT customer_id, t, w::BIGINT AS w FROM rows, range(12) r(w)),
     filled AS (SELECT k.customer_id, k.t, k.w, coalesce(n, 0) AS n FROM weeks k
                LEFT JOIN (SELECT customer_id, t, (t - happened - 1) // days(7) AS w, count(*) AS n FROM e GROUP BY ALL)
                USING (customer_id, t, w))
SELECT a.customer_id, a.t, coalesce(min(a.w) FILTER (NOT a.n < b.n), 11) AS eng_down_weeks
FROM filled a JOIN filled b ON a.customer_id = b.customer_id AND a.t = b.t AND b.w = a.w + 1 GROUP BY a.customer_id, a.t;

CREATE TABLE kind_features AS
SELECT customer_id, t, kind, count(*) FILTER (inside(happened, t, 30)) AS n_30, count(*) FILTER (inside(happened, t, 90)) AS n_90,
       (t - max(happened) FILTER (inside(happened, t, 365)))::DOUBLE / days(1) AS rec
FROM e GROUP BY customer_id, t, kind;

CREATE TABLE complaint_features AS
SELECT customer_id, t,
    count(*) FILTER (inside(happened, t, 30)) AS cmp_n_30, count(*) FILTER (inside(happened, t, 90)) AS cmp_n_90,
    count(*) FILTER (inside(happened, t, 180)) AS cmp_n_180, count(*) FILTER (inside(happened, t, 365)) AS cmp_n_365,
    coalesce(sum(severity) FILTER (inside(happened, t, 90)), 0)::DOUBLE AS cmp_sev_sum_90,
    coalesce(sum(severity) FILTER (inside(happened, t, 365)), 0)::DOUBLE AS cmp_sev_sum_365,
    max(severity) FILTER (inside(happened, t, 90)) AS cmp_sev_max_90, max(severity) FILTER (inside(happened, t, 365)) AS cmp_sev_max_365,
    count(*) FILTER (inside(happened, t, 90) AND severity >= 4) AS cmp_hi_n_90,
    count(*) FILTER (inside(happened, t, 365) AND severity >= 4) AS cmp_hi_n_365,
    (t - max(happened) FILTER (inside(happened, t, 365)))::DOUBLE / days(1) AS cmp_rec,
    last(severity ORDER BY happened, known, id) FILTER (inside(happened, t, 365) AND severity IS NOT NULL) AS cmp_last_sev,
    count(*) FILTER (inside(happened, t, 730) AND NOT resolved) AS cmp_open_n,
    max(severity) FILTER (inside(happened, t, 730) AND NOT resolved) AS cmp_open_sev_max,
    max(age) FILTER (inside(happened, t, 730) AND NOT resolved) AS cmp_open_age_max,
    avg(hours) FILTER (inside(happened, t, 365)) AS cmp_ttr_mean,
    last(hours ORDER BY happened, known, id) FILTER (inside(happened, t, 365) AND hours IS NOT NULL) AS cmp_ttr_last,
    avg(csat::DOUBLE) FILTER (inside(happened, t, 365)) AS cmp_csat_mean, min(csat) FILTER (inside(happened, t, 365)) AS cmp_csat_min,
    last(csat ORDER BY happened, known, id) FILTER (inside(happened, t, 365) AND csat IS NOT NULL) AS cmp_csat_last,
    count(DISTINCT nullif(category, '')) FILTER (inside(happened, t, 365)) AS cmp_cats,
    count(*) FILTER (inside(happened, t, 365) AND repeated) AS cmp_repeat
FROM rows LEFT JOIN c USING (customer_id, t) GROUP BY customer_id, t;

CREATE TABLE payment_features AS
SELECT customer_id, t,
    count(*) FILTER (inside(happened, t, 30)) AS pay_n_30, count(*) FILTER (inside(happened, t, 90)) AS pay_n_90,
    count(*) FILTER (inside(happened, t, 365)) AS pay_n_365,
    coalesce(sum(amount) FILTER (inside(happened, t, 30)), 0)::DOUBLE AS pay_amt_30,
    coalesce(sum(amount) FILTER (inside(happened, t, 90)), 0)::DOUBLE AS pay_amt_90,
    coalesce(sum(amount) FILTER (inside(happened, t, 180)), 0)::DOUBLE AS pay_amt_180,
    coalesce(sum(amount) FILTER (inside(happened, t, 365)), 0)::DOUBLE AS pay_amt_365,
    sum(amount) FILTER (inside(happened, t, 365))::DOUBLE / count(*) FILTER (inside(happened, t, 365)) AS pay_amt_mean,
    (t - max(happened) FILTER (inside(happened, t, 365)))::DOUBLE / days(1) AS pay_rec,
    (t - min(happened) FILTER (inside(happened, t, 365)))::DOUBLE / days(1) AS pay_first,
    count(DISTINCT (t - happened - 1) // days(1)) FILTER (inside(happened, t, 90)) AS pay_days_90,
    avg(gap) FILTER (inside(happened, t, 365)) AS pay_gap_mean_365, stddev_samp(gap) FILTER (inside(happened, t, 365)) AS pay_gap_std_365,
    max(gap) FILTER (inside(happened, t, 365)) AS pay_gap_max_365,
    slope(180, count(*) FILTER (inside(happened, t, 180)),
          coalesce(sum(179 - (t - happened - 1) // days(1)) FILTER (inside(happened, t, 180)), 0)) AS pay_slope_180,
    count(*) FILTER (inside(happened, t, 90) AND late) AS pay_late_n_90, count(*) FILTER (inside(happened, t, 180) AND late) AS pay_late_n_180,
    count(*) FILTER (inside(happened, t, 365) AND late) AS pay_late_n_365,
    avg(late_days) FILTER (inside(happened, t, 90)) AS pay_dlate_mean_90, avg(late_days) FILTER (inside(happened, t, 365)) AS pay_dlate_mean_365,
    max(late_days) FILTER (inside(happened, t, 365)) AS pay_dlate_max,
    last(late_days ORDER BY happened, known, id) FILTER (inside(happened, t, 365)) AS pay_dlate_last,
    avg(early_days) FILTER (inside(happened, t, 365)) AS pay_early_mean,
    count(*) FILTER (inside(happened, t, 30) AND has_failed) AS pay_fail_n_30,
    count(*) FILTER (inside(happened, t, 90) AND has_failed) AS pay_fail_n_90,
    count(*) FILTER (inside(happened, t, 365) AND has_failed) AS pay_fail_n_365,
    count(*) FILTER (inside(happened, t, 365) AND has_refund) AS pay_refund_n,
    count(*) FILTER (inside(happened, t, 365) AND NOT settled) AS pay_overdue_n,
    coalesce(sum(amount) FILTER (inside(happened, t, 365) AND NOT settled), 0)::DOUBLE AS pay_overdue_amt,
    max(late_days) FILTER (inside(happened, t, 365) AND NOT settled) AS pay_overdue_days_max
FROM rows LEFT JOIN p USING (customer_id, t) GROUP BY customer_id, t;

-- The last 12 payments of the year, from the newest.
CREATE TABLE payment_trends AS
SELECT customer_id, t, over(any_value(amount::DOUBLE) FILTER (back = 1), any_value(amount::DOUBLE) FILTER (back = 2)) - 1 AS pay_amt_chg,
       CASE WHEN count(*) > 1 THEN
           slope(count(*), sum(late_for), count(*) * sum(late_for) - sum(back * late_for)) / days(1) END AS pay_dlate_trend
FROM (SELECT *, row_number() OVER (PARTITION BY customer_id, t ORDER BY happened DESC, known DESC, id DESC) AS back
      FROM p WHERE inside(happened, t, 365))
WHERE back <= 12 GROUP BY customer_id, t;

CREATE TABLE contact_features AS
SELECT customer_id, t, count(*) FILTER (inside(happened, t, 30) AND happened < t AND known < t) AS con_n_30,
       count(*) FILTER (inside(happened, t, 90) AND happened < t AND known < t) AS con_n_90,
       (t - max(happened) FILTER (inside(happened, t, 365) AND happened < t AND known < t))::DOUBLE / days(1) AS con_rec
FROM rows LEFT JOIN contacts USING (customer_id) GROUP BY customer_id, t;

CREATE TABLE expected AS
SELECT *,
    rate_ratio(eng_n_7, eng_n_30, 7, 30) AS eng_rate_7_30, rate_ratio(eng_n_30, eng_n_90, 30, 90) AS eng_rate_30_90,
    rate_ratio(eng_n_90, eng_n_365, 90, 365) AS eng_rate_90_365,
    eng_slope_90 * 90 / (eng_n_90 / 90 + 1 / 90) AS eng_relslope_90, over(eng_gap_std_90, eng_gap_mean_90) AS eng_gap_cv_90,
    over(eng_rec, eng_gap_mean_365) AS eng_silence, eng_n_180 / 180 AS eng_per_day_180, eng_rec * eng_n_180 / 180 AS eng_missed,
    rate_ratio(cmp_n_90, cmp_n_365, 90, 365) AS cmp_rate_90_365, cmp_n_90 / (eng_n_90 + 1) AS cmp_per_eng,
    rate_ratio(pay_amt_90, pay_amt_365, 90, 365) AS pay_amt_rate_90_365, rate_ratio(pay_n_30, pay_n_90, 30, 90) AS pay_rate_30_90,
    over(pay_rec, pay_gap_mean_365) AS pay_silence, over(pay_late_n_90, pay_n_90) AS pay_late_rate_90,
    over(pay_late_n_365, pay_n_365) AS pay_late_rate_365, over(pay_fail_n_365, pay_n_365) AS pay_fail_rate,
    CASE WHEN eng_rec IS NULL OR pay_rec < eng_rec THEN pay_rec ELSE eng_rec END AS act_rec,
    CASE WHEN signed < t THEN (t - signed)::DOUBLE / days(1) END AS cus_tenure
FROM engagement_features JOIN engagement_weeks USING (customer_id, t) JOIN complaint_features USING (customer_id, t)
JOIN payment_features USING (customer_id, t) LEFT JOIN payment_trends USING (customer_id, t) JOIN contact_features USING (customer_id, t)
LEFT JOIN customers USING (customer_id);
