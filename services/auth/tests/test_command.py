"""The command line that makes the first operator."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from services.auth.tests.world import World, settings_for
from tests.support import TestDatabase

from auth.handlers.issuing import Tokens


async def create(
    database: TestDatabase, folder: Path, *arguments: str, typed: str = ""
) -> tuple[int, str, str]:
    """Run `python -m auth create-operator`; return exit code, output and errors."""
    settings = settings_for(folder)
    environment = {
        **os.environ,
        "DATABASE_URL": database.url("auth"),
        "SIGNING_KEY_FILE": str(settings.signing_key_file),
        "REFRESH_SECRET_FILE": str(settings.refresh_secret_file),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "auth", "create-operator", *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )  # fmt: skip
    output, errors = await process.communicate(typed.encode())
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.req("AU-16")
async def test_first_operator(auth_database: TestDatabase, world: World, tmp_path: Path) -> None:
    """A password is made and shown once; it works; a second operator of that name is refused."""
    email = "first@temani.test"
    code, output, _ = await create(auth_database, tmp_path, "--email", email, "--json")
    made = json.loads(output.splitlines()[-1])

    assert code == 0
    assert isinstance(await world.login(email, made["password"]), Tokens)
    code, output, errors = await create(auth_database, tmp_path, "--email", email, "--json")
    assert code == 1
    assert "operator_exists" in errors
    assert made["password"] not in output + errors


@pytest.mark.req("AU-16")
async def test_password_from_standard_input(
    auth_database: TestDatabase, world: World, tmp_path: Path
) -> None:
    """A given password is read, checked and never shown."""
    arguments = ("--email", "second@temani.test", "--password-stdin")
    code, _, errors = await create(auth_database, tmp_path, *arguments, typed="Passw0rd!\n")
    assert code == 1
    assert "15 characters" in errors
    password = "hujan turun di bulan juni"
    code, output, errors = await create(auth_database, tmp_path, *arguments, typed=password)

    assert code == 0
    assert password not in output + errors
    assert isinstance(await world.login("second@temani.test", password), Tokens)
