"""Checks of names that a client chooses: certain characters only, and no reserved names (contract 2, SEC-2).

A name becomes part of a branch, a file, a window, a line of output or a glob of another program. So it holds letters,
digits and a few signs, never a control, a separator or an invisible character. These rules apply to commands; names
that are in the log already stay as they are.
"""

from __future__ import annotations

import re

from aegis_tui.domain.ids import HUB, PERSON, agent_type, check_instance_id, instance_id
from aegis_tui.domain.inert import inert
from aegis_tui.domain.role import ROLES
from aegis_tui.errors import UsageError

RESERVED = frozenset({PERSON, HUB, "aegis", "shared", "joint", "foundation", "composition", "integration", "result"})
"""Names that have another meaning where an instance, a feature or a spec is named."""

_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}(?:-[A-Za-z0-9_-]{1,31})?\Z")
_SPEC_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,99}\Z")
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,39}\Z")
_EVENT_PATTERN = re.compile(r"[A-Za-z*][A-Za-z0-9*>_.:-]{0,99}\Z")
_GIVEN_ID = re.compile(rf"[{''.join(traits.prefix for traits in ROLES.values())}][0-9]{{2,}}\Z", re.IGNORECASE)


def check_kind(text: str) -> str:
    """Return the agent type of a kind, as it begins an agent id: `CLAUDE` for `claude` and for `claude-code`.

    Raises:
        UsageError: It is not ASCII letters, digits, `_` and `-` with a letter first, is too long (32 characters, and 31
            after the first `-`), or is reserved.
    """
    if not _KIND.match(text) or agent_type(text).lower() in RESERVED:
        raise UsageError(
            f"{_shown(text)} is not a usable agent kind",
            "a letter, then letters, digits, '_' and '-', such as claude-code",
        )
    return agent_type(text)


def check_outside_id(text: str) -> str:
    """Return the short instance id that a person chose for an agent that they connect, unchanged, if it is allowed.

    Raises:
        UsageError: It is not a valid instance id, is reserved, has the form of the ids that the hub assigns (`w01`), or
            looks like a full agent id (`NATIVE-x`).
    """
    check_instance_id(text)
    hint = "a name such as frontend or docs-2"
    if text.lower() in RESERVED:
        raise UsageError(f"the instance id {text} is reserved", hint)
    if _GIVEN_ID.match(text):
        raise UsageError(f"{text} has the form of the ids that the hub gives to its own instances", hint)
    if instance_id(text) != text:
        raise UsageError(f"{text} looks like a full agent id (KIND-INSTANCE)", f"{hint}, without a kind in capitals")
    return text


def check_role(text: str) -> str:
    """Return the name of a role if there is such a role.

    Raises:
        UsageError: There is no such role.
    """
    if text not in ROLES:
        raise UsageError(f"there is no role {_shown(text)}", f"one of {', '.join(ROLES)}")
    return text


def check_spec_id(text: object) -> str:
    """Return a spec id if it is valid; it becomes the name of a file and of a diff.

    Raises:
        UsageError: It is not a text of 1 to 100 ASCII letters, digits, `.`, `_`, `-` with a letter or digit first, has
            two dots together or ends with `.` or `.lock`, or it is reserved.
    """
    is_name = isinstance(text, str) and _SPEC_ID.match(text) and not text.endswith((".", ".lock"))
    if not is_name or str(text).lower() in RESERVED:
        raise UsageError(f"{_shown(str(text))} is not a spec id", "for example spec-2026-11-20-001")
    return str(text)


def check_task_id(text: str) -> str:
    """Return the id of a task inside a spec if it is valid.

    Raises:
        UsageError: It is not 1 to 100 ASCII letters, digits, `.`, `_`, `-` with a letter or digit first, or has two
            dots together.
    """
    if not _SPEC_ID.match(text):
        raise UsageError(
            f"{_shown(text)} is not a task id", "letters, digits, '.', '_' and '-', 100 at most, such as task-1"
        )
    return text


def check_word(field: str, text: str) -> str:
    """Return `text` if it is one lower-case word, such as the status of a task.

    Args:
        field: The name of the field, for the message.
        text: Its value.

    Raises:
        UsageError: It is not 1 to 40 lower-case ASCII letters, digits, `_`, `-` with a letter first.
    """
    if not _WORD.match(text):
        raise UsageError(
            f"{field}: {_shown(text)} is not valid", "use lower-case letters, digits, '_' and '-', 40 at most"
        )
    return text


def is_event_pattern(text: str) -> bool:
    """Return whether a text has the form of a pattern of event types, such as `lock:*`; the types need not exist.

    It has 1 to 100 letters, digits and `*>_.:-`, with a letter or `*` first.
    """
    return _EVENT_PATTERN.match(text) is not None


def _shown(text: str) -> str:
    """Return the first 60 characters of a name in quotes for an error message, with hidden characters replaced.

    A longer name ends in `…`.
    """
    return f"'{inert(text[:60])}{'…' if len(text) > 60 else ''}'"
