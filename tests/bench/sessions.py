"""Mitras with many sessions behind them and a few going on, in the product's own tables."""

import random
from uuid import UUID

import asyncpg
from tests.support import TestDatabase

from common.ids import new_id

MITRAS = 4_000
CAPACITY = 3
_PAST = 25  # sessions of each that are over

_PEOPLE = """
INSERT INTO auth.mitras (mitra_id, phone, display_name, created_at, created_by)
SELECT m, '+62812' || lpad(n::text, 8, '0'), 'Mitra ' || n, now(), gen_random_uuid()
FROM unnest($1::uuid[]) WITH ORDINALITY AS u (m, n)
"""
_ONLINE = """
INSERT INTO availability.mitra_status (mitra_id, is_online, went_online_at, last_heartbeat_at)
SELECT m, true, now(), now() FROM unnest($1::uuid[]) AS u (m)
"""
_PLACES = """
INSERT INTO chat.mitra_load (mitra_id, capacity, capacity_from, version)
SELECT m, $2, 'default', 1 FROM unnest($1::uuid[]) AS u (m)
"""
_SESSIONS = """
INSERT INTO chat.sessions
    (request_id, customer_id, mitra_id, state, slot, tier_id, tier_version, duration_seconds,
     price_idr, topic, sensitivity, activated_at, ends_at, completed_at, ended_reason)
SELECT gen_random_uuid(), gen_random_uuid(), m, $2::text, $3::int, 'short', 1, 1800, 50000, '',
       'normal', now(), now() + interval '1 hour', CASE $2::text WHEN 'completed' THEN now() END,
       CASE $2::text WHEN 'completed' THEN 'bench' END
FROM unnest($1::uuid[]) AS u (m)
"""


async def settle(database: TestDatabase) -> list[UUID]:
    """Fill the tables of auth, availability and chat; return the mitras."""
    mitras = [new_id() for _ in range(MITRAS)]
    dice = random.Random(7)
    async with database.admin() as admin:
        # The rules of a session's life are others' tests; here only rows and indexes matter.
        await admin.execute("SET session_replication_role = replica")
        await admin.execute(_PEOPLE, mitras)
        await admin.execute(_ONLINE, mitras)
        await admin.execute(_PLACES, mitras, CAPACITY)
        for _ in range(_PAST):
            await admin.execute(_SESSIONS, mitras, "completed", None)
        for slot in range(1, CAPACITY + 1):
            held = [mitra for mitra in mitras if dice.random() < 1 / 2]
            await admin.execute(_SESSIONS, held, "active", slot)
        await _tidy(admin)
    return mitras


async def _tidy(admin: asyncpg.Connection) -> None:
    for table in ("auth.mitras", "availability.mitra_status", "chat.mitra_load", "chat.sessions"):
        await admin.execute(f"VACUUM ANALYZE {table}")
