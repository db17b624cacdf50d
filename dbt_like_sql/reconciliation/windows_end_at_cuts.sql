-- Whether every window of the piece begins and ends at a cut of the venue.
SELECT count(*) = 0
FROM grid
WHERE
    situation = 'tested'
    AND window_start < window_end
    AND NOT (window_start IN (SELECT instant FROM cuts) AND window_end IN (SELECT instant FROM cuts))
