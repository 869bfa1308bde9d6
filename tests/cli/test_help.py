"""Each command has one description, in its help as in the list of commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from aegis_tui.cli import main
from aegis_tui.cli.commands import COMMANDS, EXAMPLES, EXIT_CODES
from aegis_tui.cli.tree import app


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_begins_with_its_description(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    assert COMMANDS[name][2] in " ".join(shown.split())
    command = typer.main.get_command(app).get_command(None, name)  # type: ignore[attr-defined]
    assert command.help.partition("\n\n")[0] == COMMANDS[name][2]


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its words."""
    for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
        inner = command.get_command(None, name)
        if getattr(inner, "commands", None):
            yield from leaves(inner, (*words, name))
        if not getattr(inner, "commands", None) or inner.invoke_without_command:
            yield " ".join((*words, name)), inner


LEAVES = dict(leaves(typer.main.get_command(app)))


@pytest.mark.parametrize("words", LEAVES)
def test_the_help_of_a_command_ends_with_an_example_that_it_takes_and_the_exit_codes(words: str) -> None:
    shown = CliRunner().invoke(app, [*words.split(), "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    example = EXAMPLES[words.replace("server ", "hub ")].replace("hub ", f"{words.split()[0]} ", 1)
    assert f"Example: aegis-tui {example}" in shown and f"Exit codes: {EXIT_CODES}." in " ".join(shown.split())
    command = LEAVES[words]
    command.make_context(words, shlex.split(example)[len(words.split()) :], resilient_parsing=False)


@pytest.mark.parametrize("words", LEAVES)
def test_no_paragraph_of_a_help_is_broken_where_its_docstring_is(words: str) -> None:
    assert all("\n" not in part for part in LEAVES[words].help.split("\n\n"))


@pytest.mark.parametrize("words", LEAVES)
def test_no_word_of_a_help_is_taken_for_markup(words: str) -> None:
    shown = CliRunner().invoke(app, [*words.split(), "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    assert all(" ".join(part.split()) in " ".join(shown.split()) for part in LEAVES[words].help.split("\n\n"))


@pytest.mark.parametrize("words", LEAVES)
def test_the_help_shows_each_option_in_full_and_a_type_only_if_a_value_follows(words: str) -> None:
    shown = CliRunner().invoke(app, [*words.split(), "--help"], env={"COLUMNS": "400", "TERM": "dumb"}).output
    assert all(item.help in shown for item in LEAVES[words].params), words
    assert "<bool>" not in shown and "[[" not in shown


@pytest.mark.parametrize("name", ["show", "request"])
def test_the_usage_of_a_review_command_takes_no_run_before_it(name: str) -> None:
    shown = CliRunner().invoke(app, ["review", name, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    assert f" review {name} [OPTIONS]" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("conflicts", "In a hot conflict they change the same lines"),
        ("init", "Existing files are not changed, with two exceptions"),
        ("connect", "one per line: lock:acquire path=src/a.py wait_s=5"),
        ("config", "A flag overrides the environment"),
    ],
)
def test_the_help_of_a_command_shows_its_whole_docstring(words: str, said: str) -> None:
    shown = CliRunner().invoke(app, [words, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    assert said in " ".join(shown.split())


def test_no_example_is_of_a_command_that_is_not_there() -> None:
    assert set(EXAMPLES) <= set(LEAVES)


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
        (["review", "request"], "aegis-tui review request --help"),
    ],
)
def test_wrong_usage_names_the_help_of_that_command(
    capsys: pytest.CaptureFixture[str], words: list[str], hint: str
) -> None:
    assert main.run(words) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"  {hint}"
