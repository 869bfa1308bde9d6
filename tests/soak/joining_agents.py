"""Agents that join by hand, work for a few seconds and leave, again and again under new names.

Arguments: socket, the person's token file, journal, how many live at once, seconds that one lives, seed. Each agent
that has come and gone is one line of the journal. Ends on SIGTERM.
"""

import asyncio
import itertools
import os
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path

from aegis_tui.errors import AegisError, LockHeld
from aegis_tui.sdk.client import EnsembleClient

PAUSES = 5
"""An agent's life is as many rounds of work, with a pause after each."""


class Crowd:
    """Agents of one process; all of them join with the person's token and go on with their own."""

    def __init__(self, socket: str, person: EnsembleClient, journal: int, life_s: float, chance: random.Random) -> None:
        self.socket, self.person, self.journal, self.life_s, self.chance = socket, person, journal, life_s, chance
        self.numbers = itertools.count()
        self.living: list[str] = []

    async def keep_coming(self) -> None:
        while True:
            name = f"a{next(self.numbers)}"
            with suppress(AegisError):
                await self.one_life(name)

    async def one_life(self, name: str) -> None:
        joined = await self.person.command(
            "agent:register", agent_type="CLAUDE", instance_id=name, partition=[f"src/{name}/**"]
        )
        token = await asyncio.to_thread(Path(joined["token_file"]).read_text)
        async with EnsembleClient(f"unix:{self.socket}", token=token, beat_s=5.0) as client:
            client.on("lock:*", lambda _event: None)
            self.living.append(name)
            try:
                for number in range(PAUSES):
                    await self.work(client, name, number)
                    await asyncio.sleep(self.life_s / PAUSES * self.chance.uniform(0.5, 1.5))
                await client.command("agent:leave", reason="done")
            finally:
                self.living.remove(name)
        os.write(self.journal, f"{name}\n".encode())

    async def work(self, client: EnsembleClient, name: str, number: int) -> None:
        await client.command("agent:report", state="implementing", progress=number / PAUSES, note=f"step {number}")
        for path in (f"src/{name}/{number}.py", f"docs/{self.chance.randrange(20)}.md"):
            with suppress(LockHeld):
                grant = await client.acquire_lock(path, wait_s=self.chance.choice((0.0, 0.5)))
                await client.release_lock(grant.lock_id, grant.token)
        other = self.chance.choice(self.living)
        await client.command("message:send", to=other, text=f"{name} is at {number}")
        waiting = (await client.command("message:read"))["messages"]
        for message in waiting[: self.chance.choice((0, 3))]:
            await client.command("ack", of=message["seq"])
        await client.command("broadcast", event="plan:proposed", data={"feature": f"{name}.{number}"})
        if number == 0:
            await client.command("scope:request", path="README.md", reason="a link")


async def main(socket: str, token_file: str, journal: str, count: int, life_s: float, seed: str) -> None:
    descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    token = await asyncio.to_thread(Path(token_file).read_text)
    async with EnsembleClient(f"unix:{socket}", token=token) as person:
        crowd = Crowd(socket, person, descriptor, life_s, random.Random(seed))
        tasks = [asyncio.create_task(crowd.keep_coming()) for _ in range(count)]
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        await stopped.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    os.close(descriptor)


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]), sys.argv[6]))
