"""Searches the files that git does not ignore. git matches in its own process, so no pattern can block the agent."""

from __future__ import annotations

from aegis_tui.agent.git import Git
from aegis_tui.domain.count import counted
from aegis_tui.domain.path.file_name import encodable_text, write_name
from aegis_tui.errors import UsageError

_TIMEOUT_S = 20.0
_PER_FILE = 50
_MAX_LINES = 200
_MAX_LINE_CHARS = 300


async def search_files(git: Git, pattern: str, *, glob: str | None) -> str:
    r"""Return the lines that match `pattern`, as `PATH:NUMBER:LINE`, at most 50 of a file and 200 in all.

    Long lines are shortened. If more than 200 lines were found, a last line says how many of them are not shown.
    Without a match, the text is `(no matches)`.

    Args:
        git: The worktree to search.
        pattern: POSIX extended regular expression; `\d` is accepted too.
        glob: Search only files that match it; a glob without a slash matches in any folder. None: all files.

    Raises:
        UsageError: The pattern or the glob is not valid.
        GitError: The search took too long, or git cannot be started.
    """
    places: list[str] = []
    if glob:
        places = [f":(glob){glob}" if "/" in glob else f":(glob)**/{glob}"]
    finished = await git.run(
        *("grep", "-n", "-I", "-E", "--untracked", "--no-color", "--full-name", "-z", f"--max-count={_PER_FILE}"),
        *("-e", pattern.replace("\\d", "[0-9]"), "--", *places),
        timeout_s=_TIMEOUT_S,
        limit_bytes=512 * 1024,
        errors="surrogateescape",
    )
    if finished.code == 1:
        return "(no matches)"
    if finished.code != 0:
        raise UsageError(f"the search failed: {encodable_text(finished.output.strip()[:300])}")
    lines = [_shown(line) for line in finished.output.rstrip("\n").split("\n")]
    shown = [line if len(line) <= _MAX_LINE_CHARS else line[:_MAX_LINE_CHARS] + " [cut]" for line in lines[:_MAX_LINES]]
    if len(lines) > _MAX_LINES:
        shown.append(f"({counted(len(lines) - _MAX_LINES, 'more line')}; narrow the pattern or give a glob)")
    return "\n".join(shown)


def _shown(line: str) -> str:
    """Return one match as `PATH:NUMBER:LINE`; git ends the path with a NUL, so no name can look like a number."""
    path, _, rest = line.partition("\0")
    text = f"{write_name(path)}:{rest.replace(chr(0), ':', 1)}"
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
