"""What a new holder of a lock is told of earlier holders (LOCK-3)."""

from __future__ import annotations

from aegis_tui.domain.core import Actor
from aegis_tui.domain.lock.commands import LockNews, OtherCopy
from aegis_tui.domain.lock.news import open_writes
from tests.domain.lock.test_fence import ROUTES, accept, applied, working, write


def test_writes_of_others_are_told_until_their_piece_is_merged() -> None:
    hub, alpha, beta = working()
    token = write(hub, alpha)
    assert open_writes(hub.workspace, alpha, ROUTES) == {}
    assert open_writes(hub.workspace, beta, "src/b/x.py") == {}
    copies = (
        OtherCopy(agent_id=alpha, change="changed", diff="+x"),
        OtherCopy(agent_id="NATIVE-w99", change="deleted"),
    )
    told = hub.send(LockNews(path=ROUTES, copies=copies), Actor(beta, "instance")).reply
    entry = {"agent_id": alpha, "piece": "alpha", "token": token, "change": "changed", "diff": "+x"}
    assert told == {"writes": [entry], "merged": []}
    accept(hub, alpha, "a1", token)
    applied(hub, "alpha", "a1")
    assert hub.send(LockNews(path=ROUTES), Actor(beta, "instance")).reply == {"writes": [], "merged": ["alpha"]}


def test_a_copy_that_was_not_read_is_named_without_a_diff() -> None:
    hub, alpha, beta = working()
    write(hub, alpha)
    told = hub.send(LockNews(path=ROUTES), Actor(beta, "instance")).reply["writes"][0]
    assert (told["change"], told["diff"]) == ("unknown", "")
