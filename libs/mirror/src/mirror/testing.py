"""For tests: a database with availability's real tables and two neighbours one can play with.

The neighbours' published functions are stood in for by tables, so that a test can set any value
and version. What the real ones do is proven where all services meet (tests/).
"""

from typing import Any, Protocol
from uuid import UUID

from common.ids import new_id

_NEIGHBOURS = """
CREATE TABLE auth.people (
    mitra_id uuid PRIMARY KEY, is_active boolean NOT NULL, version bigint NOT NULL,
    changed_at timestamptz DEFAULT clock_timestamp()
);
CREATE TABLE chat.loads (
    mitra_id uuid PRIMARY KEY, load int NOT NULL, capacity int NOT NULL, version bigint NOT NULL,
    changed_at timestamptz DEFAULT clock_timestamp()
);
CREATE FUNCTION auth.mitra_directory_v1(p_mitras uuid[])
RETURNS TABLE (mitra_id uuid, display_name text, is_active boolean, version bigint)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT p.mitra_id, 'Mitra ' || left(p.mitra_id::text, 4), p.is_active, p.version
    FROM auth.people AS p WHERE p.mitra_id = ANY (p_mitras)
$$;
CREATE FUNCTION chat.mitra_load_v1(p_mitras uuid[])
RETURNS TABLE (mitra_id uuid, load int, capacity int, version bigint)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT u.mitra_id, coalesce(l.load, 0), coalesce(l.capacity, 3), coalesce(l.version, 0)
    FROM (SELECT DISTINCT mitra_id FROM unnest(p_mitras) AS one (mitra_id)) AS u
    LEFT JOIN chat.loads AS l ON l.mitra_id = u.mitra_id
$$;
CREATE FUNCTION auth.mitra_directory_v2(p_mitras uuid[])
RETURNS TABLE (mitra_id uuid, display_name text, is_active boolean, version bigint,
               changed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT d.mitra_id, d.display_name, d.is_active, d.version, p.changed_at
    FROM auth.mitra_directory_v1(p_mitras) AS d JOIN auth.people AS p ON p.mitra_id = d.mitra_id
$$;
CREATE FUNCTION chat.mitra_load_v2(p_mitras uuid[])
RETURNS TABLE (mitra_id uuid, load int, capacity int, version bigint, changed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT one.mitra_id, one.load, one.capacity, one.version, l.changed_at
    FROM chat.mitra_load_v1(p_mitras) AS one LEFT JOIN chat.loads AS l ON l.mitra_id = one.mitra_id
$$;
CREATE FUNCTION auth.revoked_logins_v1(p_logins uuid[]) RETURNS TABLE (login_id uuid)
LANGUAGE sql STABLE AS $$ SELECT NULL::uuid WHERE false $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA auth TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA chat TO PUBLIC;
"""


class Admin(Protocol):
    """A superuser's connection."""

    async def execute(self, query: str, *args: Any) -> str:
        """Run a statement."""
        ...

    async def fetchval(self, query: str, *args: Any) -> Any:
        """Return one value."""
        ...


class World:
    """Sets the truth; every change bumps the version of its fact, as the owners do."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    @classmethod
    async def create(cls, admin: Admin) -> "World":
        """Put the neighbours into a database that holds availability's schema only."""
        await admin.execute(_NEIGHBOURS)
        return cls(admin)

    async def mitra(
        self,
        *,
        online: bool = True,
        active: bool = True,
        load: int = 0,
        capacity: int = 3,
        beat_age: float = 0.0,
    ) -> UUID:
        """Add a mitra with these facts; `beat_age` in seconds."""
        mitra_id = new_id()
        await self._admin.execute("INSERT INTO auth.people VALUES ($1, $2, 1)", mitra_id, active)
        await self._admin.execute(
            "INSERT INTO chat.loads VALUES ($1, $2, $3, 1)", mitra_id, load, capacity
        )
        await self._admin.execute(
            "INSERT INTO availability.mitra_status (mitra_id) VALUES ($1)", mitra_id
        )
        if online:
            await self.online(mitra_id, beat_age=beat_age)
        return mitra_id

    async def online(self, mitra_id: UUID, *, beat_age: float = 0.0) -> None:
        """Set her online, as if she had done so `beat_age` seconds ago."""
        await self._admin.execute(
            "UPDATE availability.mitra_status SET is_online = true, version = version + 1,"
            " went_online_at = clock_timestamp() - $2 * interval '1 second',"
            " last_heartbeat_at = clock_timestamp() - $2 * interval '1 second',"
            " changed_at = clock_timestamp() - $2 * interval '1 second'"
            " WHERE mitra_id = $1",
            mitra_id,
            float(beat_age),
        )

    async def offline(self, mitra_id: UUID) -> None:
        """Set her offline."""
        await self._admin.execute(
            "UPDATE availability.mitra_status SET is_online = false, version = version + 1,"
            " changed_at = clock_timestamp() WHERE mitra_id = $1",
            mitra_id,
        )

    async def active(self, mitra_id: UUID, *, active: bool) -> None:
        """Switch her off or on."""
        await self._admin.execute(
            "UPDATE auth.people SET is_active = $2, version = version + 1,"
            " changed_at = clock_timestamp() WHERE mitra_id = $1",
            mitra_id,
            active,
        )

    async def load(self, mitra_id: UUID, load: int, *, capacity: int = 3) -> None:
        """Set how many slots of how many her sessions hold."""
        await self._admin.execute(
            "UPDATE chat.loads SET load = $2, capacity = $3, version = version + 1,"
            " changed_at = clock_timestamp() WHERE mitra_id = $1",
            mitra_id,
            load,
            capacity,
        )

    async def beaten_ago(self, mitra_id: UUID) -> float:
        """Return the age of her beat in Postgres, in seconds."""
        return float(
            await self._admin.fetchval(
                "SELECT extract(epoch FROM clock_timestamp() - last_heartbeat_at)::float8"
                " FROM availability.mitra_status WHERE mitra_id = $1",
                mitra_id,
            )
        )

    async def forget(self, mitra_id: UUID) -> None:
        """Lose her row, as a failover to an older copy would."""
        await self._admin.execute(
            "DELETE FROM availability.mitra_status WHERE mitra_id = $1", mitra_id
        )

    async def new_history(self) -> int:
        """Bump the epoch, as the promotion runbook does."""
        return int(await self._admin.fetchval("SELECT availability.bump_pg_epoch('a test')"))
