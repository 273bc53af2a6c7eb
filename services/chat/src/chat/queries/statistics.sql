-- now() — the clock that decides
SELECT clock_timestamp();

-- session_counts(since) — sessions by state and sensitivity
SELECT state, sensitivity, count(*)::int AS sessions
FROM sessions WHERE created_at >= clock_timestamp() - $1::interval
GROUP BY state, sensitivity ORDER BY state, sensitivity;

-- raised_counts(since) — how often sensitivity was raised, by whom
SELECT role, count(*)::int AS raised
FROM sensitivity_log WHERE changed_at >= clock_timestamp() - $1::interval
GROUP BY role ORDER BY role;

-- money_counts(since) — payments by state, what was asked and what goes or went back
SELECT state, count(*)::int AS payments, sum(amount_idr)::bigint AS amount_idr,
       coalesce(sum(refund_idr), 0)::bigint AS refund_idr
FROM payments WHERE created_at >= clock_timestamp() - $1::interval
GROUP BY state ORDER BY state;

-- mitra_activity(mitra_ids, since) — what each of these mitras did
SELECT asked.mitra_id,
       count(s.id)::int AS sessions,
       count(s.id) FILTER (WHERE s.state = 'completed')::int AS completed,
       count(s.id) FILTER (WHERE s.state = 'rerouted')::int AS rerouted,
       count(s.id) FILTER (WHERE s.sensitivity = 'sensitive')::int AS sensitive,
       (SELECT count(*)::int FROM sensitivity_log AS l
        WHERE l.changed_by = asked.mitra_id AND l.changed_at >= clock_timestamp() - $2::interval) AS raised
FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (mitra_id, place)
LEFT JOIN sessions AS s ON s.mitra_id = asked.mitra_id AND s.created_at >= clock_timestamp() - $2::interval
GROUP BY asked.mitra_id, asked.place ORDER BY asked.place;
