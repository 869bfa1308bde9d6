"""Load for the kill test: several tasks take and return locks, and write down each acknowledged answer at once.

Arguments: socket, token file, journal, number of locks. Exits 0 when every lock was taken and returned.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from aegis_tui.sdk.client import EnsembleClient

WORKERS = 6


async def main(socket: str, token_file: str, journal: str, count: int) -> None:
    descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    token = await asyncio.to_thread(Path(token_file).read_text)
    client = EnsembleClient(f"unix:{socket}", token=token)

    async def ask(request_id: str, **fields: Any) -> dict[str, Any]:
        reply = await client.command(fields["type"], request_id=request_id, **{**fields, "type": None})
        record = {"request_id": request_id, "fields": fields, "reply": reply}
        os.write(descriptor, json.dumps(record).encode() + b"\n")
        return reply

    async def work(worker: int) -> None:
        for number in range(worker, count, WORKERS):
            path = f"src/{number}.py"
            lock = (await ask(f"take-{number}", type="lock:acquire", path=path))["locks"][0]
            await ask(f"free-{number}", type="lock:release", lock_id=lock["lock_id"], token=lock["token"])

    async with client:
        await asyncio.gather(*(work(worker) for worker in range(WORKERS)))
    os.close(descriptor)


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
