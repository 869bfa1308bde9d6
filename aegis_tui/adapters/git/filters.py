"""Filters: programs that git starts for the content of a file. None is started for content that an agent can write.

A filter runs in the worktree, as the person, outside every sandbox: `scripts/clean.py` would be the agent's program,
and `python3 -m nbstripout` imports what is in the folder where it starts. So hub and watcher switch off all filters
where an agent works. An agent's commit is checked out over the person's, so that unchanged files have the content that
the person's filters gave them. Source: gitattributes(5), filter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.run import GitRunner

LIST_FILTERS = ("config", "-z", "--name-only", "--get-regexp", r"^filter\.")
"""The git command that lists the names of filter settings; exit status 1 means that there are none."""

_OFF = {"clean": "", "smudge": "", "process": "", "required": "false"}


def switched_off(settings: Iterable[str]) -> dict[str, str]:
    """Return environment variables for git under which it starts no program of the filters that have these settings.

    The variables replace the settings that GIT_CONFIG_COUNT already passes.

    Args:
        settings: Names of settings as `LIST_FILTERS` prints them: `filter.<name>.clean`, or another key of the filter;
            one is enough for all programs of that filter. If there are none, the result is empty.
    """
    names = dict.fromkeys(setting.removeprefix("filter.").rpartition(".")[0] for setting in settings)
    pairs = [(f"filter.{name}.{key}", value) for name in names if name for key, value in _OFF.items()]
    return {"GIT_CONFIG_COUNT": str(len(pairs)), **dict(_numbered(pairs))} if pairs else {}


def _numbered(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for number, (name, value) in enumerate(pairs):
        yield f"GIT_CONFIG_KEY_{number}", name
        yield f"GIT_CONFIG_VALUE_{number}", value


class Filters:
    """The filters that the person has configured for one repository. Methods raise `GitError` if git fails.

    They raise `GitUnavailable` if git cannot be started.

    Args:
        runner: Runs git in the common folder.
        objects: Reads the repository.
    """

    def __init__(self, runner: GitRunner, objects: Objects) -> None:
        self._runner, self._objects = runner, objects

    async def off(self) -> dict[str, str]:
        """Return environment variables under which git starts none of the filters; empty if there are none.

        Raises:
            GitError: git fails.
        """
        return switched_off(await self._objects.settings.names("filter."))

    async def persons_base(self, commit: str) -> str | None:
        """Return a commit of the person that `commit` is based on, which may be itself; None if there is none.

        It is the best common ancestor with the checked-out commit; without one, that with another branch or a tag,
        except branches of runs (`aegis/`).

        Raises:
            GitError: There is no such commit, or git fails.
        """
        head = await self._objects.resolve("HEAD")
        places = [head] if head else []
        answer = await self._runner.run(
            *("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags", "refs/remotes")
        )
        places += [line.split(" ")[1] for line in answer.text.splitlines() if not line.startswith("refs/heads/aegis/")]
        for place in dict.fromkeys(places):
            if bases := await self._objects.merge_bases(commit, place):
                return bases[0]
        return None
