"""What can go wrong between two processes."""

from typing import ClassVar


class BusUnavailable(Exception):
    """Nobody answered on the bus; whether it was done is not known."""

    code: ClassVar[str] = "bus_unavailable"


class CommandFailed(BusUnavailable):
    """The owner answered the command with an error."""

    def __init__(self, error_code: str, detail: str = "") -> None:
        super().__init__(f"{error_code}: {detail}" if detail else error_code)
        self.error_code = error_code
