"""`python -m chat [run|migrate|contract|check-settings]`."""

from pathlib import Path

from chat.app import build, contract
from chat.settings import Settings
from common.cli import main

if __name__ == "__main__":
    main(
        service="chat",
        settings=Settings,
        build=build,
        home=Path(__file__).resolve().parents[2],
        contract=contract,
    )
