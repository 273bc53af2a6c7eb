"""One method a command or an event: load, decide, save, announce."""

from availability.handlers.beacon import Beacons, Lighthouse
from availability.handlers.brakes import Brakes
from availability.handlers.drift import Drift, DriftLog
from availability.handlers.histograms import Histograms
from availability.handlers.insight import Insight
from availability.handlers.loads import Loads
from availability.handlers.operators import Operators
from availability.handlers.reseeds import Reseeds
from availability.handlers.service import ServiceDesk
from availability.handlers.statuses import Statuses
from availability.handlers.upkeep import Upkeep

__all__ = [
    "Beacons",
    "Brakes",
    "Drift",
    "DriftLog",
    "Histograms",
    "Insight",
    "Lighthouse",
    "Loads",
    "Operators",
    "Reseeds",
    "ServiceDesk",
    "Statuses",
    "Upkeep",
]
