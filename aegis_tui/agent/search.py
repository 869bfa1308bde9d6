"""Search over the files that git does not ignore. git itself matches, in its own process, so no pattern hangs us."""

from __future__ import annotations

from aegis_tui.agent.git import Git
from aegis_tui.errors import UsageError

_TIMEOUT_S = 20.0
_PER_FILE = 50
_MAX_LINES = 200
_MAX_LINE_CHARS = 300


async def search_files(git: Git, pattern: str, *, glob: str | None) -> str:
    r"""Lines that match the POSIX extended `pattern`, as `PATH:NUMBER:LINE`; what is left out is counted.

    Args:
        git: The worktree to search.
        pattern: Regular expression; `\d` is understood too.
        glob: Only files that match; without a slash, in any folder.

    Raises:
        UsageError: The pattern or the glob is not valid.
        GitError: The search took too long.
    """
    places: list[str] = []
    if glob:
        places = [f":(glob){glob}" if "/" in glob else f":(glob)**/{glob}"]
    finished = await git.run(
        *("grep", "-n", "-I", "-E", "--untracked", "--no-color", "--full-name", f"--max-count={_PER_FILE}"),
        *("-e", pattern.replace("\\d", "[0-9]"), "--", *places),
        timeout_s=_TIMEOUT_S,
        limit_bytes=512 * 1024,
    )
    if finished.code == 1:
        return "(no matches)"
    if finished.code != 0:
        raise UsageError(f"the search failed: {finished.output.strip()[:300]}")
    lines = finished.output.splitlines()
    shown = [line if len(line) <= _MAX_LINE_CHARS else line[:_MAX_LINE_CHARS] + " [cut]" for line in lines[:_MAX_LINES]]
    if len(lines) > _MAX_LINES:
        shown.append(f"({len(lines) - _MAX_LINES} more lines; narrow the pattern or give a glob)")
    return "\n".join(shown)
