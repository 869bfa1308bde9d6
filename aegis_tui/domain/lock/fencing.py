"""Check fencing tokens when a piece is submitted and when it is merged (LOCK-3).

Pieces are merged, not copied over each other, so a token that is older than another's is not stale by itself: two
instances that changed different lines under the same lock, one after the other, are both right in either order.
Refused are a token that nobody was granted for the piece, bytes that were not written under a lock, and a merge that
would remove lines that were merged under a newer token.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aegis_tui.domain.lock.end import REACQUIRE_HINT
from aegis_tui.domain.lock.fence import FencedWrite, PieceFences
from aegis_tui.domain.piece.events import Overlapping
from aegis_tui.domain.piece.model import Piece
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import StaleToken

_WAY_OUT = (
    "Acquire its lock and make the change while you hold it, with any tool or command; or undo it with git checkout"
)


def check_tokens(workspace: Workspace, piece: Piece, tokens: Iterable[int]) -> None:
    """Return if each token was granted to an instance that works, or worked, on the piece; no tokens pass.

    A token stays valid after its lock was released.

    Raises:
        StaleToken: One was not; the error lists them.
    """
    unknown = sorted(set(tokens) - workspace.fences.granted_to(piece.agents))
    if unknown:
        named = ", ".join(map(str, unknown))
        raise StaleToken(f"token {named} was never granted for {piece.name}", REACQUIRE_HINT, tokens=unknown)


def _writes(workspace: Workspace, run: Run, piece: Piece, path: str) -> list[FencedWrite]:
    every = workspace.fences.writes_to(path, ignore_case=run.facts.ignore_case)
    return [item for item in every if item.agent_id in piece.agents]


def fence_finding(
    workspace: Workspace, run: Run, piece: Piece, path: str, *, answers: Sequence[str] | None
) -> Finding | None:
    """Return what is wrong with a submitted file that needs a lock; None when nothing is.

    It must have been written under one of the tokens of the submission, and be as the last write under a lock by the
    piece's instances left it.

    Args:
        workspace: State after the last logged event.
        run: The run of the piece.
        piece: The submitted piece.
        path: The file.
        answers: The blob ids that the submitted bytes count as; the id of that last write must be among them. None when
            the file is deleted.
    """
    mine = _writes(workspace, run, piece, path)
    if not {item.token for item in mine} & set(piece.tokens):
        msg = f"changed without a lock. {_WAY_OUT}"
        return Finding(type="lock", file=path, msg=msg)
    last = mine[-1]
    if answers is None or last.new_oid in answers:
        return None
    msg = (
        f"STALE: the file is not as {last.agent_id} wrote it with token {last.token}: it was changed "
        f"without a lock afterwards. {_WAY_OUT}"
    )
    return Finding(type="lock", file=path, msg=msg)


def piece_fences(workspace: Workspace, run: Run, piece: Piece) -> PieceFences:
    """Return the writes that a piece's instances made under locks, and what overtook them.

    Empty parts if there are none.

    `writes` has them by file. `overtaken` has for a file the newest write of another piece that is merged and came
    after them. `forks` are the commits that the instances started from.
    """
    paths = dict.fromkeys(item.file for item in workspace.fences.writes if item.agent_id in piece.agents)
    instances = [workspace.get_instance(agent) for agent in piece.agents]
    return PieceFences(
        writes={path: tuple(_writes(workspace, run, piece, path)) for path in paths},
        overtaken={path: by for path in paths if (by := _overtaker(workspace, run, piece, path)) is not None},
        forks=tuple(dict.fromkeys(item.base_oid for item in instances if item and item.base_oid)),
    )


def _overtaker(workspace: Workspace, run: Run, piece: Piece, path: str) -> FencedWrite | None:
    """Return the newest recorded write to the file by an instance of another, merged piece that submitted this file.

    None unless it came after the last write of this piece's own instances.
    """
    composed = {
        agent: other
        for other in run.pieces.values()
        if other.name != piece.name and other.applied_head is not None
        for agent in other.agents
    }
    newest: FencedWrite | None = None
    for item in workspace.fences.writes_to(path, ignore_case=run.facts.ignore_case):
        if item.agent_id in piece.agents:
            newest = None
        elif item.agent_id in composed and path in composed[item.agent_id].files:
            newest = item
    return newest


def stale_at_composition(workspace: Workspace, run: Run, piece: Piece, kept: Iterable[str]) -> list[Finding]:
    """Return a finding for each file of an accepted piece whose token is stale now; empty if there is none.

    That is a file that another merged piece wrote later under a newer token, and that is not in `kept`: the files in
    which the merge is known to keep the lines that the other piece wrote.
    """
    overtaken = piece_fences(workspace, run, piece).overtaken
    known = set(kept)
    return [overtaken_finding(path, by) for path, by in overtaken.items() if path in piece.files and path not in known]


def overtaken_finding(path: str, by: FencedWrite) -> Finding:
    """Return the finding for a file whose merge would remove lines that were merged under a newer token.

    Args:
        path: The file.
        by: The newer write, by an instance of another piece.
    """
    msg = (
        f"STALE: {by.agent_id} has meanwhile written this file with the newer token {by.token}; that write is merged, "
        "and this one would remove its lines. Rebase, then make both changes while you hold the lock of the file"
    )
    return Finding(type="lock", file=path, msg=msg)


def stale_crossings(
    workspace: Workspace, run: Run, piece: Piece, overlaps: Iterable[Overlapping]
) -> list[tuple[str, FencedWrite]]:
    """Return the overlapping files that another merged piece wrote later under a newer token, each with that write.

    They are sorted by path, each once; empty if there is none.

    Args:
        workspace: State after the last logged event.
        run: The run of the piece.
        piece: The piece whose writes came first.
        overlaps: Files that the piece and another have both changed.
    """
    overtaken = piece_fences(workspace, run, piece).overtaken
    return [(path, overtaken[path]) for path in sorted({item.path for item in overlaps}) if path in overtaken]
