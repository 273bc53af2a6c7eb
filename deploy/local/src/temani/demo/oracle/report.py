"""What the oracle found."""

from dataclasses import dataclass, field

INVARIANTS = {
    "I1": "one winner a request",
    "I2": "no mitra over her capacity",
    "I3": "mirror equals truth",
    "I4": "every transition told once, and published",
    "I5": "no deadline missed or early",
    "I6": "no message lost, doubled or out of order",
    "I7": "money in the ledger is money captured",
    "I8": "only legal moves",
    "I9": "a deactivated mitra gets nothing",
    "I10": "no mitra who beats is taken offline",
}


@dataclass
class Report:
    """Violations by invariant, and what was looked at."""

    violations: dict[str, list[str]] = field(default_factory=dict)
    checked: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, invariant: str, texts: list[str]) -> None:
        """Note what a check found; an empty list means that it held."""
        self.violations[invariant] = [*self.violations.get(invariant, []), *texts]

    def skip(self, invariant: str, reason: str) -> None:
        """Note that something could not be checked."""
        self.skipped[invariant] = reason

    @property
    def texts(self) -> list[str]:
        """Every violation as one line."""
        return [f"{name}: {text}" for name in INVARIANTS for text in self.violations.get(name, ())]

    @property
    def ok(self) -> bool:
        """Whether everything that was checked held."""
        return not self.texts

    def outcomes(self) -> dict[str, str]:
        """One word an invariant."""
        words = {}
        for name in INVARIANTS:
            if name in self.skipped and not self.violations.get(name):
                words[name] = f"skipped: {self.skipped[name]}"
            elif name in self.violations:
                count = len(self.violations[name])
                words[name] = "held" if count == 0 else f"{count} violations"
        return words
