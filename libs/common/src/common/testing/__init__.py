"""Helpers for tests only: a clock to turn, a wire to cut, conditions to wait for, databases."""

from common.testing.bounds import in_time
from common.testing.clock import FakeClock
from common.testing.databases import clone_database, create_database, drop_database
from common.testing.emptying import empty, tables_of
from common.testing.problems import load_problem
from common.testing.proxy import Proxy
from common.testing.still import Still
from common.testing.waiting import eventually

__all__ = [
    "FakeClock",
    "Proxy",
    "Still",
    "clone_database",
    "create_database",
    "drop_database",
    "empty",
    "eventually",
    "in_time",
    "load_problem",
    "tables_of",
]
