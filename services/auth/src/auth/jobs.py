"""Loops: tidying, and keeping Valkey's revoked keys complete."""

from auth.handlers.housekeeping import HousekeepingHandlers
from auth.handlers.revoked_keys import RevokedKeysHandlers
from common.runner import Runner

_AUDIT_SECONDS = 6 * 3600.0


def start(
    runner: Runner,
    *,
    housekeeping: HousekeepingHandlers,
    revoked_keys: RevokedKeysHandlers | None,
    tick_seconds: float,
    revoked_keys_seconds: float,
) -> None:
    """Start the loops of this replica; any number of replicas may run them side by side."""
    runner.every("auth-tidy", tick_seconds, housekeeping.tick)
    runner.every("audit-months", _AUDIT_SECONDS, housekeeping.keep_audit)
    if revoked_keys is not None:
        runner.every("revoked-keys-keep", revoked_keys_seconds, revoked_keys.keep)
