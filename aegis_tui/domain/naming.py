"""Names that a client chooses: each from a closed alphabet, the reserved ones refused (contract 2, SEC-2).

A name becomes part of a branch, a file, a window, a line of output or a glob of another program. So it holds letters,
digits and few signs, never a control, a separator or a character that cannot be seen. These rules bind commands; what
is in the log already stays as it is.
"""

from __future__ import annotations

import re

from aegis_tui.domain.ids import HUB, PERSON, check_instance_id, instance_id
from aegis_tui.domain.inert import inert
from aegis_tui.domain.role import ROLES
from aegis_tui.errors import UsageError

RESERVED = frozenset({PERSON, HUB, "aegis", "shared", "joint", "foundation", "composition", "integration", "result"})
"""Names that mean something else wherever an instance, a feature or a spec is named."""

_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}\Z")
_SPEC_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,99}\Z")
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,39}\Z")
_EVENT_PATTERN = re.compile(r"[A-Za-z*][A-Za-z0-9*>_.:-]{0,99}\Z")
_GIVEN_ID = re.compile(rf"[{''.join(traits.prefix for traits in ROLES.values())}][0-9]{{2,}}\Z", re.IGNORECASE)


def check_kind(text: str) -> str:
    """The agent kind as it is shown, in capitals.

    Raises:
        UsageError: Not 1 to 32 ASCII letters, digits and `_`, a letter first, or a reserved name.
    """
    if not _KIND.match(text) or text.lower() in RESERVED:
        raise UsageError(
            f"{_shown(text)} is not a usable agent kind", "a letter, then letters, digits and '_', 32 at most: claude"
        )
    return text.upper()


def check_outside_id(text: str) -> str:
    """An instance id that a person chooses for an agent of their own.

    Raises:
        UsageError: Not of the alphabet of instance ids, reserved, of the form that the hub gives itself (`w01`), or
            one that reads as a full agent id (`NATIVE-x`).
    """
    check_instance_id(text)
    hint = "a name such as frontend or docs-2"
    if text.lower() in RESERVED:
        raise UsageError(f"the instance id {text} is reserved", hint)
    if _GIVEN_ID.match(text):
        raise UsageError(f"{text} has the form of the ids that the hub gives to its own instances", hint)
    if instance_id(text) != text:
        raise UsageError(f"{text} reads as an agent id, kind and instance", f"{hint}, without a kind in capitals")
    return text


def check_role(text: str) -> str:
    """The name of a role that the hub has rights for.

    Raises:
        UsageError: There is no such role.
    """
    if text not in ROLES:
        raise UsageError(f"there is no role {_shown(text)}", f"one of {', '.join(ROLES)}")
    return text


def check_spec_id(text: object) -> str:
    """A spec id: it becomes the name of a file and of a diff.

    Raises:
        UsageError: Not 1 to 100 ASCII letters, digits, `.`, `_`, `-`, a letter or digit first, no two dots together,
            none at the end, no `.lock` at the end; or a reserved name.
    """
    is_name = isinstance(text, str) and _SPEC_ID.match(text) and not text.endswith((".", ".lock"))
    if not is_name or str(text).lower() in RESERVED:
        raise UsageError(f"{_shown(str(text))} is not a spec id", "for example spec-2026-11-20-001")
    return str(text)


def check_task_id(text: str) -> str:
    """The id of a task inside a spec.

    Raises:
        UsageError: Not of the alphabet of spec ids.
    """
    if not _SPEC_ID.match(text):
        raise UsageError(f"{_shown(text)} is not a task id", "letters, digits, '.', '_' and '-', 100 at most: task-1")
    return text


def check_word(field: str, text: str) -> str:
    """One lower-case word, such as the status of a task.

    Raises:
        UsageError: Not 1 to 40 lower-case ASCII letters, digits, `_`, `-`, a letter first.
    """
    if not _WORD.match(text):
        raise UsageError(
            f"{field}: {_shown(text)} is not a word", "lower-case letters, digits, '_' and '-', 40 at most"
        )
    return text


def is_event_pattern(text: str) -> bool:
    """Whether a subscription may name event types so: `lock:acquired`, `lock:*`, `specs.>`."""
    return _EVENT_PATTERN.match(text) is not None


def _shown(text: str) -> str:
    """As much of a name as a refusal repeats, in quotation marks."""
    return f"'{inert(text[:60])}{'…' if len(text) > 60 else ''}'"
