"""Start the sweeper."""

from pathlib import Path

from common.cli import main
from sweeper.app import COMMANDS, build, contract
from sweeper.settings import Settings

if __name__ == "__main__":
    main(
        service="sweeper",
        settings=Settings,
        build=build,
        home=Path(__file__).resolve().parents[2],
        contract=contract,
        commands=COMMANDS,
    )
