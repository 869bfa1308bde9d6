"""Names under which a scenario calls the tools of any agent program: ``mcp:NAME`` and ``cli:NAME``.

``mcp:get_scope`` is the tool `get_scope` of the MCP server `aegis`, ``mcp:other/look`` is `look` of the server `other`;
programs put the server's name before the tool's, each in its own way. ``cli:write {path, content}``,
``cli:edit {path, old, new}``, ``cli:shell {command}`` and ``cli:read {path}`` are a program's own tools; where it has
only a shell, a command does the same. Which of them a program has, and how their arguments are named, is read from the
tools that its request offers. Any other name is called as it is, offered or not, because a model may do so too.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from aegis_tui.testing.schema_value import plausible_arguments
from aegis_tui.testing.scripted_request import ChatError, OfferedTool, ScriptedToolCall

SERVER = "aegis"
"""The MCP server whose tools need no server's name in a scenario."""

_MCP = re.compile(r"mcp:(?:(?P<server>[\w.-]+)/)?(?P<tool>[\w.-]+)")
_ARGUMENTS = {
    "cli:write": ("path", "content"),
    "cli:edit": ("path", "old", "new"),
    "cli:shell": ("command",),
    "cli:read": ("path",),
}
_TOOLS = {
    "cli:write": ("Write", "write", "write_file"),
    "cli:edit": ("Edit", "edit", "replace"),
    "cli:shell": ("Bash", "bash", "exec_command", "shell", "shell_command", "run_shell_command"),
    "cli:read": ("Read", "read", "read_file"),
}
"""Claude Code, opencode and mini-swe-agent, gemini-cli and qwen-code; for the shell also Codex, newest first."""
_SPELLINGS = {
    "path": ("file_path", "filePath", "path", "absolute_path"),
    "content": ("content",),
    "old": ("old_string", "oldString", "old"),
    "new": ("new_string", "newString", "new"),
    "command": ("command", "cmd"),
}
_REPLACE = """\
import pathlib, sys
file, old, new = pathlib.Path(sys.argv[1]), sys.argv[2].encode(), sys.argv[3].encode()
text = file.read_bytes()
if text.count(old) != 1:
    sys.exit(f"{file}: the old text occurs {text.count(old)} times")
file.write_bytes(text.replace(old, new))
"""


def check_call(tool: str, args: Mapping[str, Any]) -> None:
    """Check a call of a scenario; a name without ``mcp:`` or ``cli:`` is always valid.

    Raises:
        ValueError: There is no such portable tool, or the arguments are not exactly its own.
    """
    if tool.startswith("mcp:") and not _MCP.fullmatch(tool):
        raise ValueError(f"{tool} does not name an MCP tool: mcp:TOOL or mcp:SERVER/TOOL")
    if not tool.startswith("cli:"):
        return
    if tool not in _ARGUMENTS:
        raise ValueError(f"there is no tool {tool}; there are {', '.join(_ARGUMENTS)}")
    if set(args) != set(_ARGUMENTS[tool]) or not all(isinstance(value, str) for value in args.values()):
        raise ValueError(f"{tool} needs {', '.join(_ARGUMENTS[tool])} as texts, and nothing else")


def resolve_call(
    tool: str, args: Mapping[str, Any], *, offered: Sequence[OfferedTool], folder: str | None
) -> ScriptedToolCall:
    """Return a call as the client that sent the request expects it.

    Args:
        tool: The tool's name in the scenario.
        args: Its arguments in the scenario; valid by `check_call`.
        offered: The tools that the request offers.
        folder: The absolute path of the folder in which the program works; None if the conversation does not name it.

    Raises:
        ChatError: The request does not offer the tool, it lacks an argument, or it needs an absolute path and there is
            no folder; the message names the tools that are offered.
    """
    if match := _MCP.fullmatch(tool):
        offered_tool = _find_mcp(match["server"] or SERVER, match["tool"], offered)
        if offered_tool is None:
            raise _not_offered(tool, offered)
        return ScriptedToolCall(offered_tool.name, args, offered_tool.namespace)
    if tool not in _TOOLS:
        return ScriptedToolCall(tool, args)
    if own := _find_own(tool, offered):
        return _call_of(own, args, folder)
    if shell := _find_own("cli:shell", offered):
        return _call_of(shell, {"command": _shell_command(tool, args, folder)}, folder)
    raise _not_offered(tool, offered)


def _find_mcp(server: str, tool: str, offered: Sequence[OfferedTool]) -> OfferedTool | None:
    names = {f"mcp__{server}__{tool}", f"mcp_{server}_{tool}", f"{server}_{tool}"}
    return next((item for item in offered if item.flat_name in names), None)


def _find_own(tool: str, offered: Sequence[OfferedTool]) -> OfferedTool | None:
    return next((item for item in offered if item.flat_name in _TOOLS[tool]), None)


def _not_offered(tool: str, offered: Sequence[OfferedTool]) -> ChatError:
    names = ", ".join(sorted(item.flat_name for item in offered)) or "no tool"
    return ChatError(f"the script calls {tool}, which fits no tool of the request; it offers {names}", param="tools")


def _call_of(tool: OfferedTool, args: Mapping[str, str], folder: str | None) -> ScriptedToolCall:
    """Return a call of a program's own tool, with its own names for the arguments and values for what else it requires.

    Args:
        tool: The program's tool.
        args: Portable name (`path`, `content`, `old`, `new`, `command`) -> text.
        folder: The folder that paths are relative to; None if it is not known.

    Raises:
        ChatError: The tool has no argument for one of them, or needs an absolute path and there is no folder.
    """
    properties = tool.schema.get("properties") or {}
    given: dict[str, Any] = {}
    for name, value in args.items():
        own_name = next((spelling for spelling in _SPELLINGS[name] if spelling in properties), None)
        if own_name is None:
            known = ", ".join(properties) or "none"
            raise ChatError(f"the tool {tool.flat_name} has no argument for {name}; it has {known}", param="tools")
        given[own_name] = _value(name, value, properties[own_name], folder)
    return ScriptedToolCall(tool.name, plausible_arguments(tool.schema, given), tool.namespace)


def _value(name: str, value: str, schema: Mapping[str, Any], folder: str | None) -> str | list[str]:
    if name == "path":
        return _placed(value, folder, is_absolute="absolute" in str(schema.get("description")).lower())
    if name == "command" and str(schema.get("type")).lower() == "array":
        return ["bash", "-lc", value]
    return value


def _placed(path: str, folder: str | None, *, is_absolute: bool) -> str:
    """Return a path below the folder; one that is absolute already stays as it is.

    Raises:
        ChatError: It must be absolute, and there is no folder.
    """
    if folder is None and is_absolute and not PurePosixPath(path).is_absolute():
        raise ChatError(f"the tool needs an absolute path for {path}: name its folder with [[cwd:/path]]")
    return str(PurePosixPath(folder or "", path))


def _shell_command(tool: str, args: Mapping[str, str], folder: str | None) -> str:
    """Return a command for bash that does what `cli:read`, `cli:edit` or `cli:write` asks for."""
    path = _placed(args["path"], folder, is_absolute=False)
    name = shlex.quote(path)
    if tool == "cli:read":
        return f"cat -- {name}"
    if tool == "cli:edit":
        return shlex.join(["python3", "-c", _REPLACE, path, args["old"], args["new"]])
    return f"mkdir -p -- {shlex.quote(str(PurePosixPath(path).parent))} && {_written(args['content'], name)}"


def _written(content: str, name: str) -> str:
    """Return a shell command that writes exactly `content` to the file `name`, which is not quoted.

    A text that ends with a line break is written with a here-document, any other one with `printf`.
    """
    if not content.endswith("\n"):
        return f"printf %s {shlex.quote(content)} > {name}"
    end = "END"
    while end in content.splitlines():
        end += "_"
    return f"cat > {name} <<'{end}'\n{content}{end}\n"
