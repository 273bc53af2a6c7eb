-- add_messages(positions, sessions, senders, client_ids, bodies) — commits a batch and answers each in its place
SELECT place, outcome, session_id, seq, message_id, sender_role, kind, body, sent_at, customer_id, mitra_id,
       is_first_reply
FROM add_messages($1::int[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[]);

-- read_messages(session_id, after_seq, most) — messages in order
SELECT session_id, seq, id, client_message_id, sender_id, sender_role, kind, body, sent_at
FROM messages WHERE session_id = $1 AND seq > $2 ORDER BY seq LIMIT $3;

-- goodbyes(session_id) — how many parties have said goodbye
SELECT count(*) FROM messages WHERE session_id = $1 AND kind = 'goodbye';
