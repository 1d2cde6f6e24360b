-- The six tables as one stream of events, a row for each phase, as
-- churn features build --arrow reads it. Given: the tables of features.sql, and
-- described(customer_id, attributes).

WITH phases AS (
    SELECT customer_id, 'engagement' AS type, id AS event_id, happened, known, kind, value, NULL AS channel, NULL AS arm, NULL AS outcome FROM engagement
    UNION ALL
    SELECT customer_id, 'complaint_opened', id, happened, known, category, severity, channel, NULL, NULL FROM complaints
    UNION ALL
    SELECT customer_id, 'complaint_resolved', id, done, done_known, NULL, satisfaction, NULL, NULL, NULL FROM complaints WHERE done IS NOT NULL
    UNION ALL
    SELECT customer_id, 'payment_due', id, due, due_known, currency, amount, NULL, NULL, NULL FROM payments WHERE due IS NOT NULL
    UNION ALL
    SELECT customer_id, 'payment_paid', id, paid_at, paid_known, currency, amount, NULL, NULL, NULL FROM payments WHERE paid_at IS NOT NULL
    UNION ALL
    SELECT customer_id, 'payment_failed', id, failed_at, failed_at, currency, amount, NULL, NULL, NULL FROM payments WHERE failed_at IS NOT NULL
    UNION ALL
    SELECT customer_id, 'payment_refunded', id, refunded_at, refunded_at, currency, amount, NULL, NULL, NULL FROM payments WHERE refunded_at IS NOT NULL
    UNION ALL
    SELECT customer_id, 'contact', id, happened, known, action, cost, channel, arm, outcome FROM contacts
    UNION ALL
    SELECT customer_id, 'attribute_set', of_row || '/' || attribute, happened, known, attribute, NULL, NULL, NULL, text FROM attributes)
SELECT customer_id, type, event_id, make_timestamp(happened) AS occurred_at, make_timestamp(known) AS recorded_at, kind, value, channel, arm, outcome,
       NULL::TIMESTAMP AS signed_up_at, NULL::TIMESTAMP AS churned_at, NULL::VARCHAR AS churn_reason, NULL::MAP(VARCHAR, VARCHAR) AS attributes
FROM phases
UNION ALL
SELECT customer_id, 'customer', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, make_timestamp(signed), make_timestamp(left_at), churn_reason, attributes
FROM customers JOIN described USING (customer_id)
ORDER BY customer_id, occurred_at NULLS FIRST, event_id, type
