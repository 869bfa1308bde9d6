"""What the wrapper tells a program about its instance: scope, rules, tools, and why a submission was refused."""

from __future__ import annotations

from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.domain.prompt import notices_text, opening_text
from aegis_tui.domain.role import traits_of
from aegis_tui.errors import AegisError

_RULES = """# How you work here

You work alone in your own git worktree. Nobody answers questions: decide, and say in your last message what you
decided.
{ending}
- Do not push, do not switch branches, do not use the stash, do not change git's settings."""

_BUILDS = """When you end, your changes are committed and submitted for review. The first line of your last message
becomes the subject of the commit, such as `feat(cart): add discounts`.
- Write only inside your partition; another path is refused when your work is committed.
- Run the tests and checks of the repository that concern your change, and repair what fails, before you end."""

_READS = "You only read: your worktree cannot be changed. Your last message is your result."

_VERDICT = """You review; your worktree cannot be changed. End by giving your verdict with the tool {approve} (each
acceptance criterion with evidence) or {reject} (with what has to change, by file and line)."""

_DESIGN = "End by proposing the design with the tool {propose}."

_WITH_TOOLS = """
- Joint files may be changed by everyone, one at a time: acquire the lock with {acquire} first, and release it
  afterwards with {release}.
- If you must change a path outside your partition, ask for it with {request} and a reason."""

_WITHOUT_TOOLS = """
- Joint files may be changed by everyone; their locks are acquired for you when your work is submitted. Keep such
  changes small."""


_READING = """
- Others work beside you: call {read} between longer steps and before you end. It says what they tell you, and what they
  do to files that you have read or changed."""


def opening(
    kind: KindFile,
    *,
    role: str,
    team_rules: str,
    worktree: str,
    shared_context: str,
    guidance: str,
    scope: str,
    brief: str,
) -> str:
    """Return the first prompt of a conversation: first what instances share, last what is the instance's alone.

    It has the shared context, the rules of working (with the names of the kind's tools), the team's rules, the
    guidance, the scope and the brief.

    Args:
        kind: The kind of the instance.
        role: Its role.
        team_rules: The text of the team's own role file; empty if there is none.
        worktree: The path of its worktree.
        shared_context: The text that all instances of the run share.
        guidance: What all instances with this kind of task are told; may be empty.
        scope: What the instance may write.
        brief: Its task.
    """
    rules = _RULES.format(ending=_ending(kind, role))
    if kind.mcp and traits_of(role).is_builder:
        names = {"acquire": "acquire_lock", "release": "release_lock", "request": "request_scope"}
        rules += _WITH_TOOLS.format(**{key: kind.tool_name(name) for key, name in names.items()})
    elif traits_of(role).is_builder:
        rules += _WITHOUT_TOOLS
    if kind.mcp and not kind.hears_between_calls:
        rules += _READING.format(read=kind.tool_name("read_messages"))
    return opening_text(
        (shared_context, rules, team_rules, guidance), brief, f"{scope.strip()}\nYour worktree is {worktree}."
    )


def _ending(kind: KindFile, role: str) -> str:
    tools = traits_of(role).mcp_tools
    if "approve" in tools:
        return _VERDICT.format(approve=kind.tool_name("approve"), reject=kind.tool_name("reject"))
    if "propose_design" in tools:
        return _DESIGN.format(propose=kind.tool_name("propose_design"))
    return _BUILDS if traits_of(role).is_builder else _READS


def later(brief: str, notices: list[str]) -> str:
    """Return a later prompt of the same conversation: what happened in the meantime, if anything, then the brief.

    Args:
        brief: The prompt.
        notices: What happened, one line each; if empty, the brief is returned as it is.
    """
    return f"{notices_text(notices)}\n\n{brief}" if notices else brief


def refused(error: AegisError) -> str:
    """Return the prompt that tells the program why its work was not accepted, what helps, and to finish again."""
    hint = f"\n{error.hint}" if error.hint else ""
    return f"Your work was not accepted: {error.message}{hint}\nCorrect this, then finish again."
