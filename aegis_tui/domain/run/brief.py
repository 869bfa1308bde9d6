"""Briefs: the texts in which the hub describes a task to an instance.

They are made from the state alone, hold no time, and do not repeat what `scope/text.py` tells all instances of the run
(LLM-3). What all instances with the same kind of task are told is apart, in `guidance_text`, because it comes before
what is an instance's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aegis_tui.domain.count import counted
from aegis_tui.domain.inert import inert
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.merge.generated import is_generating
from aegis_tui.domain.merge.lock_file import is_lock_file, regenerating
from aegis_tui.domain.piece.events import Overlapping
from aegis_tui.domain.piece.model import Piece
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.review.comment import LineComment
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.review.lens import GENERAL
from aegis_tui.domain.review.model import Review
from aegis_tui.domain.run.events import COMPOSITION, FOUNDATION
from aegis_tui.domain.run.model import Run

OUTPUT_LIMIT = 6_000
"""How many characters at the end of a failing command's output a worker gets."""

_OLDER_LIMIT = 1_500


def _globs(globs: Iterable[str]) -> str:
    return ", ".join(globs) or "nothing"


def _with_note(run: Run, role: str, text: str) -> str:
    note = run.options.role_notes.get(role, "")
    return f"{text}\n\n{note}" if note else text


def design_brief(run: Run) -> str:
    """Return the Commander's task when a run has a goal but no design: to propose one. The goal is in it."""
    return _with_note(
        run,
        "commander",
        f"Goal: {run.goal}\n\nRead the repository, then propose a design with the propose_design tool: features with "
        "disjoint partitions (path globs), dependencies between them where one needs the other, under `shared` the "
        "paths that stay read-only for all, under `joint` the paths that several features must change, and the QA "
        "commands. Prefer few features that can be built at the same time."
        + (f"\n\n{run.facts.layout}" if run.facts.layout else ""),
    )


def work_brief(run: Run, piece: Piece, *, rescue_ref: str | None) -> str:
    """Return the task of a worker for its feature, or of the Commander for the foundation; without a design, the goal.

    Pieces that it depends on and the feedback on an earlier submission are named.

    Args:
        run: The run.
        piece: The piece to build.
        rescue_ref: The ref with the saved work of an earlier instance; None when there is none.

    Raises:
        StopIteration: The design has no feature of the piece's name.
    """
    design = run.design
    if design is None:
        return run.goal
    if piece.name == FOUNDATION and design.foundation:
        title, body = "The foundation", design.foundation.brief
    else:
        feature = next(item for item in design.features if item.id == piece.name)
        title, body = feature.title, feature.brief
    parts = [body]
    if piece.name == FOUNDATION:
        parts.insert(0, run.options.role_notes.get("commander", ""))
    if piece.depends_on:
        parts.append(f"Already in your worktree: {', '.join(piece.depends_on)}.")
    if piece.traces:
        parts.append(traces_text(piece))
    if piece.feedback and not any(piece.feedback.startswith(trace.text) for trace in piece.traces):
        said = "" if piece.traces else "An earlier submission was sent back:\n"
        parts.append(f"{said}{piece.feedback}")
    if rescue_ref:
        parts.append(
            f"An earlier instance was lost. What it had written is saved in the commit {rescue_ref}: look at it with "
            f"`git show {rescue_ref}` and reuse what is good."
        )
    text = "\n\n".join(part for part in (title, *parts) if part)
    return text if piece.name == FOUNDATION else _with_note(run, "worker", text)


def traces_text(piece: Piece) -> str:
    """Return what is known of a piece's earlier submissions: of each its commit, and why it was sent back (FLOW-10).

    The newest is told in full, of older ones the beginning. Empty if none was sent back.
    """
    if not piece.traces:
        return ""
    by = f" {counted(len(piece.handed_over) + 1, 'instance')} worked on it." if piece.handed_over else ""
    first = (
        f"{counted(len(piece.traces), 'submission')} of this task {'was' if len(piece.traces) == 1 else 'were'} sent "
        f"back.{by} Your worktree holds the last one. What was tried before did not help, so find the cause before you "
        "change something. Oldest first:"
    )
    sections = []
    for number, trace in enumerate(piece.traces, 1):
        limit = OUTPUT_LIMIT if trace is piece.traces[-1] else _OLDER_LIMIT
        cut = "\n[...]" if len(trace.text) > limit else ""
        where = f"commit {trace.head_oid}" if trace.head_oid else "no commit"
        sections.append(f"## {number}. {where}, by {trace.agent_id or 'nobody'}\n{trace.text[:limit]}{cut}")
    return "\n\n".join([first, *sections])


def scout_brief(run: Run, piece: Piece) -> str:
    """Return the task of a scout that explores for the worker of a piece; without a design it describes the goal."""
    design = run.design
    feature = next((item for item in design.features if item.id == piece.name), None) if design else None
    task = f"{feature.title}\n{feature.brief}" if feature else run.goal
    return _with_note(run, "scout", f"Explore for {piece.name}, which another instance is building now:\n{task}")


_REVIEW = """Judge the change against goal, task and acceptance criteria, then security and quality. Your worktree holds
the result. Give your verdict by tool: mark each criterion as pass or fail, with evidence; approve only if all pass."""

_SCOUT = """Find what the instance that you explore for needs to know but will probably not look up: callers of
what it changes, conventions of the surrounding code, tests that cover it. Report in at most thirty lines, with paths
and line numbers."""


def guidance_text(run: Run, instance: Instance) -> str:
    """Return what all instances with the same kind of task are told before their briefs; empty if there is nothing.

    Args:
        run: The run.
        instance: One of its instances; only its kind of task counts, and for a reviewer the lens of its review.
    """
    if instance.task == "scout":
        return _SCOUT
    review = run.reviews.get(instance.review_id or "")
    if review is None:
        return ""
    lens = next((item for item in run.facts.lenses if item.name == review.lens), GENERAL)
    checklist = f"\n\nYour lens is {lens.name} (other reviewers have other lenses):\n{lens.brief}" if lens.brief else ""
    return f"{_REVIEW}{checklist}"


def review_brief(run: Run, review: Review) -> str:
    """Return the task of a reviewer: the author's task, and where to look; never what the author says about it.

    At most 200 changed files are named.
    """
    piece, design = review.piece, run.design
    parts = [f"Review {'the merged result of all pieces' if piece == COMPOSITION else piece}."]
    if design is not None:
        feature = next((item for item in design.features if item.id == piece), None)
        if feature is not None:
            parts.append(f"Feature: {feature.title}\n{feature.brief}\nPartition: {_globs(feature.partition)}")
        elif piece == FOUNDATION and design.foundation:
            parts.append(f"Foundation: {design.foundation.brief}")
    if review.part:
        parts.append(
            "The work is not finished: judge only what is there, not what is missing. Reject to suggest changes now."
        )
    listed = "\n".join(f"- {name}" for name in review.files[:200])
    parts.append(f"The change is `git diff {review.base_oid} HEAD`.\nChanged files:\n{listed}")
    return _with_note(run, "reviewer", "\n\n".join(parts))


def findings_text(findings: Sequence[Finding]) -> str:
    """Return the findings as a list, each with its suggestion below it if there is one; empty for none."""
    return "\n".join(_finding_text(item) for item in findings)


def _finding_text(item: Finding) -> str:
    span = "" if not item.lines else f":{item.lines[0]}" + (f"-{item.lines[1]}" * (item.lines[0] != item.lines[1]))
    notes = ", ".join(part for part in (item.severity, item.rule) if part)
    suggestion = f"\n  Suggestion: {item.suggestion}" if item.suggestion else ""
    return f"- {item.file or 'general'}{span}: {item.msg} ({notes}){suggestion}"


def comments_text(piece: str, comments: Sequence[LineComment]) -> str:
    """Return a person's comments on a piece as one prompt to its agent, each with its place and its line."""
    parts = [f"The person has read {piece} and comments on these lines:"]
    for item in comments:
        quote = f"\n  > {inert(item.quote)}" if item.quote.strip() else ""
        parts.append(f"- {item.file}:{item.line}{quote}\n  " + "\n  ".join(item.text.strip().splitlines()))
    parts.append("Change what each comment asks for, or say why not. Then report done again.")
    return "\n\n".join(parts)


def rejected_brief(piece: str, findings: Sequence[Finding], *, by: str) -> str:
    """Return the message to a worker whose submission is sent back.

    Args:
        piece: The name of the piece.
        findings: What is wrong with it.
        by: Who sends it back.
    """
    return (
        f"{piece} was sent back by {by}:\n{findings_text(findings)}\n\n"
        "Fix this in your worktree, then report done again."
    )


def crossing_note(run: Run, overlap: Overlapping, other: str, rival: str | None) -> str:
    """Return the note to a worker whose present work conflicts with that of another piece.

    Args:
        run: The run.
        overlap: The conflict; its content is not quoted.
        other: The name of the other piece.
        rival: The agent id of its worker; None if the piece is merged already.
    """
    what = f"the same lines as you ({counted(overlap.hunks, 'place')})" if overlap.hunks else "this file as you do"
    if is_lock_file(overlap.path):
        what += f"; {regenerating(overlap.path)}"
    elif is_generating(overlap.reason):
        what += f"; {overlap.reason}"
    if rival is None:
        branch = f"aegis/{run.run}/integration"
        done = f"{overlap.path}: {other}, which is merged, has changed {what}"
        return f"{done}. Commit your work, then run `git rebase {branch}`."
    return (
        f"{overlap.path}: {other} ({rival}) is changing {what}. Continue with your task. If you can send messages, "
        f"agree with {rival} who makes this change: the piece that is merged second has to be rebased."
    )


def _why(item: Overlapping) -> str:
    return f", {item.reason}" if item.reason and item.reason != item.text else ""


def rebase_brief(run: Run, piece: str, overlaps: Sequence[Overlapping]) -> str:
    """Return the message to a worker whose submission conflicts with work that is already merged.

    Args:
        run: The run.
        piece: The name of the piece.
        overlaps: The conflicts; each path is named, with the other piece and its text.
    """
    branch = f"aegis/{run.run}/integration"
    listed = "\n\n".join(
        f"{item.path} (also changed by {item.a if item.b == piece else item.b}){_why(item)}:\n{item.text}".rstrip()
        for item in overlaps
    )
    return (
        f"Your submission of {piece} conflicts with work that is already merged. Please rebase: run `git rebase "
        f"{branch}` (the name is also in $AEGIS_INTEGRATION_REF), resolve each conflict so that both changes stay, "
        "`git add` the files, `GIT_EDITOR=true git rebase --continue`, run your tests, then report done again.\n\n"
        f"Conflicts:\n{listed}"
    )


def qa_brief(run: Run, piece: str, checks: Sequence[QaCheck]) -> str:
    """Return the message to a worker when QA of the merged tree fails, with each check that closes the gate.

    Of each it has the command, the end of the output and the new failures.

    Args:
        run: The run.
        piece: The name of the worker's piece.
        checks: All checks; those that are `ok` are left out.
    """
    parts = [
        f"QA failed on the merged tree, and {piece} may be the cause. First get the merged state: "
        f"`git rebase aegis/{run.run}/integration` (also in $AEGIS_INTEGRATION_REF). Then fix the failures inside "
        "your partition and report done again."
    ]
    return "\n\n".join([*parts, *_failing(checks)])


def piece_qa_brief(run: Run, piece: str, checks: Sequence[QaCheck]) -> str:
    """Return the message to a worker whose submission fails its own checks when it is merged (FLOW-7).

    Of each check it has the command, the end of the output and the new failures.

    Args:
        run: The run.
        piece: The name of the piece.
        checks: The checks that object to it.
    """
    first = (
        f"QA failed on {piece} merged with what is merged already, so it is not done. First get the merged state: "
        f"`git rebase aegis/{run.run}/integration` (also in $AEGIS_INTEGRATION_REF). Then fix the failures inside your "
        "partition and report done again. If only a piece that is not merged yet can repair this, report done again "
        "without a change."
    )
    return "\n\n".join([first, *_failing(checks)])


def broken_by_brief(run: Run, piece: str, *, by: str, trace: str) -> str:
    """Return the message to the worker of a merged piece in whose files the checks fail since another one was merged.

    Args:
        run: The run.
        piece: The name of its piece.
        by: The other piece.
        trace: The failing commands with the ends of their outputs.
    """
    return (
        f"QA failed on the merged tree since {by} was merged, in files of {piece}. First get the merged state: "
        f"`git rebase aegis/{run.run}/integration` (also in $AEGIS_INTEGRATION_REF). Then fix the failures inside your "
        f"partition and report done again.\n\n{trace}"
    )


def _failing(checks: Sequence[QaCheck]) -> list[str]:
    parts = []
    for check in checks:
        if not check.ok:
            new = "\n".join(f"- {name}" for name in check.new_failures)
            parts.append(f"$ {check.command}\n{check.output_tail[-OUTPUT_LIMIT:]}\nNew failures:\n{new}")
    return parts
