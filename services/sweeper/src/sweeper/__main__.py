"""Run `python -m sweeper [run|migrate|contract|leases|confirm-brake|…]`."""

from common.cli import main
from sweeper.app import COMMANDS, HOME, build, contract
from sweeper.settings import Settings

if __name__ == "__main__":
    main(
        service="sweeper",
        settings=Settings,
        build=build,
        home=HOME,
        contract=contract,
        commands=COMMANDS,
    )
