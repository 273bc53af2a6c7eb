"""`python -m pairing [run|migrate|contract|check-settings]`."""

from pathlib import Path

from common.cli import main
from pairing.app import build, contract
from pairing.settings import Settings

if __name__ == "__main__":
    main(
        service="pairing",
        settings=Settings,
        build=build,
        home=Path(__file__).resolve().parents[2],
        contract=contract,
    )
