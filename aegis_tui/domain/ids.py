"""Identity: instance ids, agent ids, roles, branch and ref names (contract 1, 2)."""

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
"""The agent id of the hub itself: effects, expiries, composition."""

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


def agent_id(kind: str, instance_id: str) -> str:
    """The full form that goes over the wire, `NATIVE-w01` (contract 2)."""
    return f"{kind.upper()}-{instance_id}"


def instance_id(name: str) -> str:
    """The short form of either form: `w01` for `NATIVE-w01` and for `w01`."""
    head, dash, tail = name.partition("-")
    return tail if dash and head.isupper() and tail else name


def check_instance_id(text: str) -> str:
    """Return `text` if it is safe as a branch, folder and window name.

    Raises:
        UsageError: It is not.
    """
    if not _SAFE_ID.match(text):
        raise UsageError(f"{text!r} is not a usable instance id", "letters, digits, '-' and '_', 64 at most")
    return text


def next_instance_id(role: str, number: int) -> str:
    """The id of the `number`-th instance of a role, counted from 1: `w01`."""
    return f"{ROLES[role].prefix}{number:02d}"


def branch_of(run: str, instance: str) -> str:
    """The branch an instance commits on (contract 1)."""
    return f"aegis/{run}/{instance}"


def working_ref(run: str) -> str:
    """The full ref that accepted pieces are composed on (contract 1, 4)."""
    return f"refs/heads/aegis/{run}/integration"


def result_branch(run: str) -> str:
    """The branch that carries the one squash commit (contract 1, 4)."""
    return f"aegis/{run}/result"


def hash_token(token: str) -> str:
    """What is stored of a token (contract 2: only hashes are stored)."""
    return hashlib.sha256(token.encode()).hexdigest()
