"""When a lock is due for renewal, and what a renewal changes (LOCK-2)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import pytest

from aegis_tui.errors import StaleToken
from aegis_tui.ports.hub_link import LockGrant
from aegis_tui.sdk.lease import Lease, end_of


@dataclass(slots=True)
class Held(Lease):
    grant: LockGrant
    until: float


GRANT = LockGrant("l1", "a.py", 3, 300.0)


def answering(**lock: Any) -> Any:
    async def send(command_type: str, /, *, request_id: str | None = None, **fields: Any) -> dict[str, Any]:
        assert (command_type, fields["lock_id"], fields["token"]) == ("lock:renew", "l1", 3)
        return {"locks": [{"lock_id": "l1", **lock}]}

    return send


def test_a_fresh_lock_is_due_when_a_third_of_its_time_is_used() -> None:
    lease = Held(GRANT, end_of(GRANT))
    assert not lease.is_due and 299 < lease.left_s <= 300
    lease.until -= 99
    assert not lease.is_due
    late = Held(GRANT, end_of(GRANT) - 100)
    assert late.is_due and late.left_s > 199


def test_its_time_starts_again_and_may_be_another() -> None:
    lease = Held(GRANT, time.monotonic() + 10)
    asyncio.run(lease.renew(answering(expires_in_s=600.0)))
    assert lease.grant.expires_in_s == 600.0 and 599 < lease.left_s <= 600


def test_a_stronger_grant_that_came_meanwhile_stays() -> None:
    lease = Held(GRANT, end_of(GRANT))
    stronger = LockGrant("l1", "a.py", 4, 60.0)

    async def send(*_: Any, **__: Any) -> dict[str, Any]:
        lease.grant = stronger
        return {"locks": [{"lock_id": "l1", "expires_in_s": 300.0}]}

    asyncio.run(lease.renew(send))
    assert lease.grant is stronger


def test_a_lost_lock_is_said() -> None:
    async def send(*_: Any, **__: Any) -> dict[str, Any]:
        raise StaleToken("l1 is gone")

    with pytest.raises(StaleToken):
        asyncio.run(Held(GRANT, end_of(GRANT)).renew(send))
