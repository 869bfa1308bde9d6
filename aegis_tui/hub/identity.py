"""Find out who a token belongs to (contract 2). The fields of a message never decide who sent it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.domain.ids import hash_token
from aegis_tui.domain.instance.model import Instance
from aegis_tui.hub.engine import Engine

TOKEN_BYTES = 32
MAX_TOKEN_CHARACTERS = 512


def new_token() -> str:
    """Return a new random token of 64 hexadecimal digits (32 bytes)."""
    return secrets.token_hex(TOKEN_BYTES)


@dataclass(frozen=True, slots=True)
class Pass:
    """The result of checking a valid token, without the token: enough to check later whether it is still valid."""

    actor: Actor
    token_hash: str | None = None
    session: str | None = None


class Identity:
    """Resolves tokens of the person, of living instances (by hash), and of agents that a person connected by hand.

    The token of an agent that was connected by hand is derived from its session with a key of the hub, so that it need
    not be stored and becomes invalid with the session.
    """

    def __init__(self, engine: Engine, person_token: str, joining_key: bytes) -> None:
        self._engine = engine
        self._person_hash = hash_token(person_token)
        self._joining_key = joining_key

    def resolve(self, token: str | None) -> Actor | None:
        """Return the actor that a token belongs to: the person or a living instance.

        None for no token, a wrong one, or that of an instance that has ended, is lost or is being stopped.
        """
        admitted = self.admit(token)
        return admitted.actor if admitted is not None else None

    def is_current(self, admitted: Pass | None) -> bool:
        """Return whether `admit` would still accept the token of this pass, without comparing tokens; False for None.

        The person's stays valid; that of an instance while it lives and, if it was connected by hand, in the same
        session.
        """
        if admitted is None or admitted.actor is THE_PERSON:
            return admitted is not None
        instance: Instance | None = self._engine.peek(lambda workspace: workspace.get_instance(admitted.actor.agent_id))
        if instance is None or not instance.is_alive:
            return False
        if admitted.token_hash is not None:
            return instance.token_hash == admitted.token_hash
        return instance.run is None and instance.session == admitted.session

    def admit(self, token: str | None) -> Pass | None:
        """Check a token for a connection that stays open; `is_current` can later check cheaply if it is still valid.

        Returns:
            Who it belongs to; None for no token, a wrong one, or that of an instance that has ended, is lost or is
            being stopped.
        """
        if not token or len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            return None
        hashed = hash_token(token)
        if hmac.compare_digest(hashed, self._person_hash):
            return Pass(THE_PERSON)
        instance = self._engine.peek(lambda workspace: workspace.instances.by_token_hash(hashed))
        if instance is not None and hmac.compare_digest(instance.token_hash or "", hashed):
            return Pass(Actor(instance.agent_id, "instance"), token_hash=hashed)
        return self._admit_joined(token)

    def joining_token(self, agent_id: str, session: str) -> str:
        """Return the token of an agent that a person connected by hand; it is valid only for this session."""
        return joining_token(self._joining_key, agent_id, session)

    def _admit_joined(self, token: str) -> Pass | None:
        agent_id = token.rpartition(".")[0]
        instance: Instance | None = self._engine.peek(lambda workspace: workspace.get_instance(agent_id))
        if instance is None or not instance.is_alive or instance.run is not None or instance.session is None:
            return None
        is_right = hmac.compare_digest(token, self.joining_token(agent_id, instance.session))
        return Pass(Actor(agent_id, "instance"), session=instance.session) if is_right else None


def joining_token(joining_key: bytes, agent_id: str, session: str) -> str:
    """Return the token of an agent that a person connected by hand: its id and an HMAC-SHA256 of id and session.

    It is valid only while the agent has this session.

    Args:
        joining_key: The secret key of the hub.
        agent_id: The agent.
        session: The id of its session.
    """
    proof = hmac.new(joining_key, f"{agent_id}\n{session}".encode(), hashlib.sha256).hexdigest()
    return f"{agent_id}.{proof}"


def bearer(header: str | None) -> str | None:
    """Return the token in an `Authorization: Bearer` header; None without a header or token, and for other schemes."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
