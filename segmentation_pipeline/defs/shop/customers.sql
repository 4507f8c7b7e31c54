-- One row per customer who bought in the period, described by the 60 days that end with it.
-- A short look back shows who a customer is now: seasonal shoppers are a segment in the season, gone after,
-- and somebody whose habits change is between two segments for one month only.
-- The 60 days are written as hours because days depend on the time zone of the session where clocks change.
WITH bought AS (
    SELECT
        customer_id,
        max(ordered_at) AS last_ordered_at,
        count(*) AS orders,
        sum(amount) AS spend,
        sum(discount) AS saved,
        avg(items) AS items_per_order,
        -- equally frequent channels: the first by name, so that the same data give the same answer
        mode() WITHIN GROUP (ORDER BY channel) AS channel
    FROM shop.purchase
    WHERE ordered_at >= CAST(:as_of AS timestamptz) - interval '1440 hours'
      AND ordered_at < CAST(:as_of AS timestamptz)
    GROUP BY customer_id
    HAVING max(ordered_at) >= CAST(:window_start AS timestamptz)
)
SELECT
    customer_id,
    round(extract(epoch FROM CAST(:as_of AS timestamptz) - last_ordered_at) / 86400, 2)::float8
        AS recency_days,
    orders,
    spend::float8 AS spend,
    round(spend / orders, 2)::float8 AS average_order,
    round(saved / (spend + saved), 4)::float8 AS discount_share,
    round(items_per_order, 2)::float8 AS items_per_order,
    channel,
    country
FROM bought
JOIN shop.customer USING (customer_id)
ORDER BY customer_id
