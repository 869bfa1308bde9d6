"""Parts of a conversation, in an order that lets instances share the longest possible prefix (LLM-3, design 8).

Order: the role's prompt, the text that all instances of the run share, the text for this instance, then history.
The first two hold no time, no count and no name of an instance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

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
    """Return the text without controls and other invisible characters except newlines and tabs, safe on a terminal."""
    return without_hidden(text.replace("\r\n", "\n"), keep="\n\t")


def system_text(role_prompt: str) -> str:
    """Return the system message: only the role's prompt, so that it is equal for every instance of the role."""
    return role_prompt.strip() + "\n"


def scope_text(
    agent_id: str,
    *,
    partition: Sequence[str],
    shared: Sequence[str] = (),
    joint: Sequence[str] = (),
    owners: Mapping[str, str] | None = None,
) -> str:
    """Describe to an instance what it may write; the order of the globs in the arguments makes no difference.

    Args:
        agent_id: The instance.
        partition: The globs that only it may write.
        shared: Globs that it may only read.
        joint: Globs that anyone may write under a lock.
        owners: Glob -> its owner; globs of the instance itself are not listed.
    """
    lines = [f"# Your scope\n\nYou are {agent_id}."]
    if partition:
        lines.append("You alone may write: " + _globs(partition))
    if joint:
        lines.append("Anyone may write, one at a time, under a lock: " + _globs(joint))
    if shared:
        lines.append("Read-only for you: " + _globs(shared))
    if foreign := {glob: owner for glob, owner in (owners or {}).items() if owner != agent_id}:
        owned = ", ".join(f"{glob} ({owner})" for glob, owner in sorted(foreign.items()))
        lines.append("Owned by others, read-only for you: " + owned)
    return "\n".join(lines) + "\n"


def _globs(globs: Sequence[str]) -> str:
    return ", ".join(sorted(globs))


def opening_text(shared_context: str, scope: str, brief: str) -> str:
    """Return the first user message: the shared context, then this instance's scope, then its brief."""
    parts = [part.strip() for part in (shared_context, scope, f"# Task\n\n{brief.strip()}")]
    return "\n\n".join(part for part in parts if part) + "\n"


def notices_text(lines: Sequence[str]) -> str:
    """Return a message that lists events which matter to this instance; it is added between turns (AGENT-6)."""
    return "Meanwhile:\n" + "\n".join(f"- {line}" for line in lines)


def unparsed_tool_call(text: str) -> bool:
    """Return whether a reply's text holds the marks of a tool call that the server, set up wrong, did not parse."""
    return _PARSER_MARKS.search(text) is not None


def commit_message(summary: str, *, kind: str) -> str:
    """Turn a report's summary into a conventional commit message with a subject of at most 72 characters.

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
