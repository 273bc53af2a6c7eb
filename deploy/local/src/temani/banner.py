"""What `temani up` prints when everything runs: addresses, logins, how to stop."""

from collections.abc import Mapping

from temani import layout
from temani.state import State


def render(state: State, *, seconds: float, moved: Mapping[str, int]) -> str:
    """Return the banner; `moved` are the ports that were taken and what was used instead."""
    urls = state.urls
    docs = [f"    {name:<13}{urls[name]}/docs" for name in layout.SERVICES if name in urls]
    metrics = [f"    {name:<13}{urls[name]}/metrics" for name in layout.SERVICES if name in urls]
    first, last = state.mitras[0], state.mitras[-1]
    lines = [
        "",
        f"  Temani runs ({state.profile} profile, ready after {seconds:.1f} s)",
        "",
        f"  gateway        {urls['gateway']}",
        f"  control        {urls['gateway']}/control/  (operators' page)",
        f"  inbox          {urls['inbox']}  (one-time codes, payments, faults)",
        "  API docs",
        *docs,
        "  metrics",
        *metrics,
        "",
        "  log in as",
        f"    operator     {state.operator['email']}   password {state.operator['password']}",
        f"    mitra        {first['phone']} … {last['phone'][-3:]}   ({len(state.mitras)} of them)",
        f"    customer     any Indonesian mobile number, such as {state.customers[0]}",
        "    Mitras and customers get a code; it appears in the inbox.",
        "",
        f"  logs           make logs S=chat   (files: {layout.STATE / 'logs'})",
        "  stop           Ctrl-C, twice to kill; from another terminal: make down",
        "  begin anew     make reset",
    ]
    if moved:
        taken = ", ".join(f"{name} → {port}" for name, port in moved.items())
        lines += ["", f"  Some ports were taken; others are used: {taken}"]
    return "\n".join([*lines, ""])
