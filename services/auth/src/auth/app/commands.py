"""What the command line can do besides running: make the first operator."""

import argparse
import json
import secrets
import sys
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from auth import errors
from auth.app import policies
from auth.app.service import open_hasher
from auth.handlers.operators import OperatorMaking
from auth.settings import Settings
from auth.store import PgStore
from common.cli import Command
from common.runner import Runner
from common.wiring import open_database

_OK, _FAILED = 0, 1


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--email", required=True)
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from standard input; else one is made and shown once",
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON")


async def _create_operator(settings: Settings, arguments: argparse.Namespace) -> int:
    given = sys.stdin.readline().rstrip("\r\n") if arguments.password_stdin else None
    password = given if given is not None else secrets.token_urlsafe(18)
    runner = Runner()
    try:
        making = OperatorMaking(
            store=PgStore(db=await open_database("auth", settings, runner)),
            hasher=open_hasher(settings, runner),
            policy=policies.password_policy(settings),
        )
        operator_id = await making.create(email=arguments.email, password=password)
    except errors.AuthError as error:
        return _refuse(error, as_json=arguments.json)
    finally:
        await runner.stop()
    shown = None if arguments.password_stdin else password
    _tell(operator_id, email=arguments.email, password=shown, as_json=arguments.json)
    return _OK


def _tell(operator_id: UUID, *, email: str, password: str | None, as_json: bool) -> None:
    if as_json:
        made = {"operator_id": str(operator_id), "email": email, "password": password}
        sys.stdout.write(json.dumps(made) + "\n")
        return
    sys.stdout.write(f"operator {email} was made\n")
    if password is not None:
        sys.stdout.write(f"password (shown only now): {password}\n")


def _refuse(error: errors.AuthError, *, as_json: bool) -> int:
    detail = str(error) or (type(error).__doc__ or "")
    text = json.dumps({"code": error.code, "detail": detail}) if as_json else detail
    sys.stderr.write(text + "\n")
    return _FAILED


COMMANDS: Final[Mapping[str, Command[Settings]]] = {
    "create-operator": Command(
        help="make an operator who may sign in to the control center",
        run=_create_operator,
        arguments=_arguments,
    )
}
