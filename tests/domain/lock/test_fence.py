"""Fencing at hand-in and at composition: tokens, bytes, and what was composed under a newer token (LOCK-3)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from aegis_tui.domain.core import Actor, Workspace, state_hash
from aegis_tui.domain.lock.commands import LockAcquire, LockRelease
from aegis_tui.domain.lock.fence import dropped_lines, only_written
from aegis_tui.domain.lock.fencing import piece_fences
from aegis_tui.domain.lock.region import names_of
from aegis_tui.domain.message.commands import BroadcastSend
from aegis_tui.domain.piece.commands import MergeMarkApplied, MergeMarkRejected, PieceMarkChecked
from aegis_tui.domain.piece.events import Overlapping
from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.errors import StaleToken
from tests.domain.test_core import DESIGN, Hub

TWO: dict[str, Any] = {**DESIGN, "features": [{**item, "depends_on": []} for item in DESIGN["features"]]}
ROUTES = "src/routes.py"
OLD, NEW, OTHER = "1" * 40, "2" * 40, "3" * 40


def working() -> tuple[Hub, str, str]:
    hub = Hub()
    hub.start(TWO)
    alpha, beta = sorted(hub.living("worker"))
    hub.bring_up(alpha)
    hub.bring_up(beta)
    return hub, alpha, beta


def write(hub: Hub, agent: str, new_oid: str = NEW, path: str = ROUTES) -> int:
    """Lock, write, release: what the edit tool does."""
    me = Actor(agent, "instance")
    lock = hub.send(LockAcquire(path=path), me).reply["locks"][0]
    data = {"file": path, "token": lock["token"], "base_oid": OLD, "new_oid": new_oid}
    hub.send(BroadcastSend(event="code:written", data=data), me)
    hub.send(LockRelease(lock_id=lock["lock_id"], token=lock["token"]), me)
    token = lock["token"]
    assert isinstance(token, int)
    return token


def check(hub: Hub, piece: str, head: str, **blobs: tuple[str, ...]) -> None:
    told = {ROUTES: blobs["routes"]} if "routes" in blobs else {}
    files = (f"src/{piece[0]}/x.py", ROUTES)
    hub.send(PieceMarkChecked(run="run1", piece=piece, head_oid=head, files=files, blobs=told))


def accept(hub: Hub, agent: str, head: str, token: int) -> None:
    """Hand in routes.py as it was written, and have it approved."""
    hub.submit(agent, head, (token,))
    check(hub, hub.workspace.instances.by_id[agent].piece or "", head, routes=(NEW,))
    hub.approve()


def applied(hub: Hub, piece: str, head: str, *kept: str) -> None:
    command = MergeMarkApplied(run="run1", piece=piece, head_oid=head, oid=f"m{head}", kept=kept)
    hub.send(command)


def test_a_token_that_was_never_granted_for_the_piece_is_refused_at_hand_in() -> None:
    hub, alpha, beta = working()
    for foreign in (99999, write(hub, beta)):
        with pytest.raises(StaleToken, match=f"token {foreign} was never granted for alpha"):
            hub.submit(alpha, "a1", (write(hub, alpha), foreign))
    assert hub.stands("alpha") is PieceStatus.WORKING


def test_a_token_stays_good_after_release_and_over_a_snapshot() -> None:
    hub, alpha, _ = working()
    token, me = write(hub, alpha), Actor(alpha, "instance")
    unused = hub.send(LockAcquire(path=ROUTES), me).reply["locks"][0]
    hub.send(LockRelease(lock_id=unused["lock_id"], token=unused["token"]), me)
    loaded = Workspace.load(hub.workspace.dump())
    assert state_hash(loaded) == state_hash(hub.workspace)
    hub.workspace = loaded
    assert loaded.fences.granted_to([alpha]) == {token, unused["token"]}
    accept(hub, alpha, "a1", token)
    assert hub.stands("alpha") is PieceStatus.ACCEPTED


def test_a_snapshot_from_before_the_fences_still_knows_the_tokens_written_under() -> None:
    hub, alpha, _ = working()
    token = write(hub, alpha)
    old = {name: part for name, part in hub.workspace.dump().items() if name != "fences"}
    hub.workspace = Workspace.load(old)
    accept(hub, alpha, "a1", token)
    assert hub.stands("alpha") is PieceStatus.ACCEPTED


def test_bytes_that_were_changed_after_the_lock_are_sent_back_as_stale_with_their_name() -> None:
    hub, alpha, beta = working()
    token = write(hub, alpha)
    hub.send(LockAcquire(path=ROUTES), Actor(beta, "instance"))
    hub.submit(alpha, "a1", (token,))
    check(hub, "alpha", "a1", routes=(OTHER,))
    assert hub.stands("alpha") is PieceStatus.WORKING
    feedback = hub.run.pieces["alpha"].feedback
    assert f"{ROUTES}: STALE" in feedback and f"token {token}" in feedback


def test_only_the_last_write_counts_and_a_file_may_go_by_several_ids() -> None:
    hub, alpha, _ = working()
    tokens = (write(hub, alpha, OTHER), write(hub, alpha, NEW))
    hub.submit(alpha, "a1", tokens)
    check(hub, "alpha", "a1", routes=(OTHER,))
    assert hub.stands("alpha") is PieceStatus.WORKING
    hub.submit(alpha, "a2", tokens)
    check(hub, "alpha", "a2", routes=(OTHER, NEW))
    assert hub.stands("alpha") is PieceStatus.REVIEWING


def test_pieces_that_wrote_one_after_the_other_are_composed_in_either_order_where_the_merge_keeps_both() -> None:
    hub, alpha, beta = working()
    accept(hub, alpha, "a1", write(hub, alpha))
    accept(hub, beta, "b1", write(hub, beta))
    applied(hub, "beta", "b1")
    assert hub.stands("beta") is PieceStatus.APPLIED
    assert list(piece_fences(hub.workspace, hub.run, hub.run.pieces["alpha"]).overtaken) == [ROUTES]
    applied(hub, "alpha", "a1", ROUTES)
    assert hub.stands("alpha") is PieceStatus.APPLIED


def test_a_piece_that_was_overtaken_and_is_not_known_to_keep_it_is_refused_as_stale() -> None:
    hub, alpha, beta = working()
    accept(hub, alpha, "a1", write(hub, alpha))
    newer = write(hub, beta)
    accept(hub, beta, "b1", newer)
    applied(hub, "beta", "b1")
    applied(hub, "alpha", "a1")
    assert hub.stands("alpha") is PieceStatus.WORKING and hub.run.working_oid == "mb1"
    feedback = hub.run.pieces["alpha"].feedback
    assert "STALE" in feedback and f"newer token {newer}" in feedback and beta in feedback
    accept(hub, alpha, "a2", write(hub, alpha))
    applied(hub, "alpha", "a2")
    assert hub.stands("alpha") is PieceStatus.APPLIED


def test_lines_crossed_by_a_newer_token_are_rejected_as_stale() -> None:
    hub, alpha, beta = working()
    accept(hub, alpha, "a1", write(hub, alpha))
    newer = write(hub, beta)
    accept(hub, beta, "b1", newer)
    applied(hub, "beta", "b1")
    crossing = Overlapping(a="beta", b="alpha", path=ROUTES, kind="hot", hunks=1)
    hub.send(MergeMarkRejected(run="run1", piece="alpha", head_oid="a1", overlaps=(crossing,)))
    reasons = [event.data.reason for event in hub.log if event.type == "merge:rejected"]  # type: ignore[union-attr]  # filtered by type
    assert (
        len(reasons) == 1 and f"STALE: {beta} has meanwhile written {ROUTES}" in reasons[0] and str(newer) in reasons[0]
    )
    assert hub.stands("alpha") is PieceStatus.WORKING


def test_a_content_goes_by_the_ids_of_both_hashes_and_both_line_ends() -> None:
    def oid(content: bytes, name: str = "sha1") -> str:
        return hashlib.new(name, b"blob %d\0" % len(content) + content).hexdigest()

    names = names_of(b"one\ntwo\n")
    assert {oid(b"one\ntwo\n"), oid(b"one\r\ntwo\r\n"), oid(b"one\ntwo\n", "sha256")} <= names
    assert names == names_of(b"one\r\ntwo\r\n")
    assert oid(b"one\ntwo") not in names


@pytest.mark.parametrize(
    ("handed", "expected"),
    [(b"a\nmine\nb\ntheirs\n", True), (b"a\nb\ntheirs\n", True), (b"a\nmine\nb\nsneaked\n", False)],
)
def test_what_a_rebase_puts_together_has_no_line_of_its_own(handed: bytes, expected: bool) -> None:
    assert only_written(handed, b"a\nb\ntheirs\n", [b"a\nmine\nb\n"]) is expected


def test_a_line_is_dropped_only_where_its_writer_never_had_it() -> None:
    composed = b"a\nb\ntheirs\n"
    assert dropped_lines(composed, b"a\nmine\n", [b"a\nb\n"]) == [b"theirs"]
    assert dropped_lines(composed, b"a\nmine\n", [b"a\nb\n", composed]) == []
    assert dropped_lines(composed, b"a\nb\nmine\ntheirs\n", []) == []
