"""One deliberate mistake for each invariant of the coordination core, and the tests that must notice it."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from scripts.mutants.tree import Tree, Verdict, tree_copy

DEADLINE_S = 180.0
_RULES = "aegis_tui/domain/lock/grant.py"
_END = "aegis_tui/domain/lock/end.py"
_MOVES = "aegis_tui/domain/lock/moves.py"
_ENGINE = "aegis_tui/hub/engine.py"
_FANOUT = "aegis_tui/hub/fanout.py"
_LOG = "aegis_tui/adapters/store/sqlite_log.py"
_LOCK_TESTS = ("tests/domain/lock/test_lock.py", "tests/domain/lock/test_lock_model.py")
_SOAK_TESTS = ("tests/soak/test_kill_loop.py",)
_ENGINE_TESTS = ("tests/hub/test_engine.py",)
_LOG_TESTS = ("tests/adapters/store/test_sqlite_log.py", "tests/adapters/store/test_answers.py")
_FANOUT_TESTS = ("tests/hub/test_fanout.py",)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake.

    Attributes:
        name: Short name.
        breaks: The invariant that it breaks.
        file: Relative to the root.
        old: Stands in the file exactly once.
        new: Stands there instead.
        tests: At least one of these must fail.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "no-recheck-at-grant",
        "a waiter that is gone is never granted a lock",
        _RULES,
        "        if not alive(wait.agent_id):",
        "        if False:",
        _LOCK_TESTS,
    ),
    Mutant(
        "lapsed-wait-granted",
        "a wait that has run out is never granted",
        _RULES,
        "        elif lapsed(wait.agent_id, wait.request_id):",
        "        elif False:",
        _LOCK_TESTS,
    ),
    Mutant(
        "token-at-least",
        "only the very token of a lock releases or renews it",
        _END,
        "token is None or lock.token == token]",
        "token is None or lock.token >= token]",
        _LOCK_TESTS,
    ),
    Mutant(
        "release-without-compare",
        "a stale token releases nothing",
        _END,
        "[lock for lock in own if token is None or lock.token == token]",
        "own",
        _LOCK_TESTS,
    ),
    Mutant(
        "expiry-without-token",
        "an expiry ends only the lock it was armed for",
        _END,
        "[] if lock is None or lock.token != token else",
        "[] if lock is None else",
        _LOCK_TESTS,
    ),
    Mutant(
        "no-queue-ahead-edge",
        "a cycle through the queue is a deadlock too",
        "aegis_tui/domain/lock/cycle.py",
        "    blockers |= {other.agent_id for wait in own for other in table.waits_ahead_of(wait, skip=known)}\n",
        "",
        _LOCK_TESTS,
    ),
    Mutant(
        "overtaking",
        "who came first is granted first",
        "aegis_tui/domain/lock/wait.py",
        "(theirs is mine and other.order < self.order)",
        "False",
        _LOCK_TESTS,
    ),
    Mutant(
        "shared-beside-exclusive",
        "nobody else holds anything beside an EXCLUSIVE lock",
        "aegis_tui/domain/lock/model.py",
        "LockMode.EXCLUSIVE: frozenset[LockMode](),",
        "LockMode.EXCLUSIVE: frozenset({LockMode.REVIEW}),",
        _LOCK_TESTS,
    ),
    Mutant(
        "stale-write-accepted",
        "a write under a superseded token is refused",
        _END,
        "and lock.token == token and not lock.stale:",
        "and lock.token >= token and not lock.stale:",
        (*_LOCK_TESTS, "tests/domain/test_core.py"),
    ),
    Mutant(
        "unseen-write-accepted",
        "a write under a region that nobody can place is refused",
        _MOVES,
        "    if lock.resource.region is not None and lock.resource.views:",
        "    if rewrite is not None and lock.resource.region is not None and lock.resource.views:",
        ("tests/domain/lock/test_lock_moves.py", "tests/hub/test_region_fence.py"),
    ),
    Mutant(
        "waits-left-behind",
        "a region that is waited for moves with its lines",
        _MOVES,
        "    for wait in workspace.locks.waits_on(path):",
        "    for wait in ():",
        ("tests/domain/lock/test_lock_moves.py", "tests/hub/test_region_fence.py"),
    ),
    Mutant(
        "no-partition-check-at-grant",
        "a waiter that may no longer write there is not granted",
        "aegis_tui/domain/core.py",
        ", may=self._may_hold)",
        ")",
        ("tests/domain/lock/test_lock_end.py",),
    ),
    Mutant(
        "wait-never-given-up",
        "who gives a request up is not granted it later",
        _END,
        '    return withdraw(table, agent_id, request_id, "CANCELLED") or granted',
        "    return granted",
        ("tests/domain/lock/test_lock_end.py",),
    ),
    Mutant(
        "renewal-ignored",
        "a renewed lock lasts its full time again",
        "aegis_tui/domain/deadline.py",
        "            LockRenewed: self._renewed,\n",
        "",
        ("tests/domain/test_deadline.py",),
    ),
    Mutant(
        "lost-heartbeat",
        "a session lasts while its instance is heard of, and ends after that",
        "aegis_tui/domain/deadline.py",
        "heapq.heapreplace(self._heap, (entry.at_s, name))",
        "heapq.heappop(self._heap)",
        ("tests/domain/test_deadline.py",),
    ),
    Mutant(
        "no-cycle-by-own-wait",
        "an upgrade that nobody holds back can still close a cycle",
        _RULES,
        "blocker is not None or table.waits_of(wait.agent_id)",
        "blocker is not None",
        _LOCK_TESTS,
    ),
    Mutant(
        "one-directional-glob",
        "two globs overlap whichever comes first",
        "aegis_tui/domain/glob/overlap.py",
        "a_stays, b_stays = a[i] is GLOBSTAR, b[j] is GLOBSTAR",
        "a_stays, b_stays = a[i] is GLOBSTAR, False",
        ("tests/domain/glob/test_glob.py",),
    ),
    Mutant(
        "case-ignored-no-more",
        "globs are compared as git compares paths there",
        "aegis_tui/domain/glob/overlap.py",
        "        a, b = a.folded(), b.folded()",
        "        a = a.folded()",
        ("tests/domain/glob/test_glob.py",),
    ),
    Mutant(
        "gate-skipped",
        "no commit without a passed QA of that very tree",
        "aegis_tui/domain/run/stage.py",
        "passed = run.qa is not None and run.qa.ok",
        "passed = True",
        ("tests/domain/test_core.py",),
    ),
    Mutant(
        "unfinished-integrated",
        "integration waits for every piece",
        "aegis_tui/domain/run/stage.py",
        '            "workers_finished",\n            not open_pieces,',
        '            "workers_finished",\n            True,',
        ("tests/domain/test_core.py",),
    ),
    Mutant(
        "wall-clock",
        "deadlines do not follow the wall clock",
        "aegis_tui/sdk/clock.py",
        "return time.clock_gettime(_CLOCK_ID)",
        "return time.time()",
        ("tests/sdk/test_clock.py",),
    ),
    Mutant(
        "reply-before-commit",
        "nobody is answered before the disk has it",
        _ENGINE,
        "                if batch.events:\n                    await self._log.append",
        "                for answer, result in batch.answers:\n                    resolve(answer, result)\n"
        "                if batch.events:\n                    await self._log.append",
        _ENGINE_TESTS,
    ),
    Mutant(
        "reply-before-commit-under-kill",
        "nothing acknowledged is lost by kill -9",
        _ENGINE,
        "                if batch.events:\n                    await self._log.append",
        "                for answer, result in batch.answers:\n                    resolve(answer, result)\n"
        "                if batch.events:\n                    await self._log.append",
        _SOAK_TESTS,
    ),
    Mutant(
        "told-before-commit",
        "nobody is told of an event before the disk has it",
        _ENGINE,
        "                if batch.events:\n                    await self._log.append",
        "                for listener in self._listeners:\n                    listener(batch.events)\n"
        "                if batch.events:\n                    await self._log.append",
        _ENGINE_TESTS,
    ),
    Mutant(
        "refusal-logged-as-success",
        "a refusal is decided anew when it is asked again",
        _ENGINE,
        "            batch.answers.append((submission.answer, refusal))",
        "            batch.answers.append((submission.answer, refusal))\n"
        "            batch.replies[key] = {'locks': []}",
        _ENGINE_TESTS,
    ),
    Mutant(
        "retry-decided-twice",
        "a retry of what succeeded gets the first answer",
        _ENGINE,
        "        for answered in (known, batch.replies):",
        "        for answered in (batch.replies,):",
        _ENGINE_TESTS,
    ),
    Mutant(
        "stall-ends-leases",
        "a hub that stood still ends no lease for it",
        _ENGINE,
        "            self._workspace.deadlines.extend(lost_s)\n",
        "            pass\n",
        ("tests/hub/test_stall.py",),
    ),
    Mutant(
        "full-disk-keeps-state",
        "what the disk refused has not happened",
        _ENGINE,
        "                self._give_up(taken, error)\n                await self._rebuild_or_break()",
        "                self._give_up(taken, error)",
        _ENGINE_TESTS,
    ),
    Mutant(
        "no-rearm-after-restart",
        "a restart gives every lease its full time",
        "aegis_tui/hub/recovery.py",
        "    rearm(workspace, now)\n",
        "",
        ("tests/hub/test_recovery.py",),
    ),
    Mutant(
        "snapshot-without-checksum",
        "a damaged snapshot is never used",
        "aegis_tui/adapters/store/row.py",
        "not isinstance(body, bytes) or crc != zlib.crc32(body, seq):",
        "not isinstance(body, bytes):",
        _LOG_TESTS,
    ),
    Mutant(
        "event-without-checksum",
        "a damaged event is never served",
        _LOG,
        "            if row[5] != checksum(*row[:5]):",
        "            if False:",
        _LOG_TESTS,
    ),
    Mutant(
        "answer-without-checksum",
        "a damaged answer is never taken for none",
        "aegis_tui/adapters/store/row.py",
        "return bool(row[4] == checksum(*row[:4]))",
        "return True",
        _LOG_TESTS,
    ),
    Mutant(
        "lost-tail-unnoticed",
        "a log that lost something acknowledged does not open",
        "aegis_tui/adapters/store/inspection.py",
        "    if marked is not None and newest < marked:",
        "    if False:",
        _LOG_TESTS,
    ),
    Mutant(
        "no-fsync",
        "what was acknowledged survives power loss",
        _LOG,
        "PRAGMA synchronous=FULL",
        "PRAGMA synchronous=OFF",
        _LOG_TESTS,
    ),
    Mutant(
        "compaction-too-far",
        "compaction keeps every event that a kept snapshot needs",
        _LOG,
        "min(oldest_snapshot, self._last_seq - self._kept_events) + 1)",
        "self._last_seq + 1)",
        _LOG_TESTS,
    ),
    Mutant(
        "mark-before-commit",
        "only what is on disk counts as acknowledged",
        _LOG,
        '        with self._transaction("write"):\n            self._insert("INSERT INTO event',
        "        self._mark.write(newest)\n"
        '        with self._transaction("write"):\n            self._insert("INSERT INTO event',
        _LOG_TESTS,
    ),
    Mutant(
        "resume-off-by-one",
        "a stream resumes with the very next event",
        _FANOUT,
        "self.cursor, self._is_live = after, False",
        "self.cursor, self._is_live = after + 1, False",
        _FANOUT_TESTS,
    ),
    Mutant(
        "overflow-untold",
        "a receiver that fell behind is told so",
        _FANOUT,
        "self._is_live, self._must_tell = False, True",
        "self._is_live, self._must_tell = False, False",
        _FANOUT_TESTS,
    ),
    Mutant(
        "overflow-forgotten",
        "a receiver that fell behind gets what it missed",
        _FANOUT,
        "self._is_live, self._must_tell = False, True",
        "self._must_tell = True",
        _FANOUT_TESTS,
    ),
    Mutant(
        "overtaken-in-the-queue",
        "events reach a receiver in order",
        _FANOUT,
        "self._write_now is not None and not self._queue and not self._is_sending",
        "self._write_now is not None",
        _FANOUT_TESTS,
    ),
    Mutant(
        "messages-to-all",
        "a message reaches its two ends and the person only",
        _FANOUT,
        "                    if is_visible(event, subscriber.actor):",
        "                    if True:",
        _FANOUT_TESTS,
    ),
)


def run_seeded(mutants: list[Mutant]) -> list[tuple[Mutant, Verdict]]:
    """Make each mistake in turn and run its tests.

    Raises:
        LookupError: What a mutant replaces does not stand in its file exactly once.
    """
    results = []
    with tree_copy() as tree:
        for mutant in mutants:
            verdict = _try(tree, mutant)
            results.append((mutant, verdict))
            said = "killed by" if verdict.killed else "SURVIVED:"
            sys.stdout.write(f"{mutant.name}: {said} {verdict.how} ({verdict.spent_s:.1f} s)\n")
            sys.stdout.flush()
    return results


def broken_text(mutant: Mutant, text: str) -> str:
    """The file with the mistake in it.

    Raises:
        LookupError: What it replaces does not stand there exactly once.
    """
    if text.count(mutant.old) != 1:
        raise LookupError(f"{mutant.name}: {mutant.file} holds {text.count(mutant.old)} times: {mutant.old}")
    return text.replace(mutant.old, mutant.new)


def _try(tree: Tree, mutant: Mutant) -> Verdict:
    text = broken_text(mutant, (tree.folder / mutant.file).read_text("utf-8"))
    with tree.broken(mutant.file, text):
        return tree.test(mutant.tests, deadline_s=DEADLINE_S)
