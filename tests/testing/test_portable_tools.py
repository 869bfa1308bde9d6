import subprocess
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.errors import UsageError
from aegis_tui.testing.portable_tools import resolve_call
from aegis_tui.testing.scenario import folder_name, load_scenario
from aegis_tui.testing.scripted_request import ChatError, OfferedTool, ScriptedToolCall
from tests.testing.conftest import WriteScripts

TEXT = {"type": "string"}
PLACE = {"type": "string", "description": "The absolute path to the file (must be absolute, not relative)"}


def tool(name: str, *required: str, namespace: str | None = None, **properties: Any) -> OfferedTool:
    """A tool with these properties; those that are `required` only have no more than a type."""
    known = dict.fromkeys(required, TEXT) | properties
    return OfferedTool(name, {"type": "object", "properties": known, "required": list(required)}, namespace)


CLAUDE = (
    tool("Bash", "command", description=TEXT, timeout={"type": "number"}),
    tool("Edit", "file_path", "old_string", "new_string", file_path=PLACE, replace_all={"type": "boolean"}),
    tool("Read", "file_path", file_path=PLACE, limit={"type": "number"}),
    tool("Write", "file_path", "content", file_path=PLACE),
    tool("mcp__aegis__get_scope"),
    tool("mcp__other__get_scope"),
)
CODEX = (
    tool("exec_command", "cmd", yield_time_ms={"type": "number"}, workdir=TEXT),
    tool("update_plan", plan={"type": "array"}),
    tool("get_scope", namespace="mcp__other"),
    tool("get_scope", namespace="mcp__aegis"),
)
OLD_CODEX = (tool("shell", "command", command={"type": "array", "items": TEXT}, workdir=TEXT),)
OPENCODE = (
    tool("bash", "command", "description", timeout={"type": "number"}),
    tool("edit", "filePath", "oldString", "newString", filePath=PLACE),
    tool("read", "filePath", filePath=PLACE),
    tool("write", "content", "filePath", filePath=PLACE),
    tool("aegis_get_scope"),
    tool("other_get_scope"),
)
QWEN = (
    tool("run_shell_command", "command", "is_background", is_background={"type": "boolean"}),
    tool("edit", "file_path", "old_string", "new_string", file_path=PLACE),
    tool("read_file", "file_path", file_path=PLACE),
    tool("write_file", "file_path", "content", file_path=PLACE),
    tool("mcp__aegis__get_scope"),
)
GEMINI = (
    tool("run_shell_command", "command"),
    tool("replace", "file_path", "instruction", "old_string", "new_string"),
    tool("read_file", "file_path"),
    tool("write_file", "file_path", "content"),
    tool("mcp_aegis_get_scope"),
)
MINI = (tool("bash", "command"),)


def resolve(name: str, offered: tuple[OfferedTool, ...], folder: str | None = "/tree", **args: str) -> ScriptedToolCall:
    return resolve_call(name, args, offered=offered, folder=folder)


@pytest.mark.parametrize(
    ("offered", "name", "namespace"),
    [
        (CLAUDE, "mcp__aegis__get_scope", None),
        (CODEX, "get_scope", "mcp__aegis"),
        (OPENCODE, "aegis_get_scope", None),
        (QWEN, "mcp__aegis__get_scope", None),
        (GEMINI, "mcp_aegis_get_scope", None),
    ],
    ids=["claude", "codex", "opencode", "qwen", "gemini"],
)
def test_an_mcp_tool_is_called_as_the_program_offers_it(
    offered: tuple[OfferedTool, ...], name: str, namespace: str | None
) -> None:
    assert resolve("mcp:get_scope", offered, path="src") == ScriptedToolCall(name, {"path": "src"}, namespace)


def test_an_mcp_tool_of_another_server_is_called_by_both_names() -> None:
    assert resolve("mcp:other/get_scope", CLAUDE).name == "mcp__other__get_scope"
    assert resolve("mcp:other/get_scope", CODEX).namespace == "mcp__other"


@pytest.mark.parametrize(
    ("offered", "write", "edit", "shell", "read"),
    [
        (
            CLAUDE,
            ("Write", {"file_path": "/tree/a.py", "content": "x"}),
            ("Edit", {"file_path": "/tree/a.py", "old_string": "x", "new_string": "y"}),
            ("Bash", {"command": "ls"}),
            ("Read", {"file_path": "/tree/a.py"}),
        ),
        (
            OPENCODE,
            ("write", {"filePath": "/tree/a.py", "content": "x"}),
            ("edit", {"filePath": "/tree/a.py", "oldString": "x", "newString": "y"}),
            ("bash", {"command": "ls", "description": "scripted"}),
            ("read", {"filePath": "/tree/a.py"}),
        ),
        (
            QWEN,
            ("write_file", {"file_path": "/tree/a.py", "content": "x"}),
            ("edit", {"file_path": "/tree/a.py", "old_string": "x", "new_string": "y"}),
            ("run_shell_command", {"command": "ls", "is_background": False}),
            ("read_file", {"file_path": "/tree/a.py"}),
        ),
        (
            GEMINI,
            ("write_file", {"file_path": "/tree/a.py", "content": "x"}),
            ("replace", {"file_path": "/tree/a.py", "old_string": "x", "new_string": "y", "instruction": "scripted"}),
            ("run_shell_command", {"command": "ls"}),
            ("read_file", {"file_path": "/tree/a.py"}),
        ),
    ],
    ids=["claude", "opencode", "qwen", "gemini"],
)
def test_the_programs_own_tools_get_its_own_arguments(
    offered: tuple[OfferedTool, ...], write: object, edit: object, shell: object, read: object
) -> None:
    calls = (
        resolve("cli:write", offered, path="a.py", content="x"),
        resolve("cli:edit", offered, path="a.py", old="x", new="y"),
        resolve("cli:shell", offered, command="ls"),
        resolve("cli:read", offered, path="a.py"),
    )
    assert tuple((call.name, call.args) for call in calls) == (write, edit, shell, read)


def test_the_shell_takes_its_command_in_the_form_of_its_schema() -> None:
    assert resolve("cli:shell", CODEX, command="ls").args == {"cmd": "ls"}
    assert resolve("cli:shell", OLD_CODEX, command="ls").args == {"command": ["bash", "-lc", "ls"]}


@pytest.mark.parametrize("content", ["one\ntwo\n", "END\nit's $HOME `x` \\ 가\n", "no line end", "", "\n"])
@pytest.mark.parametrize("offered", [CODEX, MINI], ids=["codex", "mini"])
def test_a_program_with_only_a_shell_writes_reads_and_edits_byte_for_byte(
    offered: tuple[OfferedTool, ...], content: str, tmp_path: Path
) -> None:
    def run(name: str, **args: str) -> str:
        (command,) = resolve(name, offered, str(tmp_path), **args).args.values()
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    path = "new folder/it's.py"
    run("cli:write", path=path, content=content)
    assert (tmp_path / path).read_bytes() == content.encode()
    assert run("cli:read", path=path) == content
    (tmp_path / path).write_text(f"a {content} b 'old' c")
    run("cli:edit", path=path, old="'old' c", new=f'{content}"$new"')
    assert (tmp_path / path).read_bytes() == f'a {content} b {content}"$new"'.encode()


def test_an_edit_by_shell_fails_if_the_text_is_not_there_exactly_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x x")
    (command,) = resolve("cli:edit", MINI, str(tmp_path), path="a", old="x", new="y").args.values()
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "occurs 2 times" in done.stderr
    assert (tmp_path / "a").read_text() == "x x"


def test_a_path_is_placed_in_the_folder_and_needs_one_where_it_must_be_absolute() -> None:
    assert resolve("cli:read", CLAUDE, path="/other/a.py").args == {"file_path": "/other/a.py"}
    assert resolve("cli:read", GEMINI, None, path="a.py").args == {"file_path": "a.py"}
    assert resolve("cli:read", MINI, None, path="a.py").args == {"command": "cat -- a.py"}
    with pytest.raises(ChatError, match=r"\[\[cwd:/path\]\]"):
        resolve("cli:read", CLAUDE, None, path="a.py")


def test_what_is_not_offered_is_refused_with_what_is() -> None:
    with pytest.raises(
        ChatError, match=r"mcp:report_done, .* it offers Bash, Edit, Read, Write, mcp__aegis__get_scope"
    ):
        resolve("mcp:report_done", CLAUDE)
    with pytest.raises(ChatError, match=r"cli:write, .* it offers mcp__aegis__get_scope"):
        resolve("cli:write", (tool("get_scope", namespace="mcp__aegis"),), path="a", content="")
    with pytest.raises(ChatError, match="it offers no tool"):
        resolve("cli:shell", (), command="ls")
    with pytest.raises(ChatError, match="Read has no argument for path; it has where"):
        resolve("cli:read", (tool("Read", "where"),), path="a")


def test_any_other_name_is_called_as_it_is() -> None:
    assert resolve("propose", CLAUDE, path="a") == ScriptedToolCall("propose", {"path": "a"})


def test_a_folder_is_named_in_a_message_of_the_user() -> None:
    said: list[dict[str, Any]] = [
        {"role": "user", "content": "[[cwd:/old]]"},
        {"role": "user", "content": [{"type": "text", "text": "[[script:a]] [[cwd:/work tree/[1]]]"}]},
        {"role": "tool", "content": "[[cwd:/tool]]"},
    ]
    assert folder_name(said) == "/work tree/[1]"
    assert folder_name([{"role": "user", "content": "[[cwd:relative]]"}]) is None


@pytest.mark.parametrize(
    "step",
    [
        {"tool": "cli:remove", "args": {"path": "a"}},
        {"tool": "cli:write", "args": {"path": "a"}},
        {"tool": "cli:shell", "args": {"command": ["ls"]}},
        {"tool": "cli:read", "args": {"path": "a", "limit": "1"}},
        {"tool": "mcp:"},
        {"calls": [{"tool": "mcp:a/b/c"}]},
    ],
)
def test_a_portable_call_that_no_program_could_run_is_refused_when_it_is_loaded(
    step: dict[str, Any], write_scripts: WriteScripts
) -> None:
    with pytest.raises(UsageError, match=r"(?s)bad\.json.*(cli|mcp):"):
        load_scenario(write_scripts(bad={"steps": [step]}))
