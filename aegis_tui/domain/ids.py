"""Instance ids, agent ids, and the names of branches and refs (contract 1, 2)."""

from __future__ import annotations

import hashlib
import re

from aegis_tui.domain.role import ROLES
from aegis_tui.errors import UsageError

NATIVE = "native"
"""The kind of the built-in agent."""

PERSON = "person"
"""The agent id of the person at the keyboard."""

HUB = "hub"
"""The agent id of the hub itself, for example in events about effects, expiries and merges."""

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


def agent_type(kind: str) -> str:
    """Return the first part of an agent id for a kind, up to its first `-`, in upper case: CLAUDE for claude-code."""
    return kind.partition("-")[0].upper()


def agent_id(kind: str, instance_id: str) -> str:
    """Return the agent id of an instance, such as `NATIVE-w01`: its full form in all messages (contract 2)."""
    return f"{agent_type(kind)}-{instance_id}"


def instance_id(name: str) -> str:
    """Return what follows the first `-` of an agent id, such as `w01` for `NATIVE-w01`; any other text unchanged.

    It counts as an agent id if the part before the `-` is in upper case.
    """
    head, dash, tail = name.partition("-")
    return tail if dash and head.isupper() and tail else name


def check_instance_id(text: str) -> str:
    """Return `text` if it is safe as the name of a branch, a folder and a window.

    Raises:
        UsageError: It is not 1 to 64 ASCII letters, digits, `-` and `_`, starting with a letter or digit.
    """
    if not _SAFE_ID.match(text):
        raise UsageError(f"{text!r} is not a usable instance id", "letters, digits, '-' and '_', 64 at most")
    return text


def next_instance_id(role: str, number: int) -> str:
    """Return the id of the `number`-th instance of a role: the role's prefix and two digits or more, such as `w01`.

    Raises:
        KeyError: There is no such role.
    """
    return f"{ROLES[role].prefix}{number:02d}"


def branch_of(run: str, instance: str) -> str:
    """Return the branch that an instance commits on in a run: `aegis/RUN/INSTANCE` (contract 1).

    Args:
        run: The run's id.
        instance: The instance's short id, such as `w01`.
    """
    return f"aegis/{run}/{instance}"


def working_ref(run: str) -> str:
    """Return the full name of the ref onto which accepted pieces are merged: `refs/heads/aegis/RUN/integration`."""
    return f"refs/heads/aegis/{run}/integration"


def result_branch(run: str) -> str:
    """Return the branch that the run's one squash commit is on: `aegis/RUN/result` (contract 1, 4)."""
    return f"aegis/{run}/result"


def hash_token(token: str) -> str:
    """Return the SHA-256 hash of a token in hexadecimal digits; only this is stored (contract 2)."""
    return hashlib.sha256(token.encode()).hexdigest()
