-- service_plan() — whether the service is open now, and each change to come
SELECT starts_at, is_open, why, note FROM availability.service_plan_v1() ORDER BY starts_at;
