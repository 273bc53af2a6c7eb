"""What the handlers need from outside."""

from auth.ports.outside import (
    Announcer,
    Hasher,
    KeysAway,
    OtpSender,
    Phones,
    RevokedKeys,
    RevokedStore,
    SendFailed,
    SendRefused,
    SendUncertain,
    Signer,
    Spawn,
)
from auth.ports.rows import AuditRow, Store, StoredConfig, Unit

__all__ = [
    "Announcer",
    "AuditRow",
    "Hasher",
    "KeysAway",
    "OtpSender",
    "Phones",
    "RevokedKeys",
    "RevokedStore",
    "SendFailed",
    "SendRefused",
    "SendUncertain",
    "Signer",
    "Spawn",
    "Store",
    "StoredConfig",
    "Unit",
]
