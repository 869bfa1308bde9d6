"""Brings waiting lines to a hosted program between two of its tool calls; the program's own hook runs it (AGENT-6).

`python -m aegis_tui.agent.hosted.hear` reads the hook's JSON from standard input, and prints the JSON by which Claude
Code and Qwen Code add a text to the conversation; with the argument `plain`, it prints the text alone. It never fails:
a hook that fails could stop the call.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from aegis_tui.domain.prompt import notices_text
from aegis_tui.errors import AegisError
from aegis_tui.sdk.notice_box import NOTICES, NoticeBox, numbers_of
from aegis_tui.sdk.quick import HubQuick

TOOL_CALLS = "AEGIS_TOOL_CALLS"
"""The variable that names the file to which hooks append what they get, one JSON object a line."""

_ANSWER_S = 5.0


def hear_commands(python: str) -> dict[str, str]:
    """Return the values of the placeholders `noted` and `hear`: command lines for a shell, as hooks are run by one.

    `noted` appends the hook's standard input to the file of AEGIS_TOOL_CALLS; `hear` prints the lines that wait in the
    folder of AEGIS_NOTICES. Both read all of their standard input and end with 0. A Python is started only if a line
    waits.

    Args:
        python: The Python of this program.
    """
    line = shlex.join([python, "-E", "-P", "-m", "aegis_tui.agent.hosted.hear"])
    waits = f'set -- "${NOTICES}"/[0-9]*; [ -e "$1" ]'
    return {
        "noted": f'{{ {{ cat; echo; }} >> "${TOOL_CALLS}"; }} 2>/dev/null || true',
        "hear": f"{waits} || {{ cat > /dev/null; exit 0; }}; {line}",
    }


def listening_environment(home: str) -> dict[str, str]:
    """Return the variables (name -> value) that the commands of `hear_commands` and an instance's MCP server need.

    Args:
        home: The instance's home folder.
    """
    return {NOTICES: f"{home}/.aegis-notices", TOOL_CALLS: str(tool_calls_file(home))}


def box_of(home: str) -> NoticeBox:
    """Return the box in which lines wait for the instance with this home folder; nothing is created."""
    return NoticeBox(Path(listening_environment(home)[NOTICES]))


def tool_calls_file(home: str) -> Path:
    """Return the path of the file to which the hooks of the instance with this home folder append what they get.

    It may not exist.
    """
    return Path(home) / ".aegis-tool-calls"


def take_lines(environ: Mapping[str, str]) -> list[str]:
    """Remove and return the lines that wait, and tell the hub which messages among them are delivered.

    Empty if none wait. Raises nothing: a hub that cannot be told, for which each message may take 5 s, is ignored.

    Args:
        environ: The variables of the instance.
    """
    box = NoticeBox.of(environ)
    notices = box.take() if box is not None else []
    with suppress(KeyError, OSError, ValueError, AegisError):
        token = Path(environ["AEGIS_TOKEN_FILE"]).read_text("utf-8").strip()
        for number in numbers_of(notices):
            HubQuick.at(environ["AEGIS_HUB"], token, timeout_s=_ANSWER_S).command("ack", of=number)
    return [notice.line for notice in notices]


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print what waits, in the form that the hook's program understands, and return 0; print nothing if nothing waits.

    Args:
        argv: The program's name, and perhaps `plain` for the text without JSON.
        environ: The variables of the instance.
    """
    event = "PostToolUse"
    with suppress(ValueError, RecursionError, OSError):
        call = json.loads(sys.stdin.buffer.read())
        event = str(call["hook_event_name"]) if isinstance(call, dict) and "hook_event_name" in call else event
    if lines := take_lines(environ):
        text = notices_text(lines)
        added = {"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}}
        sys.stdout.write(text if argv[1:] == ["plain"] else json.dumps(added))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv, os.environ))
