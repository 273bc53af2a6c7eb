"""Who asks, in the fuzz run: the right person for each route, a person to lose where one is lost.

Loaded by schemathesis in a process of its own; the tokens come in `FUZZ_TOKENS`.
"""

import json
import os
from typing import Any

import schemathesis

TOKENS: dict[str, str] = json.loads(os.environ["FUZZ_TOKENS"])
# These end the login that calls them.
LOSING = ("logout", "logins")


def role_of(definition: dict[str, Any], path: str) -> str:
    """Return whose token an operation is called with."""
    roles = definition.get("x-roles", [])
    role = next((r for r in ("operator", "mitra", "customer") if r in roles), "customer")
    return f"{role}-to-lose" if any(word in path for word in LOSING) else role


@schemathesis.auth()
class RightPerson:
    """Put the token of the right person on each call."""

    def get(self, case: schemathesis.Case, ctx: schemathesis.AuthContext) -> str:
        """Choose the token by the roles that the operation names."""
        return TOKENS[role_of(ctx.operation.definition.raw, case.operation.path)]

    def set(self, case: schemathesis.Case, data: str, _ctx: schemathesis.AuthContext) -> None:
        """Send it as a bearer."""
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"
