"""Availability's rows in Postgres, a class a noun."""

from availability.store.brakes import Brakes
from availability.store.drift import Drift, Reseeds
from availability.store.insight import Insight
from availability.store.leases import Leases
from availability.store.loads import Loads
from availability.store.queries import QUERIES
from availability.store.roster import Roster
from availability.store.service import ServiceVersions
from availability.store.statuses import Statuses

__all__ = [
    "QUERIES",
    "Brakes",
    "Drift",
    "Insight",
    "Leases",
    "Loads",
    "Reseeds",
    "Roster",
    "ServiceVersions",
    "Statuses",
]
