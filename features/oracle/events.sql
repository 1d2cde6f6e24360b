-- The five tables as one stream of events, a row for each phase, as
-- churn features build --arrow reads it. Channels are left out: no feature of the
-- default catalogue asks for them. Given: the tables of features.sql, and
-- attributes(customer_id, attributes).

WITH failures AS (
    SELECT customer_id, event_id AS id, us(status_at) AS happened, status, currency, amount
    FROM payments_csv WHERE status IN ('failed', 'refunded') AND status_at IS NOT NULL),
money AS (SELECT DISTINCT event_id AS id, currency FROM payments_csv),
phases AS (
    SELECT customer_id, 'engagement' AS type, id AS event_id, happened, known, kind, value FROM engagement
    UNION ALL
    SELECT customer_id, 'complaint_opened', id, happened, known, category, severity FROM complaints
    UNION ALL
    SELECT customer_id, 'complaint_resolved', id, done, done_seen, NULL, satisfaction FROM complaints WHERE done IS NOT NULL
    UNION ALL
    SELECT customer_id, 'payment_due', id, due, due_known, currency, amount FROM payments JOIN money USING (id) WHERE due IS NOT NULL
    UNION ALL
    SELECT customer_id, 'payment_paid', id, paid, paid_known, currency, amount FROM payments JOIN money USING (id) WHERE paid IS NOT NULL
    UNION ALL
    SELECT customer_id, 'payment_' || status, id, happened, happened, currency, amount::DECIMAL(18, 6) FROM failures
    UNION ALL
    SELECT customer_id, 'contact', event_id, us(occurred_at), coalesce(us(recorded_at), us(occurred_at)), action, NULL FROM contacts_csv)
SELECT customer_id, type, event_id, make_timestamp(happened) AS occurred_at, make_timestamp(known) AS recorded_at, kind, value,
       NULL::TIMESTAMP AS signed_up_at, NULL::TIMESTAMP AS churned_at, NULL::VARCHAR AS churn_reason, NULL::MAP(VARCHAR, VARCHAR) AS attributes
FROM phases
UNION ALL
SELECT customer_id, 'customer', NULL, NULL, NULL, NULL, NULL, make_timestamp(signed), make_timestamp(left_at), churn_reason, attributes
FROM customers JOIN attributes USING (customer_id)
ORDER BY customer_id, occurred_at NULLS FIRST, event_id, type
