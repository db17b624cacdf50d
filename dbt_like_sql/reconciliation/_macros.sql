-- Exact arithmetic on DECIMAL(38,18) that DuckDB's own operators would round or refuse.

-- a x p for a >= 0 and p >= 0, rounded once, half away from zero, to 8 decimals; NULL where it does not fit (38,8).
-- Both factors are split at the point, so that no partial product needs more than 38 digits; what trunc() drops
-- lies below the 18th decimal and cannot turn a half.
CREATE OR REPLACE MACRO usd_of(a, p) AS TRY(
    (trunc(a)::DECIMAL(20, 0) * trunc(p)::DECIMAL(18, 0))::DECIMAL(38, 8)
    + (
        trunc(a)::DECIMAL(20, 0) * (p - trunc(p))::DECIMAL(18, 18)
        + (a - trunc(a))::DECIMAL(18, 18) * trunc(p)::DECIMAL(18, 0)
        + trunc((a - trunc(a))::DECIMAL(18, 18) * (p - trunc(p))::DECIMAL(18, 18), 18)::DECIMAL(36, 18)
    )::DECIMAL(38, 8)
);

-- share x m for 0 <= share < 1 with at most 9 decimals, in two parts: all of it down to the 18th decimal, and whether
-- anything lies below.
CREATE OR REPLACE MACRO share_down_to_18(m, share) AS
    (trunc(m)::DECIMAL(20, 0) * share::DECIMAL(9, 9))::DECIMAL(38, 18)
    + trunc((m - trunc(m))::DECIMAL(18, 18) * share::DECIMAL(9, 9), 18)::DECIMAL(38, 18);
CREATE OR REPLACE MACRO share_has_more(m, share) AS
    (m - trunc(m))::DECIMAL(18, 18) * share::DECIMAL(9, 9)
    > trunc((m - trunc(m))::DECIMAL(18, 18) * share::DECIMAL(9, 9), 18);
CREATE OR REPLACE MACRO exceeds_share(v, m, share) AS v > share_down_to_18(m, share);
CREATE OR REPLACE MACRO reaches_share(v, m, share) AS
    v > share_down_to_18(m, share) OR (v = share_down_to_18(m, share) AND NOT share_has_more(m, share));
