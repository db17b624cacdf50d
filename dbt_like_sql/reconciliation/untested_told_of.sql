-- Of those, the ones that something told of: a flow, read or refused, or a cell that was refused since the opening, or on
-- a day that cannot be told.
SELECT untested.position_id, untested.date
FROM untested
INNER JOIN flows
    ON
        untested.account = flows.account
        AND untested.wallet = flows.wallet
        AND untested.asset = flows.asset
        AND untested.since < flows.datetime
        AND untested.until >= flows.datetime
UNION
SELECT untested.position_id, untested.date
FROM untested
INNER JOIN unknown_flows AS refused USING (account, wallet, asset)
WHERE
    untested.since < untested.until
    AND coalesce(refused.instant > untested.since AND refused.instant <= untested.until, TRUE)
UNION
SELECT untested.position_id, untested.date
FROM untested
INNER JOIN unknown_cells AS refused
    ON
        untested.account = refused.account
        AND untested.wallet = refused.wallet
        AND untested.asset = refused.asset
        AND untested.refused_since <= refused.date
        AND untested.date > refused.date
UNION
SELECT untested.position_id, untested.date
FROM untested
INNER JOIN undated_cells USING (account, wallet, asset)
