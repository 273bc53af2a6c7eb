"""Adapters to the outside: one file a provider."""
