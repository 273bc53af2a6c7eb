"""A test of a rule fails without it: it is left out of script or code, and has to be missed."""

import functools
import hashlib
import inspect
import textwrap
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import FunctionType

import pytest
from libs.mirror.tests.stage import Stage

from mirror import MirrorUnavailable, healing, keys, scripts

Check = Callable[[Stage], Awaitable[None]]
LeaveOut = Callable[[pytest.MonkeyPatch], None]


def cut(text: str, part: str, by: str) -> str:
    """Put something else in the place of a rule; fail when the rule is not there any more."""
    assert text.count(part) == 1, f"{text.count(part)} times: {part}"
    return text.replace(part, by)


def in_script(name: str, part: str, by: str = "") -> LeaveOut:
    """Return what changes this part of a script."""

    def leave_out(patch: pytest.MonkeyPatch) -> None:
        script = getattr(scripts, name)
        text = cut(script.text.decode(), part, by).encode()
        digest = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
        patch.setattr(scripts, name, replace(script, text=text, digest=digest))

    return leave_out


def in_code(owner: object, name: str, part: str, by: str) -> LeaveOut:
    """Return what changes this part of a function of a module or class."""

    def leave_out(patch: pytest.MonkeyPatch) -> None:
        function = getattr(owner, name)
        assert isinstance(function, FunctionType)
        source = cut(textwrap.dedent(inspect.getsource(function)), part, by)
        made: dict[str, object] = {}
        exec(source, function.__globals__, made)  # noqa: S102 - our own text with a rule left out
        patch.setattr(owner, name, made[name])

    return leave_out


def needs(*rules: LeaveOut) -> Callable[[Check], Check]:
    """Run a test as it is, then without each of these rules: then it has to fail."""

    def proven(check: Check) -> Check:
        @functools.wraps(check)
        async def with_and_without(stage: Stage) -> None:
            await check(stage)
            for number, leave_out in enumerate(rules):
                with pytest.MonkeyPatch.context() as patch:
                    leave_out(patch)
                    try:
                        await check(stage)
                    except AssertionError:
                        pass
                    else:
                        pytest.fail(f"nobody misses rule {number}")
                # With the rule it holds again: the rule was missed, nothing else.
                await check(stage)

        return with_and_without

    return proven


async def sound(stage: Stage) -> None:
    """Make it a mirror of what Postgres holds, and of nobody else, whatever was before."""
    with pytest.MonkeyPatch.context() as patch:
        # Nothing is on its way here but what the test sends.
        patch.setattr(healing, "_ON_THE_WAY", 0.0)
        assert await stage.kit.seeder.reseed("test") is not None
    await stage.raw.delete(keys.INTAKE)


async def said(asked: Awaitable[object]) -> str:
    """Return in which state the mirror says it is, "ok" where it answers."""
    try:
        await asked
    except MirrorUnavailable as error:
        return error.state
    return "ok"
