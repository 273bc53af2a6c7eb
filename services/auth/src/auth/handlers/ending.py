"""Ending logins before their time: rows, events, and the push after the commit."""

from collections.abc import Sequence
from uuid import UUID

from auth.domain.logins import Login, RevokeReason
from auth.events import LoginRevoked
from auth.handlers import meters
from auth.ports import Announcer, Unit


class Ending:
    """Revokes logins within a transaction."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer

    async def end(
        self, unit: Unit, login_ids: Sequence[UUID], *, reason: RevokeReason
    ) -> list[Login]:
        """End those that are still active; everybody is told once the commit has succeeded."""
        if not login_ids:
            return []
        now = await unit.now()
        ended = await unit.revoke(login_ids, reason=reason, now=now)
        if not ended:
            return []
        await unit.append(
            *(
                LoginRevoked(
                    login_id=login.login_id,
                    user_id=login.user_id,
                    role=login.role,
                    reason=reason,
                    at=now,
                )
                for login in ended
            )
        )
        ids = [login.login_id for login in ended]
        unit.after_commit(lambda: self._tell(ids, reason))
        return ended

    def _tell(self, login_ids: Sequence[UUID], reason: RevokeReason) -> None:
        self._announcer.revoked(login_ids)
        meters.ENDED.labels(reason).inc(len(login_ids))
