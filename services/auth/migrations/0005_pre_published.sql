-- What auth publishes to its neighbours as SQL.

-- mitra_directory_v1: who a mitra is and whether she may work; the version is that of is_active.
CREATE FUNCTION mitra_directory_v1(p_mitras uuid[])
RETURNS TABLE (mitra_id uuid, display_name text, is_active boolean, version bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = auth, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT m.mitra_id, m.display_name, m.is_active, m.version
    FROM auth.mitras m WHERE m.mitra_id = ANY (p_mitras);
END $$;

-- customer_directory_v1: what a customer is called.
CREATE FUNCTION customer_directory_v1(p_customers uuid[])
RETURNS TABLE (customer_id uuid, display_name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = auth, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT c.customer_id, c.display_name
    FROM auth.customers c WHERE c.customer_id = ANY (p_customers);
END $$;

-- revoked_logins_v1: which of these logins may no longer be honoured: revoked, expired or unknown.
CREATE FUNCTION revoked_logins_v1(p_logins uuid[])
RETURNS TABLE (login_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = auth, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT DISTINCT asked.login_id
    FROM unnest(p_logins) AS asked (login_id)
    WHERE asked.login_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM auth.logins l
        WHERE l.login_id = asked.login_id AND l.state = 'active'
          AND l.expires_at > clock_timestamp()
    );
END $$;

-- due_v1: what is past its time, oldest first, without a lock. A challenge is kept for an hour
-- after its end, so that asking for the code again still finds out for whom.
CREATE FUNCTION due_v1(p_limit int)
RETURNS TABLE (kind text, id uuid, due_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = auth, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT due.kind, due.id, due.due_at
    FROM (
        (SELECT 'login' AS kind, l.login_id AS id, l.expires_at AS due_at FROM auth.logins l
         WHERE l.state = 'active' AND l.expires_at <= clock_timestamp()
         ORDER BY l.expires_at LIMIT p_limit)
        UNION ALL
        (SELECT 'otp_challenge', c.challenge_id, c.expires_at + interval '1 hour'
         FROM auth.otp_challenges c
         WHERE c.expires_at <= clock_timestamp() - interval '1 hour'
         ORDER BY c.expires_at LIMIT p_limit)
    ) due
    ORDER BY due.due_at
    LIMIT p_limit;
END $$;

REVOKE ALL ON FUNCTION mitra_directory_v1(uuid[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION customer_directory_v1(uuid[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION revoked_logins_v1(uuid[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION due_v1(int) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION mitra_directory_v1(uuid[]) TO auth, availability, availability_owner,
    pairing, pairing_owner, chat, chat_owner, sweeper, sweeper_owner;
GRANT EXECUTE ON FUNCTION customer_directory_v1(uuid[]) TO auth, pairing, pairing_owner,
    chat, chat_owner;
GRANT EXECUTE ON FUNCTION revoked_logins_v1(uuid[]) TO auth, availability, availability_owner,
    pairing, pairing_owner, chat, chat_owner, sweeper, sweeper_owner;
GRANT EXECUTE ON FUNCTION due_v1(int) TO auth, sweeper, sweeper_owner;
