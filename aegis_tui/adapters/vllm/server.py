"""One vLLM server per machine and user: started in its own session, recorded in a file, stopped with its processes.

The command line is built by `start-vllm.sh`, which a person may also run directly.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from aegis_tui.adapters.http import get_whole, httpx, needs_certificates
from aegis_tui.adapters.process import end_process_tree, find_identity, is_same_process_alive
from aegis_tui.adapters.process_table import ProcessIdentity
from aegis_tui.errors import ModelUnavailable, Unavailable, UsageError

SCRIPT = Path(__file__).parent / "start-vllm.sh"
STOP_GRACE_S = 20.0
_POLL_S = 0.2
_ASK_TIMEOUT_S = 2.0
_TAIL_LINES = 15
_SCRIPT_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class VllmRecord:
    """The record of a started server."""

    pid: int
    start_time: float
    url: str
    """Base URL, ending in `/v1`."""
    model: str

    @property
    def is_running(self) -> bool:
        """Whether the process of the record still runs, and not another one that has its pid now."""
        return is_same_process_alive(ProcessIdentity(self.pid, self.start_time))


class VllmServer:
    """The vLLM server of this user.

    Args:
        folder: The folder of its record and log; created if missing.
        environ: The environment that it inherits; the script reads AEGIS_BATCH and other variables from it.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder, self._environ = folder, environ

    @property
    def log(self) -> Path:
        """The log file of the server; it may not exist yet."""
        return self._folder / "vllm.log"

    @property
    def _record(self) -> Path:
        return self._folder / "vllm.json"

    def find(self) -> VllmRecord | None:
        """Return the record of the running server, even while it still loads the model.

        None if none runs, also if its record is missing or damaged. Raises nothing.
        """
        try:
            record = VllmRecord(**json.loads(self._record.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return record if record.is_running else None

    def command(self, model: str | None, port: int, options: Sequence[str] = ()) -> list[str]:
        """Return the command line that `start` would run, with the environment variables in front. Blocking.

        Args:
            model: A name or a folder; None for the one in the environment.
            port: The port on 127.0.0.1.
            options: Further options of `vllm serve`; for a repeated option the last one counts.

        Raises:
            UsageError: A setting is wrong, or the model's format of tool calls is unknown; the message is the script's.
            Unavailable: The script did not answer within 20 s (`vllm.script`).
            OSError: There is no bash.
        """
        argv = ["bash", str(SCRIPT), "--print", *_words(model, options)]
        try:
            done = subprocess.run(
                argv,
                env=self._with_port(port),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SCRIPT_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            what = f"start-vllm.sh did not check the settings within {_SCRIPT_TIMEOUT_S:g} s"
            hint = f"check that the folder of the model can be read, then run the command by itself: {shlex.join(argv)}"
            raise Unavailable(what, hint, code="vllm.script") from error
        if done.returncode != 0:
            first, *rest = done.stderr.strip().splitlines() or ["start-vllm.sh failed"]
            advice = " ".join(line.strip() for line in rest) if first.endswith(":") else ""
            message = first.removeprefix("start-vllm.sh: ").removesuffix(":")
            raise UsageError(message, advice or "aegis-tui vllm start --help")
        return shlex.split(done.stdout)

    async def start(self, model: str | None, port: int, *, wait_s: float, options: Sequence[str] = ()) -> VllmRecord:
        """Start the server; return its record when it answers, or after `wait_s` seconds even if it still loads.

        A server that runs already is returned as it is, whatever its model and port.

        Args:
            model: A name or a folder; None for the one in the environment.
            port: The port on 127.0.0.1.
            wait_s: In seconds; at least 1.
            options: Further options of `vllm serve`.

        Raises:
            UsageError: A setting is wrong, or the model's format of tool calls is unknown.
            ModelUnavailable: It ended within that time; the message ends with the last lines of its log.
            Unavailable: The script that checks the settings did not answer within 20 s (`vllm.script`).
            OSError: Its record or its log cannot be written, or there is no bash.
        """
        if record := self.find():
            return record
        words = await asyncio.to_thread(self.command, model, port, options)
        served = words[words.index("serve") + 1]
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *("bash", str(SCRIPT), *_words(model, options)),
                env=self._with_port(port),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        identity = find_identity(process.pid)
        started = identity.start_time if identity else 0.0
        record = VllmRecord(process.pid, started, f"http://127.0.0.1:{port}/v1", served)
        self._record.write_text(json.dumps(asdict(record)), "utf-8")
        await self._wait(process, record, wait_s)
        return record

    async def stop(self) -> VllmRecord | None:
        """Stop the server and all processes that it started, and delete its record; return it, or None if none ran.

        Waits until they have ended, 25 s at most; those that do not end by SIGTERM are killed.

        Raises:
            OSError: The record cannot be deleted.
        """
        record = self.find()
        if record is not None:
            await asyncio.to_thread(end_process_tree, record.pid, marker=None, grace_s=STOP_GRACE_S)
        self._record.unlink(missing_ok=True)
        return record

    async def _wait(self, process: asyncio.subprocess.Process, record: VllmRecord, wait_s: float) -> None:
        end = time.monotonic() + max(wait_s, 1.0)
        while time.monotonic() < end:
            if process.returncode is not None:
                self._record.unlink(missing_ok=True)
                said = self.log.read_text("utf-8", "replace").strip().splitlines()[-_TAIL_LINES:]
                raise ModelUnavailable("vLLM ended: " + "\n".join(said), f"read {self.log}")
            if await is_healthy(record.url):
                return
            await asyncio.sleep(_POLL_S)

    def _with_port(self, port: int) -> dict[str, str]:
        return {**self._environ, "AEGIS_VLLM_PORT": str(port)}


def _words(model: str | None, options: Sequence[str]) -> list[str]:
    """Return the arguments of `start-vllm.sh` for a model and further options of `vllm serve`."""
    return [*([model] if model else []), *(["--", *options] if options else [])]


async def is_healthy(base_url: str) -> bool:
    """Return whether a vLLM server answers at the base URL (with or without `/v1`) within 2 s and is ready.

    False for every failure of the request.
    """
    return await _get(base_url.removesuffix("/v1") + "/health") is not None


async def read_metrics(base_url: str) -> str | None:
    """Return the text of `/metrics` of the server at the base URL; None if it does not answer with success in 2 s.

    None also if the text has over 4 MiB. `base_url` may end in `/v1`.
    """
    return await _get(base_url.removesuffix("/v1") + "/metrics")


async def _get(url: str) -> str | None:
    with contextlib.suppress(httpx.HTTPError):
        verify = needs_certificates(url)
        async with httpx.AsyncClient(timeout=_ASK_TIMEOUT_S, trust_env=False, verify=verify) as client:
            answer = await get_whole(client, url, deadline_s=_ASK_TIMEOUT_S)
            return answer.text if answer.is_success else None
    return None
