"""Adapters to what is outside of Postgres."""

from availability.providers.mirroring import MirrorWriter

__all__ = ["MirrorWriter"]
