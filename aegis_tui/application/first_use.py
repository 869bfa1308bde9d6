"""The first use of the program on a machine: looks at the machine, and writes the settings of the person (ui.md).

Nothing is written before `write` is called, and `planned` says before what that will be.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.application.check import Check
from aegis_tui.application.setup import Setup
from aegis_tui.domain.ids import NATIVE
from aegis_tui.errors import Refused
from aegis_tui.sdk.exchange import create_file

HEAD = "# Your settings for aegis-tui; all of them: aegis-tui config list"


@dataclass(frozen=True, slots=True)
class FirstChoice:
    """What a person chooses before the first run."""

    base_url: str
    """Base URL of the model server for all runs, as the person typed it, without blanks around it."""
    kind: str = NATIVE
    """The agent kind of features for which the design names none."""
    with_files: bool = False
    """Whether the repository also gets its own settings, roles, rules and spec templates, as `init` writes them."""

    def settings_text(self) -> str:
        """Return the content of the person's settings file (TOML)."""
        lines = [HEAD, f"base_url = {json.dumps(self.base_url, ensure_ascii=False)}"]
        if self.kind != NATIVE:
            lines.append(f"kind = {json.dumps(self.kind)}")
        return "\n".join(lines) + "\n"


class FirstUse:
    """What the dialog of a first session needs.

    Args:
        settings_file: The person's settings file, which does not exist yet.
        default_url: The model server that is used if nothing is chosen.
        setup: Writes the files of the repository.
        examine_machine: Checks everything but the model server.
        examine_model: Checks the model server with this base URL.
        kinds: The agent kinds that are installed, the built-in one first; blocking.
    """

    def __init__(
        self,
        *,
        settings_file: Path,
        default_url: str,
        setup: Callable[[], Awaitable[Setup]],
        examine_machine: Callable[[], Awaitable[list[Check]]],
        examine_model: Callable[[str], Awaitable[list[Check]]],
        kinds: Callable[[], list[str]],
    ) -> None:
        self.settings_file, self.default_url = settings_file, default_url
        self._setup, self.kinds = setup, kinds
        self.examine_machine, self.examine_model = examine_machine, examine_model

    async def planned(self, choice: FirstChoice) -> list[str]:
        """Return the paths that `write` will create for this choice; those in the checkout are relative to it.

        Raises:
            GitUnavailable: git is missing.
            Refused: A path leads out of the checkout.
        """
        files = (await self._setup()).planned() if choice.with_files else []
        return [str(self.settings_file), *files]

    async def write(self, choice: FirstChoice) -> list[str]:
        """Write what was chosen, and return the paths that were written. A settings file that exists is not changed.

        Raises:
            Refused: Somebody has created the settings file meanwhile, or a path leads out of the checkout; nothing
                was written.
            GitUnavailable: git is missing; nothing was written.
            OSError: A file cannot be written; some may have been.
        """
        setup = await self._setup() if choice.with_files else None
        if setup is not None:
            setup.planned()
        self.settings_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not create_file(self.settings_file, choice.settings_text().encode()):
            raise Refused(f"{self.settings_file} exists already", "look at it: aegis-tui config list --show-origin")
        return [str(self.settings_file), *(setup.write().written if setup is not None else ())]
