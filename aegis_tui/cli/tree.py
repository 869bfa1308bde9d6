"""The Typer app with all commands; the module of a command is imported only when it runs."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import typer
from typer.core import TyperGroup

from aegis_tui.cli import output
from aegis_tui.cli.commands import COMMANDS, EXAMPLES, EXIT_CODES
from aegis_tui.errors import AegisError, UsageError

_OWN_BRACKETS = re.compile(r"\[(\w+)\](?:\.\.\.)?")


class _Commands(TyperGroup):
    """A command group that imports the module of a command when the command is looked up."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, summary = COMMANDS[cmd_name]
        app = getattr(importlib.import_module(f"aegis_tui.cli.{module}"), attribute)
        command = typer.main.get_command(app)
        command.name = cmd_name
        command.short_help = summary
        command.help = "\n\n".join(filter(None, (summary, (command.help or "").partition("\n\n")[2])))
        _join_lines(command)
        _spare_coercion(command)
        _show_examples(command, cmd_name)
        return command


SUMMARY = (
    "A terminal workspace for many coding agents at once.\n\n"
    "Without a command, the dashboard of this repository is opened; the options below apply only then. For the options "
    "of a command, see its own help: aegis-tui COMMAND --help"
)

app = typer.Typer(
    cls=_Commands,
    add_completion=True,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND [ARGS]...]",
    help=SUMMARY,
)


@app.callback()
def root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", "-V", help="Print the version and exit."),
    base_url: str | None = typer.Option(
        None, metavar="URL", help="Model server for runs that you start in the dashboard."
    ),
    model: str | None = typer.Option(None, metavar="NAME", help="Model for these runs."),
    theme: str | None = typer.Option(
        None, metavar="NAME", help="Theme of the dashboard, such as light or high-contrast-dark."
    ),
    layout: str | None = typer.Option(None, metavar="NAME", help="Layout of the dashboard, such as focus or grid."),
) -> None:
    """Act on the options before a command: print the version, or without a command open the dashboard.

    Raises:
        UsageError: A command follows, and an option of the dashboard was given before it, where it has no effect.
        AegisError: The dashboard cannot be opened.
        typer.Exit: The version was printed, or the dashboard was closed; with the exit code.
    """
    if version:
        from aegis_tui import __version__

        output.data(f"aegis-tui {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        from aegis_tui.cli.place import here
        from aegis_tui.cli.session import Look, open_dashboard

        look = Look(base_url=base_url, model=model, theme=theme, layout=layout)
        raise typer.Exit(open_dashboard(here(), look))
    given = {"--base-url": base_url, "--model": model, "--theme": theme, "--layout": layout}
    if words := [flag for flag, value in given.items() if value is not None]:
        name = context.invoked_subcommand
        hint = f"put it after the command, if {name} has this option: aegis-tui {name} {words[0]} …"
        raise UsageError(f"{words[0]} was given before {name}, where it has no effect", hint)


def _show_examples(command: Any, words: str) -> None:
    """Add an example and the exit codes to the help of a command and of its subcommands.

    A command without an entry in `EXAMPLES` is not changed. `words` are the words that call the command, such as
    `hub start`, without the program's name.
    """
    for name, inner in getattr(command, "commands", {}).items():
        _show_examples(inner, f"{words} {name}")
    known = words.replace("server ", "hub ", 1) if words.startswith("server ") else words
    if (example := EXAMPLES.get(known)) is not None:
        shown = words + example.removeprefix(known)
        command.epilog = f"Example: aegis-tui {shown}\n\nExit codes: {EXIT_CODES}."


def _join_lines(command: Any) -> None:
    """Join the lines of each paragraph in the help of a command and its subcommands; the terminal's width breaks it."""
    command.help = "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    for inner in getattr(command, "commands", {}).values():
        _join_lines(inner)


def _spare_coercion(command: Any) -> None:
    """Change a command and its subcommands so that pydantic does not check values of arguments that need no parsing.

    These are unset ones, bool and numbers, and text for `str`. Typer lets pydantic check all values, and importing
    pydantic takes half of the time of a short command.
    """
    command.get_params = partial(_params, command.get_params)
    for inner in getattr(command, "commands", {}).values():
        _spare_coercion(inner)


def _params(get: Callable[[Any], list[Any]], context: Any) -> list[Any]:
    """Return the parameters of a command, including `--help`; each skips pydantic for a value that needs no parsing.

    How the help shows them is corrected too, see `_shown`.

    Args:
        get: The command's own `get_params`; its parameters are changed: `_process_value` wraps their own check.
        context: What `get` takes: the context of the call.
    """
    parameters = get(context)
    for parameter in parameters:
        parameter.metavar = _shown(parameter)
        if not isinstance(parameter.process_value, partial):
            parameter.process_value = partial(_process_value, parameter, parameter.process_value)
    return parameters


def _shown(parameter: Any) -> str | None:
    """Return the name to show for an argument, or what to show for the value of an option; None for Typer's choice.

    An argument is shown in capitals, without the brackets and dots that Typer adds itself. An option that takes no
    value shows none; Typer would show `<bool>`.
    """
    if parameter.param_type_name == "argument":
        return _OWN_BRACKETS.sub(r"\1", parameter.metavar or parameter.name.upper())
    return "" if parameter.is_flag else parameter.metavar


def _process_value(parameter: Any, coerce: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if value is None and not parameter.required:
        value = () if parameter.multiple or parameter.nargs == -1 else None
    elif not (type(value) in (bool, int, float) or (type(value) is str and annotation is str)):
        return coerce(context, value)
    return value if parameter.callback is None else parameter.callback(context, parameter, value)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code, 0 if it returns none. Other exceptions of the command are passed on.

    Raises:
        AegisError: The command failed, does not exist, or was called in a wrong way.
        KeyboardInterrupt: The person interrupted it.
    """
    try:
        command = typer.main.get_command(app)
        _spare_coercion(command)
        code = command.main(args=arguments, prog_name="aegis-tui", standalone_mode=False)
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except AegisError:
        raise
    except Exception as error:
        if (usage := _as_usage(error)) is None:
            raise
        raise usage from error
    return code if isinstance(code, int) else 0


def _as_usage(error: Exception) -> AegisError | None:
    """Convert an exception of the argument parser to a `UsageError`; None for any other exception.

    It is recognized by its methods, not by its class, because Typer contains its own copy of Click.
    """
    show = getattr(error, "format_message", None)
    if show is None:
        return None
    where = getattr(getattr(error, "ctx", None), "command_path", "") or "aegis-tui"
    return UsageError(str(show()) or "wrong usage", f"{where} --help")
