-- brake() — the auto-offline pass that is stopped now, if one is
SELECT brake_id, mitra_ids, online, fresh, needs_operator, since, confirmed_at, confirmed_by
FROM sweeper.brake_v1();

-- confirm_brake(brake, operator) — let the very pass that the operator saw go on
SELECT outcome, mitras FROM sweeper.confirm_brake_v1($1, $2);
