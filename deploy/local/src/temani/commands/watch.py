"""temani status: look at the stack that runs here."""

import argparse
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from temani import layout, state
from temani.commands import output

_TIMEOUT_SECONDS = 2


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the commands."""
    status = commands.add_parser("status", help="what runs, where, and how it feels")
    status.set_defaults(run=run_status)


def run_status(args: argparse.Namespace) -> int:
    """Run `temani status`."""
    now = state.load()
    parts = {name: _look(name, part) for name, part in now.parts.items()}
    healthy = now.ready and not now.failed and all(part["ok"] for part in parts.values())
    value = {**now.as_json(), "parts": parts, "healthy": healthy}
    output.tell(args, value, lambda: _status_text(now, parts))
    return output.OK if healthy else output.FAILED


def _look(name: str, part: state.Part) -> dict[str, Any]:
    running = Path(f"/proc/{part.pid}").exists() if Path("/proc").exists() else True
    seen: dict[str, Any] = {"pid": part.pid, "url": part.url, "log": part.log}
    seen |= {"restarts": part.restarts, "ok": running, "says": "runs" if running else "is gone"}
    if running and part.url.startswith("http"):
        is_service = name.split("-", maxsplit=1)[0] in layout.SERVICES
        path = {"gateway": "/", "devproviders": "/livez"}.get(name, "/readyz")
        seen["ok"], seen["says"] = _ask(part.url + path)
        if is_service and seen["ok"]:
            seen["says"] = _troubles(part.url)
    return seen


def _ask(url: str) -> tuple[bool, str]:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - our own address
            return answer.status == 200, "ready"
    except urllib.error.HTTPError as error:
        return False, f"not ready ({error.code})"
    except OSError as error:
        return False, f"does not answer ({error})"


def _troubles(url: str) -> str:
    """Return which dependencies the service cannot reach, or "ready"."""
    try:
        with urllib.request.urlopen(url + "/statusz", timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - our own address
            dependencies = json.load(answer).get("dependencies", {})
    except (OSError, ValueError):
        return "ready, without /statusz"
    away = [f"{name} ({seen['detail']})" for name, seen in dependencies.items() if not seen["up"]]
    return f"ready, without {', '.join(away)}" if away else "ready"


def _status_text(now: state.State, parts: dict[str, dict[str, Any]]) -> str:
    rows = [["", "process", "pid", "restarts", "address", "state"]]
    for name, part in parts.items():
        mark = "✓" if part["ok"] else "✗"
        address = part["url"].split("@")[-1]
        rows.append([mark, name, str(part["pid"]), str(part["restarts"]), address, part["says"]])
    title = f"profile {now.profile}, since {now.started_at}"
    gone = f"\ngave up on: {', '.join(now.failed)}" if now.failed else ""
    return f"{title}\n{output.table(rows)}{gone}"
