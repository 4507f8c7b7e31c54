-- A small club for the tutorial: 900 members, six months of purchases. A third buy little but often, a third buy much but
-- rarely, a third are in between. In October some of the first kind discover the coffee bar.
DROP SCHEMA IF EXISTS club CASCADE;
CREATE SCHEMA club;
SELECT setseed(0.25);

CREATE TABLE club.purchases AS
SELECT member_id,
       TIMESTAMPTZ '2025-07-01 00:00+00' + month * interval '1 month' + random() * interval '30 days' AS bought_at,
       round((basket * exp(0.4 * (random() + random() - 1)))::numeric, 2) AS amount
FROM (
    SELECT m AS member_id, month,
           CASE WHEN m % 6 = 0 AND month >= 3 THEN 60 ELSE (ARRAY[16, 2, 6])[1 + m % 3] END
               * (0.7 + 0.6 * random()) AS visits,
           CASE WHEN m % 6 = 0 AND month >= 3 THEN 3.5 ELSE (ARRAY[12.0, 150.0, 40.0])[1 + m % 3] END
               * (0.8 + 0.4 * random()) AS basket
    FROM generate_series(1001, 1900) AS m, generate_series(0, 5) AS month
) AS life, generate_series(1, greatest(1, round(visits)::integer));

-- one row per member, as of today
CREATE TABLE club.members AS
SELECT member_id,
       DATE '2025-12-31' - (100 + (member_id * 37) % 900)::integer AS joined_on,
       count(*) AS purchases,
       sum(amount) AS spend,
       round(avg(amount), 2) AS average_basket
FROM club.purchases WHERE bought_at >= '2025-12-01' GROUP BY member_id;
ALTER TABLE club.members ADD PRIMARY KEY (member_id);
