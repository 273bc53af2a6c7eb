"""Operators: signing in by password, and being made from the command line."""

from dataclasses import dataclass
from uuid import UUID

from auth import errors
from auth.domain import passwords
from auth.domain.audit import Entry
from auth.domain.logins import Device
from auth.domain.origin import Origin
from auth.domain.passwords import Credentials, PasswordPolicy
from auth.handlers import meters
from auth.handlers.issuing import Issuing, Tokens
from auth.handlers.limits import LimitsHandlers
from auth.ports import Hasher, Store, Unit
from common.ids import new_id
from common.log import get_logger

log = get_logger("operators")


@dataclass(frozen=True, slots=True)
class Knock:
    """Somebody wants in with an e-mail and a password."""

    email: str | None
    account_key: bytes
    device: Device
    origin: Origin


class OperatorHandlers:
    """Checks passwords: the same answer, in the same time, whether the account exists or not."""

    def __init__(
        self, *, store: Store, limits: LimitsHandlers, hasher: Hasher, issuing: Issuing
    ) -> None:
        self._store = store
        self._limits = limits
        self._hasher = hasher
        self._issuing = issuing

    async def sign_in(self, *, email: str, password: str, device: Device, origin: Origin) -> Tokens:
        """Open a login for the right password; SignInBlocked while the account waits."""
        knock = Knock(
            passwords.normalise_email(email), passwords.account_key(email), device, origin
        )
        credentials = await self._store.run(lambda unit: self._admit(unit, knock))
        found = credentials if credentials and credentials.is_active else None
        typed = passwords.normalise(password)
        # No connection is held while the hash runs.
        fits = await self._hasher.verify(found.password_hash if found else None, typed)
        if not fits or found is None or knock.email is None:
            await self._store.run(lambda unit: unit.audit(_refused(knock)))
            meters.PASSWORDS.labels("wrong").inc()
            raise errors.CredentialsInvalid
        better = await self._better_hash(found, typed)
        tokens = await self._store.run(lambda unit: self._open(unit, knock, found, better))
        if tokens is None:
            raise errors.CredentialsInvalid
        meters.PASSWORDS.labels("right").inc()
        meters.SIGN_INS.labels("operator").inc()
        return tokens

    async def _admit(self, unit: Unit, knock: Knock) -> Credentials | None:
        """Count a failure before the password is looked at; refuse while the account waits."""
        policy = (await self._limits.load(unit)).lockout
        now = await unit.now()
        address = knock.origin.address
        if await unit.take_password_try(knock.account_key, address, now, policy) is None:
            meters.PASSWORDS.labels("blocked").inc()
            until = await unit.password_blocked_until(knock.account_key, address)
            raise errors.SignInBlocked((until - now).total_seconds() if until else 1.0)
        return None if knock.email is None else await unit.credentials(knock.email)

    async def _better_hash(self, found: Credentials, typed: str) -> str | None:
        if not self._hasher.is_outdated(found.password_hash):
            return None
        try:
            return await self._hasher.hash(typed)
        except errors.PasswordsBusy:
            # The next sign-in will do it.
            return None

    async def _open(
        self, unit: Unit, knock: Knock, found: Credentials, better: str | None
    ) -> Tokens | None:
        assert knock.email is not None
        person = await unit.lock_operator(knock.email)
        if person is None or not person.is_active:
            return None
        await unit.forget_password_tries(knock.account_key, knock.origin.address)
        if better is not None:
            await unit.replace_hash(knock.email, old=found.password_hash, new=better)
        login = await self._issuing.open_login(
            unit, person, device=knock.device, origin=knock.origin
        )
        await unit.audit(
            Entry(
                action="signed_in",
                book="control",
                actor_role="operator",
                actor_id=person.user_id,
                subject_id=person.user_id,
                login_id=login.login_id,
                origin=knock.origin,
                detail={"by": "password", "rehashed": better is not None},
            )
        )
        return self._issuing.tokens(login, person, await unit.now())


class OperatorMaking:
    """Makes operators; only the command line does."""

    def __init__(self, *, store: Store, hasher: Hasher, policy: PasswordPolicy) -> None:
        self._store = store
        self._hasher = hasher
        self._policy = policy

    async def create(self, *, email: str, password: str) -> UUID:
        """Make an operator.

        EmailInvalid, PasswordRefused or OperatorExists.
        """
        address = passwords.normalise_email(email)
        if address is None:
            raise errors.EmailInvalid
        typed = passwords.normalise(password)
        self._check(typed, address)
        password_hash = await self._hasher.hash(typed)
        operator_id = new_id()

        async def work(unit: Unit) -> bool:
            made = await unit.insert_operator(
                operator_id,
                email=address,
                name=address.partition("@")[0][:80],
                password_hash=password_hash,
                now=await unit.now(),
            )
            if made:
                await unit.audit(
                    Entry(
                        action="operator_created",
                        book="control",
                        actor_role="system",
                        subject_id=operator_id,
                    )
                )
            return made

        if not await self._store.run(work):
            raise errors.OperatorExists
        log.info("operator_created", operator_id=operator_id)
        return operator_id

    def _check(self, password: str, email: str) -> None:
        # zxcvbn's time grows with the length: never hand it what is refused anyway.
        score = 0
        if len(password) <= self._policy.longest:
            context = ["temani", email, *email.replace("@", ".").split(".")]
            score = self._hasher.score(password, context)
        objection = passwords.objection(password, score=score, policy=self._policy)
        if objection is not None:
            raise errors.PasswordRefused(objection)


def _refused(knock: Knock) -> Entry:
    # The digest tells tries on one account from tries on many, and keeps no mistyped password.
    return Entry(
        action="sign_in_refused",
        book="control",
        origin=knock.origin,
        detail={"account": knock.account_key.hex()[:16]},
    )
