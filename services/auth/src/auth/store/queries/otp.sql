-- take_phone_send(phone, now, per_hour, per_day, waits) — count a message to a phone, if ladder and caps allow
-- The wait after the n-th message of the hour is waits[n], the last one from then on.
INSERT INTO otp_phones AS p (phone, sent_at, touched_at)
VALUES ($1, ARRAY[$2::timestamptz], $2)
ON CONFLICT (phone) DO UPDATE SET
    sent_at = array_append(
        ARRAY(SELECT s FROM unnest(p.sent_at) s WHERE s > $2 - interval '24 hours' ORDER BY s), $2),
    touched_at = $2
WHERE (SELECT count(*) FROM unnest(p.sent_at) s WHERE s > $2 - interval '1 hour') < $3::int
  AND (SELECT count(*) FROM unnest(p.sent_at) s WHERE s > $2 - interval '24 hours') < $4::int
  AND (
      SELECT coalesce(max(s) + make_interval(
          secs => ($5::float8[])[least(count(*), cardinality($5::float8[]))::int]), '-infinity')
      FROM unnest(p.sent_at) s WHERE s > $2 - interval '1 hour'
  ) <= $2
RETURNING p.phone;

-- take_address_send(address, phone, now, per_hour, phones_per_hour) — count a message asked for by an address
INSERT INTO otp_addresses AS a (address, sent_at, sent_to, touched_at)
VALUES ($1, ARRAY[$3::timestamptz], ARRAY[$2::text], $3)
ON CONFLICT (address) DO UPDATE SET
    sent_at = array_append(ARRAY(
        SELECT u.at FROM unnest(a.sent_at, a.sent_to) WITH ORDINALITY u (at, sent_to, n)
        WHERE u.at > $3 - interval '1 hour' ORDER BY u.n), $3),
    sent_to = array_append(ARRAY(
        SELECT u.sent_to FROM unnest(a.sent_at, a.sent_to) WITH ORDINALITY u (at, sent_to, n)
        WHERE u.at > $3 - interval '1 hour' ORDER BY u.n), $2),
    touched_at = $3
WHERE (SELECT count(*) FROM unnest(a.sent_at) s WHERE s > $3 - interval '1 hour') < $4::int
  AND (
      SELECT count(DISTINCT u.sent_to) FROM unnest(a.sent_at, a.sent_to) u (at, sent_to)
      WHERE u.at > $3 - interval '1 hour' AND u.sent_to <> $2
  ) < $5::int
RETURNING a.address;

-- take_minute_send(now, per_minute) — count a message of the whole service
INSERT INTO otp_minutes AS m (minute, sends)
VALUES (date_trunc('minute', $1::timestamptz, 'UTC'), 1)
ON CONFLICT (minute) DO UPDATE SET sends = m.sends + 1
WHERE m.sends < $2::int
RETURNING m.sends;

-- give_back_phone_send(phone, sent_at) — that message was not sent
UPDATE otp_phones SET sent_at = array_remove(sent_at, $2::timestamptz) WHERE phone = $1;

-- give_back_address_send(address, sent_at) — that message was not sent
UPDATE otp_addresses AS a SET
    sent_at = ARRAY(
        SELECT u.at FROM unnest(a.sent_at, a.sent_to) WITH ORDINALITY u (at, sent_to, n)
        WHERE u.at <> $2::timestamptz ORDER BY u.n),
    sent_to = ARRAY(
        SELECT u.sent_to FROM unnest(a.sent_at, a.sent_to) WITH ORDINALITY u (at, sent_to, n)
        WHERE u.at <> $2::timestamptz ORDER BY u.n)
WHERE address = $1;

-- phone_sends(phone) — when this phone was sent something
SELECT sent_at FROM otp_phones WHERE phone = $1;

-- address_sends(address) — what this address asked for
SELECT sent_at, sent_to FROM otp_addresses WHERE address = $1;

-- find_living(phone, role, device_key, now) — the newest challenge that may still be answered
SELECT challenge_id, phone, role, device_key, channel, is_silent, tries_left, created_at, expires_at,
       consumed_at, request_key
FROM otp_challenges
WHERE phone = $1 AND role = $2 AND device_key = $3
  AND consumed_at IS NULL AND tries_left > 0 AND expires_at > $4
ORDER BY expires_at DESC LIMIT 1;

-- find_challenge(challenge_id, device_key) — a challenge of this device, living or not
SELECT challenge_id, phone, role, device_key, channel, is_silent, tries_left, created_at, expires_at,
       consumed_at, request_key
FROM otp_challenges WHERE challenge_id = $1 AND device_key = $2;

-- insert_challenge(challenge_id, phone, role, device_key, channel, request_key, is_silent, tries_left,
--                  created_at, expires_at) — a new challenge
INSERT INTO otp_challenges (
    challenge_id, phone, role, purpose, device_key, channel, request_key, is_silent, tries_left,
    created_at, expires_at
) VALUES ($1, $2, $3, 'sign_in', $4, $5, $6, $7, $8, $9, $10);

-- send_again(challenge_id, channel, request_key) — another message for a living challenge
UPDATE otp_challenges SET sends = sends + 1, channel = $2, request_key = coalesce($3, request_key)
WHERE challenge_id = $1;

-- unsend(challenge_id) — its last message was not sent
UPDATE otp_challenges SET sends = sends - 1 WHERE challenge_id = $1 AND sends > 0;

-- delete_unsent(challenge_id) — nobody was ever sent this code
DELETE FROM otp_challenges WHERE challenge_id = $1 AND sends = 0;

-- take_phone_wrong(phone, now, per_day) — count a wrong code for a phone in advance
INSERT INTO otp_phones AS p (phone, wrong_at, touched_at)
VALUES ($1, ARRAY[$2::timestamptz], $2)
ON CONFLICT (phone) DO UPDATE SET
    wrong_at = array_append(
        ARRAY(SELECT w FROM unnest(p.wrong_at) w WHERE w > $2 - interval '24 hours' ORDER BY w), $2),
    touched_at = $2
WHERE (SELECT count(*) FROM unnest(p.wrong_at) w WHERE w > $2 - interval '24 hours') < $3::int
RETURNING p.phone;

-- take_address_wrong(address, now, per_hour) — count a wrong code of an address in advance
INSERT INTO otp_addresses AS a (address, wrong_at, touched_at)
VALUES ($1, ARRAY[$2::timestamptz], $2)
ON CONFLICT (address) DO UPDATE SET
    wrong_at = array_append(
        ARRAY(SELECT w FROM unnest(a.wrong_at) w WHERE w > $2 - interval '1 hour' ORDER BY w), $2),
    touched_at = $2
WHERE (SELECT count(*) FROM unnest(a.wrong_at) w WHERE w > $2 - interval '1 hour') < $3::int
RETURNING a.address;

-- forgive_phone_wrong(phone, wrong_at) — the code was right
UPDATE otp_phones SET wrong_at = array_remove(wrong_at, $2::timestamptz) WHERE phone = $1;

-- forgive_address_wrong(address, wrong_at) — the code was right
UPDATE otp_addresses SET wrong_at = array_remove(wrong_at, $2::timestamptz) WHERE address = $1;

-- phone_wrong(phone) — when wrong codes were typed for a phone
SELECT wrong_at FROM otp_phones WHERE phone = $1;

-- address_wrong(address) — when an address typed wrong codes
SELECT wrong_at FROM otp_addresses WHERE address = $1;

-- take_try(challenge_id, phone, device_key, now) — use up one try of a living challenge
UPDATE otp_challenges SET tries_left = tries_left - 1
WHERE challenge_id = $1 AND phone = $2 AND device_key = $3
  AND consumed_at IS NULL AND tries_left > 0 AND expires_at > $4
RETURNING challenge_id, phone, role, device_key, channel, is_silent, tries_left, created_at, expires_at,
          consumed_at, request_key;

-- consume(challenge_id, now) — use the challenge up, once
UPDATE otp_challenges SET consumed_at = $2 WHERE challenge_id = $1 AND consumed_at IS NULL;

-- delete_challenge(challenge_id, now) — an hour past its end nobody asks for it again
DELETE FROM otp_challenges WHERE challenge_id = $1 AND expires_at <= $2::timestamptz - interval '1 hour';
