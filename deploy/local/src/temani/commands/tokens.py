"""temani token: log in like an app and print the token; look into a token."""

import argparse
import asyncio
import secrets
import sys
from datetime import UTC, datetime
from typing import Any

import aiohttp
import jwt

from temani import running, state
from temani.commands import output
from temani.seeding import call, operator_token


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the commands."""
    token = commands.add_parser("token", help="access tokens for trying things out")
    words = token.add_subparsers(metavar="ACTION", required=True)
    mint = words.add_parser("mint", help="log in through the gateway and print the access token")
    mint.add_argument("--role", choices=("customer", "mitra", "operator"), required=True)
    mint.add_argument("--phone", help="whose (default: the first seeded one of the role)")
    mint.set_defaults(run=run_mint)
    inspect = words.add_parser("inspect", help="show what a token says (its signature is checked)")
    inspect.add_argument("token", nargs="?", help="default: read from standard input")
    inspect.set_defaults(run=run_inspect)


def run_mint(args: argparse.Namespace) -> int:
    """Run `temani token mint`."""
    answer = asyncio.run(_mint(args, running.find()))
    output.tell(args, answer, lambda: str(answer["access_token"]))
    return output.OK


def run_inspect(args: argparse.Namespace) -> int:
    """Run `temani token inspect`."""
    token = (args.token or sys.stdin.read()).strip()
    value = asyncio.run(_inspect(token))
    lines = [f"{name:<10} {text}" for name, text in value["claims"].items()]
    lines += [f"{'expires':<10} {value['expires_at']}", f"{'signature':<10} {value['signature']}"]
    output.tell(args, value, lambda: "\n".join(lines))
    return output.OK


async def _mint(args: argparse.Namespace, stack: running.Running) -> dict[str, Any]:
    async with aiohttp.ClientSession(base_url=stack.addresses.gateway_url) as http:
        if args.role == "operator":
            keys = stack.keys
            token = await operator_token(http, keys.operator_email, keys.operator_password)
            return {"access_token": token, "role": "operator"}
        phone = args.phone or (
            stack.state.mitras[0]["phone"] if args.role == "mitra" else stack.state.customers[0]
        )
        return await _log_in(http, stack.addresses.providers_url, args.role, phone)


async def _log_in(
    http: aiohttp.ClientSession, providers_url: str, role: str, phone: str
) -> dict[str, Any]:
    """Ask for a code, read it from the inbox as a person would, and log in with it."""
    device = f"temani-cli-{secrets.token_hex(4)}"
    last = await _messages(http, providers_url, phone)
    body = {"phone": phone, "role": role, "channel": "whatsapp", "device_id": device}
    _, asked = await call(http, "POST", "/api/auth/otp/request", body, accept={202})
    after = last[-1]["id"] if last else ""
    new = await _messages(http, providers_url, phone, wait="5", after=after)
    if not new:
        raise output.Failed(f"no code came for {phone}")
    proof = {
        "challenge_id": asked["challenge_id"],
        "phone": phone,
        "code": new[-1]["code"],
        "device_id": device,
    }
    _, tokens = await call(http, "POST", "/api/auth/otp/verify", proof, accept={200})
    return tokens


async def _messages(
    http: aiohttp.ClientSession, providers_url: str, phone: str, **query: str
) -> list[dict[str, str]]:
    address = f"{providers_url}/dev/inbox.json"
    async with http.get(address, params={"to": phone, **query}) as answer:
        found: list[dict[str, str]] = (await answer.json())["messages"]
        return found


async def _inspect(token: str) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise output.Failed(f"this is no token: {error}") from None
    expires_at = datetime.fromtimestamp(claims["exp"], UTC) if "exp" in claims else None
    return {
        "header": header,
        "claims": claims,
        "expires_at": expires_at.isoformat() if expires_at else None,
        "expired": bool(expires_at and expires_at < datetime.now(UTC)),
        "signature": await _check(token, header),
    }


async def _check(token: str, header: dict[str, Any]) -> str:
    """Say whether the running stack's auth signed it."""
    try:
        url = running.find().state.urls["auth"] + "/.well-known/jwks.json"
    except state.NotRunning:
        return "not checked: no stack runs here"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        known = jwt.PyJWKSet.from_dict(await answer.json())
    keys = [key for key in known.keys if key.key_id == header.get("kid")]
    if not keys:
        return "unknown key"
    try:
        jwt.decode(
            token,
            keys[0],
            algorithms=["ES256"],
            options={"verify_exp": False, "verify_aud": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError as error:
        return f"wrong: {error}"
    return "valid"
