-- sign_in_customer(customer_id, phone, display_name, now) — the customer of a phone, made if new, locked
INSERT INTO customers AS c (customer_id, phone, display_name, created_at, last_sign_in_at)
VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (phone) DO UPDATE SET last_sign_in_at = $4
RETURNING c.customer_id, c.display_name;

-- lock_mitra_of(phone) — the mitra of a phone, locked until the end of the transaction
SELECT mitra_id, display_name, is_active FROM mitras WHERE phone = $1 FOR NO KEY UPDATE;

-- may_mitra_sign_in(phone) — whether an active mitra has this phone
SELECT EXISTS (SELECT FROM mitras WHERE phone = $1 AND is_active);

-- lock_operator(email) — an operator, locked until the end of the transaction
SELECT operator_id, display_name, is_active FROM operators WHERE email = $1 FOR NO KEY UPDATE;

-- credentials(email) — what a password is checked against
SELECT password_hash, is_active FROM operators WHERE email = $1;

-- replace_hash(email, old, new) — a better hash of the same password
UPDATE operators SET password_hash = $3 WHERE email = $1 AND password_hash = $2;

-- insert_operator(operator_id, email, display_name, password_hash, now) — a new operator, if the e-mail is free
INSERT INTO operators (operator_id, email, display_name, password_hash, created_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (email) DO NOTHING
RETURNING operator_id;

-- customer(customer_id) — what a customer is called
SELECT display_name, true AS is_active FROM customers WHERE customer_id = $1;

-- mitra_person(mitra_id) — what a mitra is called
SELECT display_name, is_active FROM mitras WHERE mitra_id = $1;

-- operator(operator_id) — what an operator is called
SELECT display_name, is_active FROM operators WHERE operator_id = $1;

-- rename_customer(customer_id, display_name) — another name
UPDATE customers SET display_name = $2 WHERE customer_id = $1;

-- rename_mitra(mitra_id, display_name) — another name; the version is that of is_active and stays
UPDATE mitras SET display_name = $2 WHERE mitra_id = $1;

-- insert_mitra(mitra_id, phone, display_name, now, created_by) — a new mitra, if the phone is free
INSERT INTO mitras (mitra_id, phone, display_name, created_at, created_by)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (phone) DO NOTHING
RETURNING mitra_id;

-- mitra(mitra_id) — a mitra as operators see her
SELECT mitra_id, phone, display_name, is_active, version, created_at FROM mitras WHERE mitra_id = $1;

-- switch_mitra(mitra_id, is_active, reason, now) — off or on, unless it is so already
UPDATE mitras SET
    is_active = $2,
    version = version + 1,
    deactivated_at = CASE WHEN $2 THEN NULL ELSE $4::timestamptz END,
    deactivated_reason = CASE WHEN $2 THEN NULL ELSE $3::text END
WHERE mitra_id = $1 AND is_active <> $2
RETURNING mitra_id, phone, display_name, is_active, version, created_at;

-- mitras_after(after, limit) — newest first
SELECT mitra_id, phone, display_name, is_active, version, created_at
FROM mitras
WHERE $1::uuid IS NULL OR mitra_id < $1
ORDER BY mitra_id DESC
LIMIT $2;
