"""`python -m auth [run|migrate|contract|check-settings|create-operator]`."""

from pathlib import Path

from auth.app import COMMANDS, build, contract
from auth.settings import Settings
from common.cli import main

if __name__ == "__main__":
    main(
        service="auth",
        settings=Settings,
        build=build,
        home=Path(__file__).resolve().parents[2],
        contract=contract,
        commands=COMMANDS,
    )
