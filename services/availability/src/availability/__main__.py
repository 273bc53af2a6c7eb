"""`python -m availability [run|migrate|contract|check-settings]`."""

from pathlib import Path

from availability.app import build, contract
from availability.settings import Settings
from common.cli import main

if __name__ == "__main__":
    main(
        service="availability",
        settings=Settings,
        build=build,
        home=Path(__file__).resolve().parents[2],
        contract=contract,
    )
