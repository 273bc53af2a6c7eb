"""The named queries of chat."""

from pathlib import Path

from common.db import Queries

QUERIES = Queries.load(Path(__file__).parents[1] / "queries")
