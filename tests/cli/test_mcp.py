"""MCP over stdin and stdout, as a command-line agent starts it (HUB-7)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters

from aegis_tui.sdk.discovery import find_hub, workspace_key_of, workspace_paths
from aegis_tui.sdk.quick import HubQuick
from aegis_tui.testing.scratch import ScratchWorkspace


def person(served: ScratchWorkspace) -> HubQuick:
    address = find_hub(workspace_paths(workspace_key_of(served.root), served.environ))
    assert address is not None
    return HubQuick(address)


def join(served: ScratchWorkspace, name: str, **fields: Any) -> Path:
    reply = person(served).command("agent:register", agent_type="CLAUDE", instance_id=name, **fields)
    return Path(reply["token_file"])


def server(served: ScratchWorkspace, *arguments: str, **environ: str) -> StdioServerParameters:
    argv = served.argv("mcp", *arguments)
    return StdioServerParameters(
        command=argv[0], args=argv[1:], env={**served.environ, **environ}, cwd=str(served.root)
    )


def test_a_joined_instance_takes_a_lock_and_is_kept_alive(served: ScratchWorkspace) -> None:
    join(served, "frontend", partition=["web/**"])

    async def main() -> None:
        async with Client(server(served, "--instance", "frontend")) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert {"acquire_lock", "get_scope"} <= names and "approve" not in names
            scope = await client.call_tool("get_scope", {})
            assert scope.structured_content is not None
            assert scope.structured_content["agent_id"] == "CLAUDE-frontend"
            assert scope.structured_content["partition"] == ["web/**"]
            locked = await client.call_tool("acquire_lock", {"paths": ["web/a.ts"]})
            assert locked.structured_content is not None and locked.structured_content["granted"]
            told = person(served).state()["locks"]["web/a.ts"]
            assert told["agent_id"] == "CLAUDE-frontend"

    asyncio.run(main())
    assert not [item for item in served.processes() if "mcp" in item.cmdline()]


def test_the_environment_of_a_pane_names_the_instance(served: ScratchWorkspace) -> None:
    token_file = join(served, "reader", role="reviewer")
    paths = workspace_paths(workspace_key_of(served.root), served.environ)
    environ = {"AEGIS_HUB": f"unix:{paths.hub_socket}", "AEGIS_TOKEN_FILE": str(token_file)}

    async def main() -> None:
        async with Client(server(served, **environ)) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert {"approve", "reject", "post_findings"} <= names and "acquire_lock" not in names
            refused = await client.call_tool("reject", {"findings": [{"msg": "x"}]})
            assert refused.is_error and "you have no review" in str(refused.content)

    asyncio.run(main())


def test_a_hub_that_restarts_is_waited_for(served: ScratchWorkspace) -> None:
    join(served, "patient")

    async def main() -> None:
        async with Client(server(served, "--instance", "patient")) as client:
            await client.list_tools()
            await asyncio.to_thread(served.aegis, "hub", "stop")
            asked = asyncio.create_task(client.call_tool("acquire_lock", {"paths": ["patient.py"]}))
            await asyncio.to_thread(served.aegis, "hub", "start")
            answered = await asyncio.wait_for(asked, 20)
            assert answered.structured_content is not None and answered.structured_content["granted"]

    asyncio.run(main())


def test_without_an_instance_nothing_is_served(served: ScratchWorkspace, tmp_path: Path) -> None:
    nobody = served.aegis("mcp")
    assert (nobody.code, nobody.out) == (2, "") and "--instance" in nobody.err
    unknown = served.aegis("mcp", "--instance", "nobody")
    assert unknown.code == 2 and "connect" in unknown.err
    wrong = tmp_path / "token"
    wrong.write_text("0" * 64)
    environ = {**served.environ, "AEGIS_TOKEN_FILE": str(wrong)}
    done = subprocess.run(
        served.argv("mcp"),
        cwd=served.root,
        env=environ,
        input="",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "") and "0" * 64 not in done.stderr
    wrong.write_text(json.loads((paths_of(served) / "hub.json").read_text())["token"])
    done = subprocess.run(
        served.argv("mcp"),
        cwd=served.root,
        env=environ,
        input="",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 3 and "speaks for an instance" in done.stderr


def paths_of(served: ScratchWorkspace) -> Path:
    return workspace_paths(workspace_key_of(served.root), served.environ).runtime_dir


def test_other_commands_and_the_hub_do_not_import_the_library() -> None:
    code = "import sys, aegis_tui.hub.run, aegis_tui.cli.main, aegis_tui.cli.lock; print('mcp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "False\n"
