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

-- share x m for 0 <= share < 1 with at most 9 decimals, in two parts: `whole` is all of it down to the 18th decimal, and
-- `has_more` says whether anything lies below.
CREATE OR REPLACE MACRO share_of(m, share) AS struct_pack(
    whole := (trunc(m)::DECIMAL(20, 0) * share::DECIMAL(9, 9))::DECIMAL(38, 18)
        + trunc((m - trunc(m))::DECIMAL(18, 18) * share::DECIMAL(9, 9), 18)::DECIMAL(38, 18),
    has_more := (m - trunc(m))::DECIMAL(18, 18) * share::DECIMAL(9, 9)
        > trunc((m - trunc(m))::DECIMAL(18, 18) * share::DECIMAL(9, 9), 18)
);

-- What decides how grave it is that a measure is off: gap, USD, the shares of the greater side, and whether a side is nil.
CREATE OR REPLACE MACRO weight_of(calculated, actual, in_usd) AS struct_pack(
    gap := abs(actual - calculated),
    usd := in_usd,
    high := share_of(greatest(abs(calculated), abs(actual)), getvariable('high_share')),
    medium := share_of(greatest(abs(calculated), abs(actual)), getvariable('medium_share')),
    one_side_missing := (actual = 0) <> (calculated = 0)
);

-- From 1 (low) to 4 (critical).
CREATE OR REPLACE MACRO gravity_of(w, price) AS CASE
    WHEN price IS NOT NULL AND w.usd IS NULL THEN 4
    WHEN w.usd < getvariable('low_usd_always') THEN 1
    WHEN
        w.usd >= getvariable('critical_usd')
        OR (w.usd >= getvariable('critical_missing_usd') AND w.one_side_missing)
        THEN 4
    -- a share is cut off at the 18th decimal: what equals it reaches it only if nothing was cut off
    WHEN w.usd >= getvariable('high_usd') OR w.gap > w.high.whole THEN 3
    WHEN
        w.usd IS NULL
        OR w.usd >= getvariable('medium_usd')
        OR w.gap > w.medium.whole
        OR (w.gap = w.medium.whole AND NOT w.medium.has_more)
        THEN 2
    ELSE 1
END;

-- The bucket (1 to 5 in the order of the row's columns) of a flow; 6 and 7 are flows of loans and of interest. What no
-- one knows goes by its sign.
CREATE OR REPLACE MACRO bucket_of(txn_subtype, measure, amount) AS
    CASE measure
        WHEN 'balance'
            THEN coalesce(getvariable('bucket_of_subtype')[txn_subtype], CASE WHEN amount >= 0 THEN 1 ELSE 2 END)
        WHEN 'loan' THEN 6
        ELSE 7
    END::UTINYINT;
