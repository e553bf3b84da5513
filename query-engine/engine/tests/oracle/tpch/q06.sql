-- The specification has 0.06 - 0.01 and 0.06 + 0.01. In decimals those are 0.05 and 0.07; in the doubles that
-- dataset files hold they are not, and each engine would be right in its own way.
SELECT sum(l_extendedprice * l_discount) AS revenue
FROM lineitem
WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1994-01-01' + INTERVAL '1' YEAR
  AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24
