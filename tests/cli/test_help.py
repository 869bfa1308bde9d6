"""Each command has one description, in its help as in the list of commands."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from aegis_tui.cli import main
from aegis_tui.cli.commands import COMMANDS
from aegis_tui.cli.tree import app


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_begins_with_its_description(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    assert COMMANDS[name][2] in " ".join(shown.split())
    command = typer.main.get_command(app).get_command(None, name)  # type: ignore[attr-defined]
    assert command.help.partition("\n\n")[0] == COMMANDS[name][2]


@pytest.mark.parametrize("name", COMMANDS)
def test_only_the_program_itself_offers_to_install_completion(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    assert "--install-completion" not in shown


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["run"], "aegis-tui run --help"),
        (["qa", "--nope"], "aegis-tui qa --help"),
        (["lock", "nope"], "aegis-tui lock --help"),
        (["nope"], "aegis-tui --help"),
    ],
)
def test_wrong_usage_names_the_help_of_that_command(
    capsys: pytest.CaptureFixture[str], words: list[str], hint: str
) -> None:
    assert main.run(words) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"  {hint}"
