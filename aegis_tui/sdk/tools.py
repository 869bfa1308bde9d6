"""What an agent may do through MCP: the tools of contract 9, built on one function that sends a command (HUB-7).

The token identifies the caller, so no tool has a parameter for its agent id. A role can call only its own tools.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from aegis_tui.domain.review.finding import Criterion, Finding
from aegis_tui.domain.role import ROLES, traits_of
from aegis_tui.domain.run.events import Stage
from aegis_tui.errors import Conflict, LockHeld, Refused
from aegis_tui.sdk.caller import not_granted, region_of, until
from aegis_tui.sdk.context import shared_context
from aegis_tui.sdk.joint_news import granted
from aegis_tui.sdk.mailbox import acknowledge, read_page
from aegis_tui.sdk.map_tools import MapTools
from aegis_tui.sdk.notice_box import NoticeBox
from aegis_tui.sdk.review_tools import ReviewTools
from aegis_tui.sdk.tool_results import (
    ConflictList,
    ContextView,
    Dispatch,
    Done,
    Integration,
    LockAnswer,
    MessageList,
    Named,
    QaResult,
    Scope,
    ScopeAnswer,
    Told,
)

LONGEST_WAIT_S = 25.0
"""The longest wait of a tool call: shorter than the timeout of every MCP client that was examined."""

NAMES = tuple(dict.fromkeys(name for role in (ROLES["worker"], *ROLES.values()) for name in role.mcp_tools))
"""The names of all tools."""

WaitS = Annotated[float, Field(ge=0, le=LONGEST_WAIT_S, description="Seconds to wait, 25 at most; then call again.")]


def tools_of(role: str) -> tuple[str, ...]:
    """Return the names of the tools that a role may list and call; for an unknown role, those of a default."""
    return traits_of(role).mcp_tools


class Ask(Protocol):
    """Sends one command of contract 5 as the instance, and returns its reply or raises its `AegisError`."""

    async def __call__(self, command_type: str, /, **fields: Any) -> dict[str, Any]:
        """Send the command without the fields that are None; return its reply, or raise the error of its refusal."""
        ...


class Tools(ReviewTools, MapTools):
    """The tools, executed as the instance that `ask` sends as."""

    def __init__(self, ask: Ask, who: Callable[[], str], *, box: NoticeBox | None = None) -> None:
        """Store how to send commands.

        Args:
            ask: Sends a command.
            who: Returns the agent id that `ask` currently sends as.
            box: The notices that wait for the program of a hosted instance; None for any other caller.
        """
        super().__init__(ask, who)
        self._box = box

    async def get_context(self) -> ContextView:
        """The state of the workspace: task, agents, locks, partitions, specs, recent changes, progress.

        Raises:
            AegisError: The hub refuses it, or does not answer.
        """
        return ContextView.model_validate(await shared_context(self._ask))

    async def send_message(self, to: str, text: str) -> Told:
        """Send a note to another instance, named as in get_context; refused when it has ended.

        Args:
            to: For example NATIVE-w01, or w01.
            text: What to tell it.

        Raises:
            AegisError: The instance has ended or is unknown; or the hub does not answer.
        """
        reply = await self._ask("message:send", to=to, text=text)
        return Told(told=[to], seq=int(reply["seq"]))

    async def read_messages(self, after: int = 0, wait_s: WaitS = 0.0) -> MessageList:
        """Messages to you that are newer than `after`, oldest first; those up to `after` are acknowledged for good.

        Args:
            after: The seq of the last message you have dealt with; 0 at the start.
            wait_s: How long to wait for the first one.

        Raises:
            AegisError: The hub refuses it, or does not answer.
        """
        await acknowledge(self._ask, after)
        read = partial(read_page, self._ask, after, self._box)
        return await until(read, lambda page: bool(page.messages or page.notices), wait_s)

    async def broadcast(self, event: str, data: dict[str, Any]) -> Told:
        """Tell everybody about a step: plan:*, code:*, review:*, fix:* or note:*.

        For one feature the order is plan:proposed {feature, files}, plan:acknowledged or plan:approved, then for each
        file code:writing, code:written {file, token, new_oid}, review:requested, review:in_progress, review:completed
        {status}, fix:suggested, fix:in_progress, fix:applied. A step out of order is refused.

        Args:
            event: Its name, for example plan:proposed.
            data: What it says; name the feature.

        Raises:
            AegisError: A step is out of order, or a field is wrong; or the hub does not answer.
        """
        await self._ask("broadcast", event=event, data=data)
        return Told(told=["*"])

    async def get_scope(self) -> Scope:
        """What you may write: your partition, and joint files while you hold a lock; nobody may write shared ones.

        Raises:
            AegisError: You are no instance; or the hub does not answer.
        """
        context = await shared_context(self._ask)
        me = self._me(context)
        mine = [name for name, spec in context["specs"].items() if spec["agent"] == self._who()]
        asked = [item["path"] for item in context["scope_requests"] if item["by"] == self._who()]
        partition = context["partitions"].get(self._who(), [])
        wide = {"partition": partition, "shared": context["shared"], "joint": context["joint"]}
        return Scope.model_validate({**me, **wide, "specs": mine, "requested": asked})

    async def request_scope(self, path: str, reason: str) -> ScopeAnswer:
        """Ask to write one path outside your partition; its owner, the Commander or a person answers by message.

        Granted at once if you may write it already.

        Args:
            path: From the repository's root.
            reason: Why you need it; the one who answers reads it.

        Raises:
            AegisError: The path is not valid; or the hub does not answer.
        """
        return ScopeAnswer.model_validate(await self._ask("scope:request", path=path, reason=reason))

    async def acquire_lock(
        self,
        paths: list[str],
        lock_type: Literal["EXCLUSIVE", "SHARED", "REVIEW"] = "EXCLUSIVE",
        wait_s: WaitS = 0.0,
        ttl_s: float | None = None,
        first_line: int | None = None,
        last_line: int | None = None,
        symbol: str | None = None,
    ) -> LockAnswer:
        """Lock files, all of them or none; if somebody else holds one, the answer has `granted` false.

        Args:
            paths: From the repository's root.
            lock_type: EXCLUSIVE to write, SHARED to read what must not change meanwhile, REVIEW for reviewers.
            wait_s: How long to wait in the queue.
            ttl_s: How long it lasts unless renewed, in seconds, 600 at most; 300 when left out.
            first_line: Only the lines from here to last_line of each path, 1-based, inclusive.
            last_line: By default first_line; ignored without it.
            symbol: Only this function or class of each path, by its dotted name.

        Raises:
            AegisError: A path may not be locked, or is not valid; or the hub does not answer.
        """
        wanted = [{"path": path, **region_of(first_line, last_line, symbol)} for path in paths]
        try:
            reply = await self._ask("lock:acquire", resources=wanted, lock_type=lock_type, wait_s=wait_s, ttl_s=ttl_s)
        except LockHeld as held:
            return not_granted(held)
        return await granted(self._ask, reply, paths if lock_type == "EXCLUSIVE" else ())

    async def renew_lock(self, lock_id: str, token: int, ttl_s: float | None = None) -> LockAnswer:
        """Renew one of your locks, so that its time starts again, and return it; refused if you no longer hold it.

        Args:
            lock_id: As acquire_lock returned it.
            token: The token of the lock.
            ttl_s: How long it lasts from now, in seconds, 600 at most; as long as before when left out.

        Raises:
            AegisError: You no longer hold it; or the hub does not answer.
        """
        reply = await self._ask("lock:renew", lock_id=lock_id, token=token, ttl_s=ttl_s)
        return await granted(self._ask, reply, ())

    async def release_lock(self, lock_id: str, token: int) -> Named:
        """Release one of your locks and return its id; refused if you no longer hold it.

        Args:
            lock_id: As acquire_lock returned it.
            token: The token of the lock.

        Raises:
            AegisError: You no longer hold it; or the hub does not answer.
        """
        reply = await self._ask("lock:release", lock_id=lock_id, token=token)
        return Named(names=reply["released"])

    async def claim_task(self, spec_id: str | None = None) -> Named:
        """Claim a spec that is ready and unclaimed, and return its id. If several try, one gets it.

        Args:
            spec_id: The spec; when left out, the most important one that is ready. Refused if there is none.

        Raises:
            AegisError: There is none, or another has it; or the hub does not answer.
        """
        specs = (await shared_context(self._ask))["specs"]
        if spec_id is not None:
            rev = specs[spec_id]["rev"] if spec_id in specs else 0
            await self._ask("task:claim", spec_id=spec_id, expect_rev=rev)
            return Named(names=[spec_id])
        for name, spec in sorted(specs.items(), key=lambda item: (-item[1]["priority"], item[0])):
            if spec["status"] != "approved" or spec["run"] is not None:
                continue
            try:
                await self._ask("task:claim", spec_id=name, expect_rev=spec["rev"])
            except (Refused, Conflict):
                continue
            return Named(names=[name])
        raise Refused("no spec is ready", "wait, or ask by message", code="spec.none")

    async def update_task(
        self,
        spec_id: str,
        task_id: str,
        status: str,
        progress: Annotated[float, Field(ge=0, le=1)] = 0.0,
        note: str | None = None,
    ) -> Named:
        """Say how far a task of your spec is, and return the spec's id; refused if the spec or an argument is wrong.

        Args:
            spec_id: The spec, which must be yours.
            task_id: The task in it.
            status: Its state, in one lower-case word that you choose, such as done.
            progress: From 0 to 1.
            note: A remark; the hub does not record it.

        Raises:
            AegisError: The spec or an argument is wrong; or the hub does not answer.
        """
        fields = {"spec_id": spec_id, "task_id": task_id, "status": status, "progress": progress, "note": note}
        await self._ask("task:update", **fields)
        return Named(names=[spec_id])

    async def report_done(
        self, summary: str, head_oid: str | None = None, base_oid: str | None = None, tokens: list[int] | None = None
    ) -> Done:
        """Say that your work is done. A commit is submitted for review as your piece; refused if you have none.

        Args:
            summary: What was done, and what shows that it works.
            head_oid: The commit on your branch that holds the work; leave it out when there is nothing to submit.
            base_oid: The commit that your work is based on, if you have rebased.
            tokens: The tokens of the locks that you held when you wrote joint files (get_scope lists these).

        Raises:
            AegisError: You have no piece for the commit, or it cannot be submitted; or the hub does not answer.
        """
        context = await shared_context(self._ask)
        pieces = context["run"]["pieces"] if context["run"] else []
        spec_id = next((item["spec_id"] for item in pieces if item["agent_id"] == self._who()), None)
        if spec_id is not None and self._box is not None:
            self._box.ask_submission(summary)
            return Done(at_end_of_turn=True)
        piece = None
        if head_oid is not None:
            if spec_id is None:
                raise Refused("you have no piece to submit", "leave head_oid out", code="spec.none")
            base = base_oid or self._me(context)["base_oid"] or ""
            handed = {"spec_id": spec_id, "base_oid": base, "head_oid": head_oid, "tokens": tokens or []}
            piece = (await self._ask("diff:submit", **handed))["piece"]
        await self._ask("agent:report", state="done", progress=1.0, note=summary[:8000])
        return Done(handed_in=piece)

    async def propose_design(self, design: dict[str, Any]) -> Done:
        """Propose the design of the run: goal, features with disjoint partitions, shared, joint, qa.

        A design that breaks a rule is refused with what to change. `agreed` is false until a person accepts the design.

        Raises:
            AegisError: The design breaks a rule; or the hub does not answer.
        """
        reply = await self._ask("design:propose", design=design)
        return Done(agreed=bool(reply["agreed"]))

    async def dispatch_workers(self) -> Dispatch:
        """Which worker was started for which feature, and what the others wait for.

        The hub starts workers itself once the design is accepted and the foundation is merged; before that this is
        refused, with the gate that is not met.

        Raises:
            AegisError: There is no run, or a gate is not met; or the hub does not answer.
        """
        run = await self._at_stage(Stage.DISPATCH)
        return Dispatch.model_validate({"stage": run["stage"], "pieces": run["pieces"]})

    async def check_conflicts(self) -> ConflictList:
        """Paths that two pieces change: hot if in the same lines, soft if they merge; `resolution`: null while open.

        Raises:
            AegisError: There is no run, or a gate is not met; or the hub does not answer.
        """
        run = await self._at_stage(Stage.DESIGN)
        return ConflictList.model_validate({"conflicts": run["conflicts"]})

    async def integrate(self, wait_s: WaitS = 0.0) -> Integration:
        """The state of the composition (all merged pieces) and its review; refused while pieces or conflicts are open.

        Args:
            wait_s: How long to wait for its review; `approved` is false if that takes longer.

        Raises:
            AegisError: There is no run, or a gate is not met; or the hub does not answer.
        """

        async def look() -> Integration:
            run = await self._at_stage(Stage.INTEGRATE)
            return Integration.model_validate({**run, "approved": run["stage"] != Stage.INTEGRATE})

        return await until(look, lambda integration: integration.approved, wait_s)

    async def run_qa(self, wait_s: WaitS = 0.0) -> QaResult:
        """The QA result of the merged tree; the hub runs QA once the composition, the merged result, is approved.

        Args:
            wait_s: How long to wait for it to finish; `finished` is false if that takes longer.

        Raises:
            AegisError: There is no run, or a gate is not met; or the hub does not answer.
        """

        async def look() -> QaResult:
            run = await self._at_stage(Stage.FINAL_QA)
            return QaResult.model_validate({"finished": run["qa"] is not None, **(run["qa"] or {})})

        return await until(look, lambda result: result.finished, wait_s)

    async def post_findings(self, findings: list[Finding]) -> Told:
        """Tell the author of the piece under your review what you have found so far; the verdict is sent separately.

        If you review all pieces together, all authors are told. Returns who was told; an author who has ended is left
        out. Refused if you review nothing.

        Raises:
            AegisError: You review nothing; or the hub does not answer.
        """
        run, review = await self._review()
        pieces = run["pieces"]
        authors = [item["agent_id"] for item in pieces if review["piece"] == item["name"]]
        authors = authors or [item["agent_id"] for item in pieces]
        text = "\n".join(f"{item.severity} {item.file or ''}:{item.line or ''} {item.msg}" for item in findings)
        return Told(told=await self._send(authors, f"{self._who()} found in review:\n{text}"))

    async def approve(self, criteria: list[Criterion]) -> Named:
        """Approve the piece under your review, each acceptance criterion with evidence; returns the id of the review.

        Raises:
            AegisError: You review nothing, or a criterion has failed; or the hub does not answer.
        """
        return await self._verdict("approve", criteria, [])

    async def reject(self, findings: list[Finding], criteria: list[Criterion] | None = None) -> Named:
        """Send the piece under your review back, with what has to change; returns the id of the review.

        Args:
            findings: What has to change.
            criteria: What you have found out about the acceptance criteria.

        Raises:
            AegisError: You review nothing; or the hub does not answer.
        """
        return await self._verdict("reject", criteria or [], findings)

    async def create_spec(self, spec_id: str, title: str, dependencies: list[str] | None = None) -> Named:
        """Create a spec, which others can claim, and return its id; a dependency cycle is refused with its path.

        Raises:
            AegisError: The spec exists already, is not valid, or depends on itself; or the hub does not answer.
        """
        spec = {"id": spec_id, "title": title, "dependencies": dependencies or []}
        return Named(names=[(await self._ask("spec:create", spec=spec))["spec_id"]])
