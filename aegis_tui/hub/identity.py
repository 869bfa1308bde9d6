"""Who a token belongs to (contract 2). The answer never depends on what a message says about itself."""

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
    """A fresh token: 32 random bytes in hex."""
    return secrets.token_hex(TOKEN_BYTES)


@dataclass(frozen=True, slots=True)
class Pass:
    """A token that was found good, without the token: enough to ask later whether it still is."""

    actor: Actor
    token_hash: str | None = None
    session: str | None = None


class Identity:
    """Resolves tokens: the person's own, those of living instances by their hash, those of agents that joined by hand.

    An agent that a person starts by hand gets a token that is derived from its session by a key of the hub, so that
    nothing of it is stored and it ends with the session.
    """

    def __init__(self, engine: Engine, person_token: str, joining_key: bytes) -> None:
        self._engine = engine
        self._person_hash = hash_token(person_token)
        self._joining_key = joining_key

    def resolve(self, token: str | None) -> Actor | None:
        """The actor a token stands for; None for no token, a wrong one, and that of an instance that is gone."""
        found = self.admit(token)
        return found.actor if found is not None else None

    def is_current(self, admitted: Pass | None) -> bool:
        """Whether `admit` would still let that token in."""
        if admitted is None or admitted.actor is THE_PERSON:
            return admitted is not None
        instance: Instance | None = self._engine.peek(lambda workspace: workspace.get_instance(admitted.actor.agent_id))
        if instance is None or not instance.is_alive:
            return False
        if admitted.token_hash is not None:
            return instance.token_hash == admitted.token_hash
        return instance.run is None and instance.session == admitted.session

    def admit(self, token: str | None) -> Pass | None:
        """As `resolve`, for a connection that stays: `is_current` costs less than to resolve its token each time."""
        if not token or len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            return None
        found = hash_token(token)
        if hmac.compare_digest(found, self._person_hash):
            return Pass(THE_PERSON)
        instance = self._engine.peek(lambda workspace: workspace.instances.by_token_hash(found))
        if instance is not None and hmac.compare_digest(instance.token_hash or "", found):
            return Pass(Actor(instance.agent_id, "instance"), token_hash=found)
        return self._admit_joined(token)

    def joining_token(self, agent_id: str, session: str) -> str:
        """The token of an agent that a person started by hand, good for this session only."""
        proof = hmac.new(self._joining_key, f"{agent_id}\n{session}".encode(), hashlib.sha256).hexdigest()
        return f"{agent_id}.{proof}"

    def _admit_joined(self, token: str) -> Pass | None:
        agent_id = token.rpartition(".")[0]
        instance: Instance | None = self._engine.peek(lambda workspace: workspace.get_instance(agent_id))
        if instance is None or not instance.is_alive or instance.run is not None or instance.session is None:
            return None
        is_right = hmac.compare_digest(token, self.joining_token(agent_id, instance.session))
        return Pass(Actor(agent_id, "instance"), session=instance.session) if is_right else None


def bearer(header: str | None) -> str | None:
    """The token of an `Authorization: Bearer` header, or None."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
