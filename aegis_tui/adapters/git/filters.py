"""Programs that git starts for the content of a file: filters. None is started for content that an agent could write.

A filter runs in the worktree, as the person, outside every sandbox: `scripts/clean.py` would be the agent's program,
and `python3 -m nbstripout` imports what lies in the folder it is started in. So hub and watcher switch all of them off
where an agent works, and check out an agent's commit over the person's, so that unchanged files are as the person's
filters made them. Source: gitattributes(5), filter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.run import GitRunner

LIST_FILTERS = ("config", "-z", "--name-only", "--get-regexp", r"^filter\.")
"""The git command that names the settings of filters; exit status 1 is none."""

_OFF = {"clean": "", "smudge": "", "process": "", "required": "false"}


def switched_off(settings: Iterable[str]) -> dict[str, str]:
    """The environment under which no filter starts a program.

    Args:
        settings: Their names as git lists them: `filter.<name>.clean`.
    """
    names = dict.fromkeys(setting.removeprefix("filter.").rpartition(".")[0] for setting in settings)
    pairs = [(f"filter.{name}.{key}", value) for name in names if name for key, value in _OFF.items()]
    return {"GIT_CONFIG_COUNT": str(len(pairs)), **dict(_numbered(pairs))} if pairs else {}


def _numbered(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for number, (name, value) in enumerate(pairs):
        yield f"GIT_CONFIG_KEY_{number}", name
        yield f"GIT_CONFIG_VALUE_{number}", value


class Filters:
    """The filters that the person has set up for one repository.

    Args:
        runner: Runs git in the common folder.
        objects: Reads the repository.
    """

    def __init__(self, runner: GitRunner, objects: Objects) -> None:
        self._runner, self._objects = runner, objects

    async def off(self) -> dict[str, str]:
        """The environment under which git starts none of them; empty where there is none."""
        return switched_off((await self._runner.run(*LIST_FILTERS, ok=(0, 1))).fields())

    async def persons_base(self, commit: str) -> str | None:
        """The newest commit of the person's that a commit stands on, itself if it is theirs; None if there is none."""
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
