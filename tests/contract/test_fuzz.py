"""Whatever is sent to a route, the answer is a typed one: generated calls against each service."""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

import pytest
from tests.e2e.person import Person, Where
from tests.e2e.service import open_for_all
from tests.e2e.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("auth", "availability", "pairing", "chat")  # the sweeper has no public route
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "ignored_auth",
)


async def tokens(stack: Stack) -> dict[str, str]:
    """Sign in one person a role, and a second one whose login may be ended."""
    found: dict[str, str] = {}
    where = Where(stack.gateway, stack.devproviders)
    async with contextlib.AsyncExitStack() as doors:
        for suffix in ("", "-to-lose"):
            people = {
                role: await doors.enter_async_context(Person.at(where))
                for role in ("customer", "mitra", "operator")
            }
            operator = people["operator"]
            await operator.sign_in_by_password(stack.operator_email, stack.operator_password)
            phone = stack.new_phone()
            await operator.call(
                "POST", "/api/control/mitras", {"phone": phone, "display_name": "Fuzz"}
            )
            await people["mitra"].sign_in(phone, "mitra")
            await people["customer"].sign_in(stack.new_phone(), "customer")
            found |= {f"{role}{suffix}": person.token or "" for role, person in people.items()}
    return found


async def leave_open(stack: Stack) -> None:
    """Open the service again: calls at random may have closed it for everybody."""
    async with Person.at(Where(stack.gateway, stack.devproviders)) as operator:
        await operator.sign_in_by_password(stack.operator_email, stack.operator_password)
        await open_for_all(operator)


@pytest.mark.e2e
@pytest.mark.req("OP-07", "OP-09")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("service", SERVICES)
async def test_no_call_gets_an_answer_that_the_contract_does_not_name(
    stack: Stack, service: str
) -> None:
    """Wrong types, missing or foreign tokens, unknown ids, wrong methods: never a 500."""
    url = stack.state.replicas[service][0]
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json",
        "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing",
        "--max-examples", "6", "--seed", "1", "--max-failures", "20", "--warnings", "off",
        "--suppress-health-check", "all", "--request-timeout", "60", "--no-color",
        "--generation-database", "none",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "FUZZ_TOKENS": json.dumps(await tokens(stack)),
        "SCHEMATHESIS_HOOKS": "tests.contract.fuzz_hooks",
        "PYTHONPATH": str(ROOT),
    }
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    finally:
        await leave_open(stack)

    assert process.returncode == 0, output.decode()[-12_000:]
