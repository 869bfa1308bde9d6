"""Agents that fight over a few locks, for the tests that kill the hub or check the order of what happened.

Arguments: socket, journal, seed, operations of each agent (0: until SIGTERM), number of paths, a token file for each
agent. Every answered operation is one line of the journal, written before the next one begins.
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from aegis_tui.errors import LockHeld, StaleToken
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.testing.history import Kind, Outcome


class Agent:
    def __init__(self, client: EnsembleClient, journal: int, chance: random.Random, paths: int) -> None:
        self.client, self.journal, self.chance, self.paths = client, journal, chance, paths
        self.is_stopping = False

    async def work(self, operations: int) -> None:
        done = 0
        while not self.is_stopping and not (operations and done >= operations):
            path = f"src/{self.chance.randrange(self.paths)}.py"
            if lock := await self.acquire(path):
                lock_id, token = lock
                if self.chance.random() < 0.1:
                    await self.release(path, lock_id, token - 1)
                    done += 1
                await asyncio.sleep(self.chance.choice((0, 0, 0.002)))
                await self.release(path, lock_id, token)
                done += 1
            done += 1

    async def acquire(self, path: str) -> tuple[str, int] | None:
        called_at = time.monotonic()
        try:
            grant = await self.client.acquire_lock(path, wait_s=self.chance.choice((0.0, 0.0, 0.05, 2.0)))
        except LockHeld as error:
            self.note("acquire", path, called_at, "held" if error.code == "HELD" else "withdrawn")
            return None
        self.note("acquire", path, called_at, "granted", grant.token)
        return grant.lock_id, grant.token

    async def release(self, path: str, lock_id: str, token: int) -> None:
        called_at = time.monotonic()
        try:
            await self.client.release_lock(lock_id, token)
        except StaleToken:
            self.note("release", path, called_at, "stale", token)
        else:
            self.note("release", path, called_at, "released", token)

    def note(self, kind: Kind, path: str, called_at: float, outcome: Outcome, token: int = 0) -> None:
        fields = (self.client.agent_id, kind, path, called_at, time.monotonic(), outcome, token)
        os.write(self.journal, json.dumps(fields).encode() + b"\n")


async def main(socket: str, journal: str, seed: str, operations: str, paths: str, *token_files: str) -> None:
    descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    tokens = [await asyncio.to_thread(Path(name).read_text) for name in token_files]
    clients = [EnsembleClient(f"unix:{socket}", token=token) for token in tokens]
    agents = [
        Agent(client, descriptor, random.Random(f"{seed}/{number}"), int(paths))
        for number, client in enumerate(clients)
    ]

    def stop() -> None:
        for agent in agents:
            agent.is_stopping = True

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    for client in clients:
        await client.command("heartbeat")
    await asyncio.gather(*(agent.work(int(operations)) for agent in agents))
    for client in clients:
        await client.close()
    os.close(descriptor)


asyncio.run(main(*sys.argv[1:]))
