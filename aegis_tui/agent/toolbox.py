"""Runs the tools of the built-in agent for one instance. An error of a tool is returned to the model as its result."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aegis_tui.agent.files import OwnWorktree, replace_once
from aegis_tui.agent.foreign import ForeignToolbox
from aegis_tui.agent.git import Git
from aegis_tui.agent.hand_in import HandIn, TaskContext
from aegis_tui.agent.last_words import error_words
from aegis_tui.agent.locks import name_of
from aegis_tui.agent.map_questions import ask_map
from aegis_tui.agent.process import run_process
from aegis_tui.agent.progress import Progress
from aegis_tui.agent.reader import FileReader
from aegis_tui.agent.review_calls import request_review, verdict_fields
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.search import search_files
from aegis_tui.agent.writer import LOCK_WAIT_S, Writer, must_exist
from aegis_tui.domain.cause import Cause
from aegis_tui.domain.count import counted
from aegis_tui.domain.role_file import Role
from aegis_tui.domain.tool import model as tools
from aegis_tui.errors import AegisError, HubUnavailable, UsageError
from aegis_tui.ports.hub_link import HubLink
from aegis_tui.ports.llm import ToolCall
from aegis_tui.sdk.context import whole_context

_log = logging.getLogger(__name__)

_WITHOUT_FILES = (tools.VerdictArguments, tools.ProposeDesignArguments)
"""Calls that need no file of the worktree."""

_BASH_OUTPUT_BYTES = 24 * 1024
_BASH_ENVIRONMENT = {
    "GIT_EDITOR": "true",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "PAGER": "cat",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TERM": "dumb",
}


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """How a task ended: `done`, `blocked`, `failed` or `interrupted`, and why."""

    state: str
    summary: str
    cause: Cause | None = None
    """The first error, if one ended the task, and whether a successor would fail with it as well."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a call. `is_usable` is False if the call itself was wrong (FLOW-11)."""

    text: str
    outcome: TaskOutcome | None = None
    is_usable: bool = True
    refusal: AegisError | None = None
    """The error with which a usable call was refused."""


class Toolbox:
    """Runs the tool calls of one instance; only the tools of its role are allowed (ROLE-13)."""

    def __init__(
        self,
        role: Role,
        *,
        worktree: OwnWorktree,
        reader: FileReader,
        git: Git,
        writer: Writer,
        hand_in: HandIn,
        link: HubLink,
        progress: Progress,
        screen: Screen,
        environment: Mapping[str, str],
        foreign: ForeignToolbox,
    ) -> None:
        self.role, self.foreign = role, foreign
        self._environment = {**environment, **_BASH_ENVIRONMENT}
        self.context = TaskContext()
        self.read_paths: set[str] = set()
        self._worktree, self.reader = worktree, reader
        self._git, self._writer = git, writer
        self._hand_in, self._link = hand_in, link
        self._progress, self._screen = progress, screen
        self._has_written = False
        self._handlers: Mapping[type[tools.ToolArguments], Callable[[Any], Awaitable[ToolResult]]] = {
            tools.ReadArguments: self._read,
            tools.SignaturesArguments: self._signatures,
            tools.SearchArguments: self._search,
            tools.MapArguments: self._ask_map,
            tools.EditArguments: self._edit,
            tools.WriteArguments: self._write,
            tools.DeleteArguments: self._delete,
            tools.RenameArguments: self._rename,
            tools.BashArguments: self._bash,
            tools.LockArguments: self._lock,
            tools.ReportArguments: self._report,
            tools.RequestReviewArguments: self._request_review,
            tools.VerdictArguments: self._verdict,
            tools.ProposeDesignArguments: self._propose_design,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all tools that may be called: those of the role, and those of the person's servers."""
        return (*self.role.tools, *self.foreign.names)

    def schemas(self) -> list[dict[str, Any]]:
        """Return the `tools` field of a request, always in the same order: the role's tools, then `foreign`."""
        return [*tools.tool_schemas(self.role.tools), *self.foreign.schemas]

    @property
    def finishing_tool(self) -> str:
        """The tool with which this role ends its present task: `report`, `verdict` or `propose_design`."""
        names: Collection[str] = self.role.tools
        if "propose_design" in names and (self.context.task == "design" or "report" not in names):
            return "propose_design"
        return "verdict" if "verdict" in names and "report" not in names else "report"

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call and return its result; errors are part of the result. Raises nothing but cancellation."""
        if call.name in self.foreign.names:
            await self._worktree.complete()
            text, is_usable = await self.foreign.call(call)
            return ToolResult("\n".join([text, *self._writer.take_news()]), is_usable=is_usable)
        try:
            arguments = tools.parse_arguments(call.name, call.arguments, allowed=self.role.tools)
        except UsageError as error:
            self._screen.problem(f"unusable call of {call.name or 'a tool without a name'}: {error.code}")
            return ToolResult(f"Error: {error}", is_usable=False)
        try:
            if not isinstance(arguments, _WITHOUT_FILES) and await self._looks_at_files(arguments):
                await self._worktree.complete(getattr(arguments, "path", None))
            result = await self._handlers[type(arguments)](arguments)
        except AegisError as error:
            self._screen.problem(str(error))
            result = ToolResult(explain(error), refusal=error)
        except OSError as error:
            self._screen.problem(str(error))
            refusal = refusal_of(error)
            result = ToolResult(f"Error: {refusal}", refusal=refusal)
        except Exception as error:  # an error in one call must not end the task
            _log.exception("a tool failed")
            words = error_words(error)
            self._screen.problem(words)
            result = ToolResult(f"Error: {words}. Try another way", is_usable=False)
        return replace(result, text="\n".join([result.text, *self._writer.take_news()]))

    async def _looks_at_files(self, arguments: tools.ToolArguments) -> bool:
        """Return whether a call may look at any file of the worktree, so that all have to be there.

        A report commits what was changed, for which git does not need the rest; hooks of the person may.
        """
        return not isinstance(arguments, tools.ReportArguments) or await self._git.has_hooks_of_the_person()

    def begin_task(self, context: TaskContext) -> None:
        """Start the task of `context`; for another piece, the record of used fencing tokens is cleared.

        The model's commands are shown as self-QA only once it has changed a file for this task.
        """
        if context.spec_id != self.context.spec_id:
            self._writer.locks.used_tokens.clear()
        self.context = context
        self._has_written = False

    async def _read(self, wanted: tools.ReadArguments) -> ToolResult:
        path, symbol = self.reader.locate(wanted.path)
        span = f" (lines {wanted.start or 1}-{wanted.end or 'end'})" if wanted.start or wanted.end else ""
        self._screen.action("Reading", f"{path}:{symbol}" if symbol else path + span)
        text = await self.reader.read(path, symbol, wanted)
        self.read_paths.add(path)
        return ToolResult(text)

    async def _signatures(self, wanted: tools.SignaturesArguments) -> ToolResult:
        path = self._worktree.locate(wanted.path)
        self._screen.action("Outlining", path)
        text = await self.reader.signatures(path)
        self.read_paths.add(path)
        return ToolResult(text)

    async def _ask_map(self, wanted: tools.MapArguments) -> ToolResult:
        self._screen.action("Asking the map", f"{wanted.question} {wanted.about}")
        return ToolResult(await ask_map(self._link, wanted))

    async def _search(self, wanted: tools.SearchArguments) -> ToolResult:
        self._screen.action("Searching", wanted.pattern + (f" in {wanted.glob}" if wanted.glob else ""))
        return ToolResult(await search_files(self._git, wanted.pattern, glob=wanted.glob))

    async def _edit(self, wanted: tools.EditArguments) -> ToolResult:
        path, symbol = self.reader.locate(wanted.path)
        self._screen.action("Editing", f"{path}:{symbol}" if symbol else path)
        try:
            make = await self._symbol_edit(path, symbol, wanted) if symbol else None
            return await self._change(
                path, make or (lambda text: replace_once(must_exist(path, text), wanted.old, wanted.new))
            )
        except UsageError:  # the model does not know the file well enough
            self.reader.views.forget(path)
            raise

    async def _symbol_edit(self, path: str, symbol: str, wanted: tools.EditArguments) -> Callable[[str | None], str]:
        """Return what replaces the text inside the definitions of a symbol, wherever they are when it is called."""
        seen = must_exist(path, self._worktree.load(path))
        known = {seen: await asyncio.to_thread(self.reader.spans, path, symbol, seen)}

        def make(text: str | None) -> str:
            now = must_exist(path, text)
            spans = known[now] if now in known else self.reader.spans(path, symbol, now)
            return replace_once(now, wanted.old, wanted.new, spans=spans)

        return make

    async def _write(self, wanted: tools.WriteArguments) -> ToolResult:
        self._screen.action("Writing", wanted.path)
        return await self._change(wanted.path, lambda _: wanted.content, whole=True)

    async def _change(self, path: str, make: Callable[[str | None], str], *, whole: bool = False) -> ToolResult:
        change = await self._writer.change(path, make, whole=whole)
        self._has_written = True
        self.read_paths.add(change.path)
        self._screen.diff(change.before or "", change.after)
        await self._progress.enter("implementing", change.path)
        verb = "created" if change.before is None else "changed"
        answer = f"{verb} {change.path} ({counted(len(change.after.splitlines()), 'line')} now)"
        return ToolResult(f"{answer}, {change.note}" if change.note else answer)

    async def _delete(self, wanted: tools.DeleteArguments) -> ToolResult:
        self._screen.action("Deleting", wanted.path)
        path = await self._writer.delete(wanted.path)
        return await self._changed(path, f"deleted {path}")

    async def _rename(self, wanted: tools.RenameArguments) -> ToolResult:
        self._screen.action("Renaming", f"{wanted.path} to {wanted.to}")
        old, new = await self._writer.rename(wanted.path, wanted.to)
        self.reader.views.forget(old)
        return await self._changed(new, f"renamed {old} to {new}")

    async def _changed(self, path: str, answer: str) -> ToolResult:
        self._has_written = True
        self.reader.views.forget(path)
        await self._progress.enter("implementing", path)
        return ToolResult(answer)

    async def _bash(self, wanted: tools.BashArguments) -> ToolResult:
        self._screen.command(wanted.command)
        if self._has_written:
            await self._progress.enter("self-QA", wanted.command.splitlines()[0])
        timeout_s = wanted.timeout_s or tools.BASH_TIMEOUT_S
        finished = await run_process(
            ["bash", "-c", wanted.command],
            cwd=self._worktree.root,
            timeout_s=timeout_s,
            environment=self._environment,
            limit_bytes=_BASH_OUTPUT_BYTES,
        )
        self._screen.output(finished.output)
        ending = f"killed after {timeout_s:g} s" if finished.timed_out else f"exit code {finished.code}"
        notes = await self._hand_in.after_command()
        return ToolResult("\n".join([f"{finished.output.rstrip()}\n[{ending}]".lstrip("\n"), *notes]))

    async def _lock(self, wanted: tools.LockArguments) -> ToolResult:
        locks = self._writer.locks
        if wanted.action == "list":
            held = "\n".join(f"{name_of(grant)} (token {grant.token})" for grant in locks.grants())
            return ToolResult(held or "you hold no locks")
        if wanted.path is None:
            raise UsageError(f"lock {wanted.action} needs a path")
        if wanted.action == "request":
            return await self._request(self._worktree.locate(wanted.path), wanted.reason)
        if wanted.action in ("grant", "refuse"):
            return await self._answer(self._worktree.locate(wanted.path), wanted.action, wanted.reason)
        if wanted.action == "release":
            path = self._worktree.locate(wanted.path)
            await locks.release(path)
            self._screen.action("Unlocked", path)
            return ToolResult(f"released the lock on {path}")
        path, _ = self._writer.check(wanted.path)
        self._screen.action("Locking", path)
        wait_s = LOCK_WAIT_S if wanted.wait_s is None else wanted.wait_s
        grant = await self._writer.lock(path, lines=wanted.lines, symbol=wanted.symbol, wait_s=wait_s)
        answer = f"you hold the lock on {name_of(grant)}, token {grant.token}; release it when your edits are done"
        if (wanted.lines or wanted.symbol) and grant.region is None:
            answer += ". It covers the whole file, not only the part that you named"
        return ToolResult(answer)

    async def _request(self, path: str, reason: str | None) -> ToolResult:
        if not reason:
            raise UsageError("lock request needs a reason")
        self._screen.action("Asking for", f"{path}: {reason}")
        await self._link.command("scope:request", path=path, reason=reason)
        return ToolResult(f"asked for {path}; work on something else until you get the answer")

    async def _answer(self, path: str, action: str, reason: str | None) -> ToolResult:
        """Answer the oldest open scope request for a path; the hub decides whether this instance may grant it.

        Args:
            path: A result of `OwnWorktree.locate`.
            action: `grant` or `refuse`.
            reason: For the one who asked, if it is refused.

        Raises:
            UsageError: There is no open request for the path.
            AegisError: The hub refused or does not answer.
        """
        asked = (await whole_context(self._link.command)).get("scope_requests", [])
        request = next((item["request"] for item in asked if item["path"] == path), None)
        if request is None:
            raise UsageError(f"there is no open request for {path}")
        self._screen.action("Granting" if action == "grant" else "Refusing", path)
        if action == "grant":
            await self._link.command("scope:grant", request=request)
        else:
            await self._link.command("scope:refuse", request=request, reason=reason or "")
        return ToolResult(f"{action}ed: {path}" if action == "grant" else f"refused: {path}")

    async def _report(self, wanted: tools.ReportArguments) -> ToolResult:
        if wanted.status == "done" and self.context.task == "design" and "propose_design" in self.role.tools:
            raise UsageError("the design is not proposed yet", "Call propose_design")
        if wanted.status == "done" and self.role.writes and self.context.spec_id:
            self._screen.action("Submitting", wanted.summary)
            done = await self._hand_in.submit(self.context, wanted.summary, written=self._writer.written)
            return ToolResult(done.words, TaskOutcome("done", "; ".join([wanted.summary, *done.remarks])))
        return ToolResult(f"reported {wanted.status}", TaskOutcome(wanted.status, wanted.summary))

    async def save(self, reason: str) -> str | None:
        """Commit unfinished changes; return the commit's id, or None if there are none or the role only reads.

        Args:
            reason: Why the work ends here, for the commit's message.

        Raises:
            AegisError: git or a hook of the repository refused, or new files would be left out; the files stay as they
                are.
        """
        if not self.role.writes:
            return None
        return await self._hand_in.save(self.context, reason, written=self._writer.written)

    async def _request_review(self, wanted: tools.RequestReviewArguments) -> ToolResult:
        review_id = await request_review(self._link, self.context)
        return ToolResult(f"{review_id} is requested; go on, its findings reach you between two turns")

    async def _verdict(self, wanted: tools.VerdictArguments) -> ToolResult:
        fields = await verdict_fields(wanted, self.context, self._worktree)
        self._screen.action("Verdict", wanted.decision)
        await self._progress.report()
        await self._link.command("review:verdict", **fields)
        return ToolResult(f"verdict given: {wanted.decision}", TaskOutcome("done", f"review: {wanted.decision}"))

    async def _propose_design(self, wanted: tools.ProposeDesignArguments) -> ToolResult:
        self._screen.action("Proposing", "the design")
        await self._progress.report()
        await self._link.command("design:propose", design=wanted.design)
        return ToolResult("the design is proposed", TaskOutcome("done", "design proposed"))


def refusal_of(error: OSError) -> AegisError:
    """Return an error of the file system as an AegisError, with the code `disk`, `disk.full` or `disk.read-only`.

    For a full disk `is_certain` is True, as a successor of the agent would fail as well.
    """
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    code = "disk.full" if is_full else "disk.read-only" if error.errno == errno.EROFS else "disk"
    text = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error.strerror or error)
    hint = "free space on that disk, then start the run again" if is_full else ""
    return AegisError(text, hint, code=code, is_certain=is_full)


def explain(error: AegisError) -> str:
    """Return a refusal in words for the model: what was refused, who holds the lock for how long, and what to do.

    It begins with `Error: `, and lists the issues of a design if the error has any.
    """
    text = f"Error: {error}"
    if holder := error.data.get("held_by"):
        text += f". It is held by {holder}"
        if isinstance(left_s := error.data.get("expires_in_s"), int | float):
            text += f" for at most {left_s:.0f} s more"
    if isinstance(issues := error.data.get("issues"), list):
        text += "".join(f"\n- {issue.get('field', '')}: {issue.get('message', issue)}" for issue in issues)
    if isinstance(error, HubUnavailable):
        return f"{text}. The coordination hub does not answer now; wait a little with bash sleep and try again"
    return f"{text}. {error.hint}" if error.hint else text
