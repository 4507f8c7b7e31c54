-- One row per customer who was ever seen before :as_of, described by everything up to then. Lines without a customer
-- belong to nobody. Nothing else is left out: a customer who only ever sent goods back is here, and the validation says so.
-- The table has timestamps without a time zone, so :as_of is compared as the local time of the session's time zone.
WITH line AS (
    SELECT
        "CustomerID" AS customer_id,
        "InvoiceNo" AS invoice,
        "StockCode" AS product,
        "InvoiceDate" AS invoiced_at,
        "Country" AS country,
        "Quantity" * "UnitPrice" AS amount,
        "Quantity" > 0 AS bought
    FROM online_retail
    WHERE "CustomerID" IS NOT NULL AND "InvoiceDate" < CAST(:as_of AS timestamp)
),
customer AS (
    SELECT
        customer_id,
        max(invoiced_at) FILTER (WHERE bought) AS last_bought_at,
        min(invoiced_at) AS first_seen_at,
        count(DISTINCT invoice) FILTER (WHERE bought) AS frequency,
        count(DISTINCT product) FILTER (WHERE bought) AS distinct_products,
        coalesce(sum(amount) FILTER (WHERE bought), 0) AS gross,
        coalesce(-sum(amount) FILTER (WHERE NOT bought), 0) AS returned,
        -- equally frequent countries: the first by name, so that the same lines give the same answer
        mode() WITHIN GROUP (ORDER BY country) AS country
    FROM line
    GROUP BY customer_id
)
SELECT
    customer_id,
    -- null where nothing was ever bought
    round(extract(epoch FROM CAST(:as_of AS timestamp) - last_bought_at) / 86400, 2) AS recency_days,
    frequency,
    gross - returned AS spend,
    round((gross - returned) / nullif(frequency, 0), 2) AS average_basket,
    -- of all the money that moved, the part that moved back: between 0 and 1 whatever was bought before the first line
    round(coalesce(returned / nullif(gross + returned, 0), 0), 4) AS return_share,
    distinct_products,
    round(extract(epoch FROM CAST(:as_of AS timestamp) - first_seen_at) / 86400, 2) AS tenure_days,
    country
FROM customer
ORDER BY customer_id
