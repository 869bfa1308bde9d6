"""Parts of a conversation, in an order that lets instances share the longest possible prefix (LLM-3, design 8).

The system message is the same for every instance of a run. The first user message has what the instances of one role
share, then what is the instance's own. After it comes the history, to which messages are only appended. What is shared
holds no time, no count and no name of an instance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from aegis_tui.domain.inert import without_hidden

_PARSER_MARKS = re.compile(r"<tool_call>|<function=|<\|tool_calls?\|?>|\[TOOL_CALLS\]|<function_call>")

REMINDER = (
    "You answered without calling a tool. Continue with the task by calling a tool. "
    "When the task is finished or cannot be finished, call {finish}."
)

TEXT_CALL_REMINDER = (
    "You wrote a tool call as plain text, and it could not be read with certainty. Make a real tool call, in the form "
    "in which your tools are described. If you can only write text, end your reply with exactly this form:\n"
    '<tool_call>\n{{"name": "TOOL", "arguments": {{...}}}}\n</tool_call>\n'
    "with arguments that fit the tool. When the task is finished or cannot be finished, call {finish}."
)

CUT_REMINDER = (
    "Your reply could not be used: {cut}. Think less and call a tool right away; write long files in several steps."
)


def inert(text: str) -> str:
    """Return the text without controls and other invisible characters except newlines and tabs, safe on a terminal.

    CR LF becomes a newline; characters that belong to an emoji stay.
    """
    return without_hidden(text.replace("\r\n", "\n"), keep="\n\t")


_EVERYWHERE = """\
You are one of several instances of an agent that work on one repository at the same time, each in its own git worktree.
A person set the goal. A hub gives each instance a task and checks the result. You act only by calling tools, until you
call the one that ends your task.
"""


def system_text(shared_context: str) -> str:
    """Return the system message, the same for every instance of a run: many chat templates put it before the tools.

    Args:
        shared_context: The text that all instances of the run share; may be empty.
    """
    return "\n".join(part for part in (_EVERYWHERE, shared_context.strip()) if part).strip() + "\n"


def scope_text(
    agent_id: str, *, partition: Sequence[str], moved: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> str:
    """Return the text that tells an instance what it may write, and its id; globs and names are sorted.

    Their order in the arguments makes no difference.

    Args:
        agent_id: The instance.
        partition: The globs that only it may write; empty for none.
        moved: Name of another piece -> the globs that it has now, if they differ from the design that the shared text
            describes.
    """
    lines = ["# Your scope", ""]
    if partition:
        lines.append("You alone may write: " + _globs(partition))
    lines += [f"Changed since the overview: {name} writes {_globs(globs)}" for name, globs in sorted(moved.items())]
    return "\n".join([*lines, f"You are {agent_id}."]) + "\n"


def _globs(globs: Sequence[str]) -> str:
    return ", ".join(sorted(globs)) or "nothing"


def opening_text(shared: Sequence[str], brief: str, scope: str) -> str:
    """Return the first user message: first what instances share, last what is the instance's alone.

    The id of the instance is in `scope`, so that a replacement shares the brief with its predecessor.

    Args:
        shared: What it shares with others, the most widely shared text first; texts may be empty.
        brief: The task of the instance.
        scope: What the instance may write, and its id.
    """
    parts = [part.strip() for part in (*shared, f"# Your task\n\n{brief.strip()}", scope)]
    return "\n\n".join(part for part in parts if part) + "\n"


def notices_text(lines: Sequence[str]) -> str:
    """Return a message with one line for each event that matters to this instance.

    It is added between turns (AGENT-6).
    """
    return "Meanwhile:\n" + "\n".join(f"- {line}" for line in lines)


def unparsed_tool_call(text: str) -> bool:
    """Return whether a reply's text holds the start of a tool call, such as `<tool_call>`.

    A server that is set up wrong leaves it in the text instead of parsing it.
    """
    return _PARSER_MARKS.search(text) is not None


def commit_message(summary: str, *, kind: str) -> str:
    """Turn a report's summary into a conventional commit message with a subject of at most 72 characters.

    Hidden characters and a full stop at the end of the subject are left out; the message ends in a newline.

    Args:
        summary: What the model wrote; its first line becomes the subject, `update` if it is empty. A subject that is
            cut is repeated in the body.
        kind: The commit type if the first line has none: feat, fix, ...
    """
    head, _, body = inert(summary).strip().partition("\n")
    subject = " ".join(head.split()) or "update"
    if not re.match(r"^[a-z]+(\([^)]+\))?!?: \S", subject):
        subject = f"{kind}: {subject}"
    subject = subject.rstrip(".")
    rest = body.strip()
    if len(subject) > 72:
        rest = f"{subject}\n\n{rest}".strip()
        subject = subject[:71].rsplit(" ", 1)[0] + "…"
    return f"{subject}\n\n{rest}\n" if rest else f"{subject}\n"
