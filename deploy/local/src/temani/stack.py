"""The whole local stack: what runs, in which order it starts and stops."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from temani import (
    environment,
    gateway,
    keys,
    layout,
    migrations,
    operators,
    ports,
    postgres_setup,
    profiles,
    seeding,
    state,
)
from temani.places import Options, Places
from temani.program import Program
from temani.servers import Nats, Postgres, Valkey
from temani.supervisor import Part, Supervisor

__all__ = ["Options", "Stack"]


class Stack:
    """Starts everything, watches it, stops it; `say` tells a person what happens."""

    def __init__(self, options: Options, *, say: Callable[[str], None]) -> None:
        self.options = options
        self.profile = profiles.load(options.profile)
        self.keys = keys.load(options.folder / "secrets")
        self._say = say
        self._data: list[Supervisor] = []
        self._services: list[Supervisor] = []
        self._edge: list[Supervisor] = []
        self._places = Places(options)
        self.moved = self._places.moved
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._ready = False
        self._logs = options.folder / "logs"
        self._new_logs()
        self.addresses = self._choose_addresses()

    @property
    def supervisors(self) -> list[Supervisor]:
        """Everything that runs, in starting order."""
        return [*self._data, *self._services, *self._edge]

    async def start(self) -> None:
        """Start everything: data, migrations, services, the edge, seed. Raises StartFailed."""
        self._write_state()
        async with asyncio.TaskGroup() as tasks:
            for supervisor in self._data:
                if supervisor.part.name != "postgres":
                    tasks.create_task(supervisor.start())
            tasks.create_task(self._start_services())
        await self._start_all(self._edge)
        if self.options.seed:
            await seeding.run(self.addresses.gateway_url, self.profile, self.keys)
        self._ready = True
        self._write_state()

    async def stop(self) -> None:
        """Stop in the order edge, services, data, each in its own orderly way."""
        for name, supervisors in (
            ("gateway", self._edge),
            ("services", self._services),
            ("data servers", self._data),
        ):
            if supervisors:
                self._say(f"  stopping {name} …")
            await asyncio.gather(*(supervisor.stop() for supervisor in supervisors))
        self._forget()

    async def kill(self) -> None:
        """End every process at once."""
        await asyncio.gather(*(supervisor.kill() for supervisor in self.supervisors))
        self._forget()

    def state(self) -> state.State:
        """Return what runs now, as the state file has it."""
        started = [each for each in self.supervisors if each.part.running]
        return state.State(
            launcher_pid=os.getpid(),
            started_at=self._started_at,
            profile=self.profile.name,
            ready=self._ready,
            urls=self._urls(),
            replicas={
                service: [f"http://{ports.LOOPBACK}:{port}" for port in numbers]
                for service, numbers in self.addresses.service_ports.items()
            },
            operator={
                "email": self.keys.operator_email,
                "password": self.keys.operator_password,
            },
            mitras=[
                {"phone": mitra.phone, "display_name": mitra.display_name}
                for mitra in self.profile.mitras
            ],
            customers=list(self.profile.customers),
            parts={
                each.part.name: state.Part(
                    pid=each.part.pid,
                    url=each.part.url,
                    log=str(each.part.log),
                    restarts=each.restarts,
                )
                for each in started
            },
            failed=[each.part.name for each in self.supervisors if each.gave_up],
        )

    async def _start_services(self) -> None:
        for supervisor in self._data:
            if supervisor.part.name == "postgres":
                await supervisor.start()
        await postgres_setup.prepare(
            self.addresses.postgres_admin_url, passwords=self.keys.postgres_passwords
        )
        applied = await migrations.run(self.addresses.postgres_admin_url, self.keys)
        for service, names in applied.items():
            if names:
                self._say(f"  {service}: {len(names)} migrations applied")
        self._write_state()
        # Services wait for Valkey and NATS themselves; the launcher does not wait for them here.
        await asyncio.gather(
            self._start_all(self._services),
            operators.ensure(self.options.folder, self._auth_environment(), self.keys),
        )

    async def _start_all(self, supervisors: Sequence[Supervisor]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for supervisor in supervisors:
                tasks.create_task(supervisor.start())
        self._write_state()

    def _choose_addresses(self) -> environment.Addresses:
        options, folder = self.options, self.options.folder
        admin_url, valkey_url, nats_url = options.postgres_url, options.valkey_url, options.nats_url
        if admin_url is None:
            server = Postgres(
                folder / "postgres", port=self._places["postgres"], log=self._log("postgres")
            )
            admin_url = server.url
            self._add(self._data, server)
        if valkey_url is None:
            valkey = Valkey(
                folder / "valkey",
                port=self._places["valkey"],
                bus_port=self._places["valkey_bus"],
                log=self._log("valkey"),
            )
            valkey_url = valkey.url
            self._add(self._data, valkey)
        if nats_url is None:
            nats = Nats(
                folder / "nats",
                port=self._places["nats"],
                monitor_port=self._places["nats_monitor"],
                log=self._log("nats"),
            )
            nats_url = nats.url
            self._add(self._data, nats)
        addresses = environment.Addresses(
            gateway_port=self._places["gateway"],
            providers_port=self._places["providers"],
            postgres_admin_url=admin_url,
            valkey_url=valkey_url,
            nats_url=nats_url,
            service_ports=self._places.replicas(),
        )
        self._add_programs(addresses)
        return addresses

    def _add_programs(self, addresses: environment.Addresses) -> None:
        folder = self.options.folder
        self._add(
            self._services,
            Program(
                "devproviders",
                environment.module("temani.devproviders"),
                env=environment.for_providers(addresses, self.keys, folder / "orders.json"),
                port=addresses.providers_port,
                log=self._log("devproviders"),
                cwd=layout.ROOT,
                ready_path="/livez",
            ),
        )
        for service, numbers in addresses.service_ports.items():
            for number, port in enumerate(numbers):
                self._add(self._services, self._service(service, number, port, addresses))
        self._add(
            self._edge,
            gateway.program(
                env=gateway.environment(
                    port=addresses.gateway_port,
                    admin_port=self._places["gateway_admin"],
                    upstreams=addresses.service_ports,
                    home=folder,
                ),
                port=addresses.gateway_port,
                log=self._log("gateway"),
                home=folder,
            ),
        )

    def _service(
        self, service: str, number: int, port: int, addresses: environment.Addresses
    ) -> Program:
        name = environment.replica_name(service, number)
        return Program(
            name,
            environment.module(service),
            env=environment.for_service(
                service, number, addresses=addresses, keys=self.keys, profile=self.profile
            ),
            port=port,
            log=self._log(name),
            cwd=layout.ROOT,
        )

    def _auth_environment(self) -> dict[str, str]:
        return environment.for_service(
            "auth", 0, addresses=self.addresses, keys=self.keys, profile=self.profile
        )

    def _add(self, group: list[Supervisor], part: Part) -> None:
        group.append(Supervisor(part, say=self._say, changed=self._write_state))

    def _urls(self) -> dict[str, str]:
        addresses = self.addresses
        monitor = (
            {} if self.options.nats_url else {"nats_monitor": self._places.url("nats_monitor")}
        )
        return {
            "gateway": addresses.gateway_url,
            "providers": addresses.providers_url,
            "inbox": f"{addresses.providers_url}/dev/inbox",
            **{
                service: f"http://{ports.LOOPBACK}:{numbers[0]}"
                for service, numbers in addresses.service_ports.items()
            },
            "postgres_admin": postgres_setup.database_url(
                addresses.postgres_admin_url, layout.DATABASE
            ),
            "valkey": addresses.valkey_url,
            "nats": addresses.nats_url,
            **monitor,
        }

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _new_logs(self) -> None:
        """Begin new log files; those of the run before are kept once, under `logs/before`."""
        before = self._logs / "before"
        shutil.rmtree(before, ignore_errors=True)
        before.mkdir(parents=True)
        for log in self._logs.glob("*.log"):
            log.rename(before / log.name)

    def _write_state(self) -> None:
        state.write(self.state(), self.options.folder)

    def _forget(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.options.folder / "state.json").unlink()
