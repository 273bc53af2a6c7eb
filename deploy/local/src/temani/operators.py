"""The first operator: made by auth's own command line, once for each state folder."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

from temani import environment, layout
from temani.keys import Keys


class OperatorFailed(Exception):
    """Auth refused to create the operator; the message carries its words, `code` its reason."""

    def __init__(self, words: str) -> None:
        refusal = _refusal(words)
        super().__init__(refusal.get("detail", words))
        self.code = refusal.get("code")


async def ensure(folder: Path, env: Mapping[str, str], keys: Keys) -> None:
    """Create the operator of the banner unless this folder's database has it already."""
    made = folder / "secrets" / "operator-made"
    database = env["DATABASE_URL"]
    if made.exists() and made.read_text() == database:
        return
    try:
        await create(env, email=keys.operator_email, password=keys.operator_password)
    except OperatorFailed as failed:
        # The same data behind another port: the operator of this folder is in it already.
        if failed.code != "operator_exists":
            raise
    made.write_text(database)
    made.chmod(0o600)


async def create(
    env: Mapping[str, str], *, email: str, password: str | None = None
) -> dict[str, str]:
    """Run `python -m auth create-operator`; without a password auth makes one and returns it."""
    command = [*environment.module("auth"), "create-operator", "--email", email, "--json"]
    if password is not None:
        command.append("--password-stdin")
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(env),
        cwd=layout.ROOT,
    )
    try:
        output, errors = await child.communicate((password or "").encode())
    finally:
        if child.returncode is None:  # we were cancelled: leave nothing behind
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise OperatorFailed((errors or output).decode(errors="replace").strip())
    lines = output.decode().strip().splitlines()
    answer: dict[str, str] = json.loads(lines[-1]) if lines else {}
    return answer


def _refusal(words: str) -> dict[str, str]:
    """Read auth's last line, which is JSON when it refused and anything else when it broke."""
    try:
        found = json.loads(words.splitlines()[-1])
    except (ValueError, IndexError):
        return {}
    return found if isinstance(found, dict) else {}
