"""What handlers receive and return; no sockets here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shop.errors import ShopError
from shop.store import Store


@dataclass(frozen=True)
class Request:
    """One request, already taken apart."""

    store: Store
    params: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A required, non-empty text of the body."""
        value = self.body.get(name)
        if not isinstance(value, str) or not value:
            raise ShopError(f"{name} is missing")
        return value


@dataclass(frozen=True)
class Response:
    """What goes back, as JSON."""

    body: Any
    status: int = 200


Handler = Callable[[Request], Response]
