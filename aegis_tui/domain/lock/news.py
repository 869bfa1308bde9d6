"""What a new holder of a lock should know: how others changed the file under it before (LOCK-3).

Each instance writes in its own worktree, so the file there does not show what earlier holders of its lock wrote in
theirs. It does once their pieces are merged and the worktree has got the integration branch.
"""

from __future__ import annotations

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.lock.commands import LockNews
from aegis_tui.domain.lock.fence import FencedWrite
from aegis_tui.domain.piece.model import Piece, PieceStatus
from aegis_tui.domain.wire.reply import LockNewsReply, OtherWriteFields
from aegis_tui.domain.workspace import Workspace

_GONE = frozenset({PieceStatus.APPLIED, PieceStatus.LEFT_OUT})


def open_writes(workspace: Workspace, agent_id: str, path: str) -> dict[str, FencedWrite]:
    """Return the newest write to a file under its lock by each other instance whose work is not merged yet, by its id.

    Those are instances that build a piece of the current run, each the last one of its piece, in another worktree.
    Empty if this instance may not write the file, or not under a lock.

    Args:
        workspace: State after the last logged event.
        agent_id: The instance that wants to know.
        path: The file.
    """
    run = workspace.runs.current()
    if run is None or not run.is_open or not _is_joint(workspace, agent_id, path):
        return {}
    open_agents = {
        piece.agents[-1]
        for piece in run.pieces.values()
        if piece.agents and piece.status not in _GONE and agent_id not in piece.agents
    }
    newest: dict[str, FencedWrite] = {}
    for item in workspace.fences.writes_to(path, ignore_case=run.facts.ignore_case):
        if item.agent_id in open_agents:
            newest[item.agent_id] = item
    return newest


def _is_joint(workspace: Workspace, agent_id: str, path: str) -> bool:
    verdict = workspace.partitions.verdict(agent_id, path)
    return verdict.allowed and verdict.needs_lock


def lock_news(workspace: Workspace, command: LockNews, actor: Actor, request_id: str) -> Decision:
    """Return what other instances wrote to a file, oldest first, and the merged pieces that changed it; no events.

    Both are empty where the sender needs no lock for the file.
    """
    copies = {item.agent_id: item for item in command.copies}
    writes: list[OtherWriteFields] = []
    for item in sorted(open_writes(workspace, actor.agent_id, command.path).values(), key=lambda item: item.seq):
        copy, instance = copies.get(item.agent_id), workspace.get_instance(item.agent_id)
        writes.append(
            {
                "agent_id": item.agent_id,
                "piece": (instance.piece if instance else None) or "",
                "token": item.token,
                "change": copy.change if copy else "unknown",
                "diff": copy.diff if copy else "",
            }
        )
    merged = [piece.name for piece in _merged(workspace, actor.agent_id, command.path)]
    return Decision([], LockNewsReply(writes=writes, merged=merged))


def _merged(workspace: Workspace, agent_id: str, path: str) -> list[Piece]:
    run = workspace.runs.current()
    if run is None or not _is_joint(workspace, agent_id, path):
        return []
    return [piece for piece in run.pieces.values() if piece.applied_head and path in piece.files]
