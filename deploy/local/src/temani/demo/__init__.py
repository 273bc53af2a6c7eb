"""The demo: people, played by bots, against the running stack."""

from temani.demo.main import main
from temani.demo.numbers import Summary
from temani.demo.run import run_demo

__all__ = ["Summary", "main", "run_demo"]
