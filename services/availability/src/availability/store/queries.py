"""The named queries of availability."""

from pathlib import Path
from typing import Final

from common.db import Queries

QUERIES: Final = Queries.load(Path(__file__).parents[1] / "queries")
