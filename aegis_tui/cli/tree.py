"""The tree of commands: one lazily imported module for each command group."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import typer
from typer.core import TyperGroup

from aegis_tui.cli import output
from aegis_tui.cli.commands import COMMANDS, EXAMPLES, EXIT_CODES
from aegis_tui.errors import AegisError, UsageError


class _Commands(TyperGroup):
    """Imports a command's module when the command runs, and only then."""

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
        _spare_coercion(command)
        _show_examples(command, cmd_name)
        return command


app = typer.Typer(
    cls=_Commands,
    add_completion=True,
    invoke_without_command=True,
    help="A terminal workspace for many coding agents at once.",
)


@app.callback()
def root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", "-V", help="Print the version and end."),
    base_url: str | None = typer.Option(None, metavar="URL", help="Model server of the session."),
    model: str | None = typer.Option(None, metavar="NAME", help="Model of the session."),
    theme: str | None = typer.Option(None, metavar="NAME", help="Theme of the session, a file in themes/."),
    layout: str | None = typer.Option(None, metavar="NAME", help="Layout of the session, a file in layouts/."),
) -> None:
    """A terminal workspace for many coding agents at once."""
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
        hint = f"give it behind: aegis-tui {name} {words[0]} …, if {name} takes it"
        raise UsageError(f"{words[0]} stands before {name}", hint)


def _show_examples(command: Any, words: str) -> None:
    """End the help of a command, and of each below it, with an example and the exit codes."""
    for name, inner in getattr(command, "commands", {}).items():
        _show_examples(inner, f"{words} {name}")
    known = words.replace("server ", "hub ", 1) if words.startswith("server ") else words
    if (example := EXAMPLES.get(known)) is not None:
        shown = words + example.removeprefix(known)
        command.epilog = f"Example: aegis-tui {shown}\n\nExit codes: {EXIT_CODES}."


def _spare_coercion(command: Any) -> None:
    """Leave values as they are that need no parsing: what is unset, defaults that are no text, and text for `str`.

    Typer would have pydantic check them all, and its import is half of the time of a short command.
    """
    command.get_params = partial(_params, command.get_params)
    for inner in getattr(command, "commands", {}).values():
        _spare_coercion(inner)


def _params(get: Callable[[Any], list[Any]], context: Any) -> list[Any]:
    """The parameters of a command, `--help` among them, each with the check that spares."""
    parameters = get(context)
    for parameter in parameters:
        if not isinstance(parameter.process_value, partial):
            parameter.process_value = partial(_process_value, parameter, parameter.process_value)
    return parameters


def _process_value(parameter: Any, coerce: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if value is None and not parameter.required:
        value = () if parameter.multiple or parameter.nargs == -1 else None
    elif not (type(value) in (bool, int, float) or (type(value) is str and annotation is str)):
        return coerce(context, value)
    return value if parameter.callback is None else parameter.callback(context, parameter, value)


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit code.

    Raises:
        AegisError: The command failed, or there is none such.
        KeyboardInterrupt: A person ended it.
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
    """The usage error that a parser exception stands for; Typer carries a Click of its own."""
    show = getattr(error, "format_message", None)
    if show is None:
        return None
    where = getattr(getattr(error, "ctx", None), "command_path", "") or "aegis-tui"
    return UsageError(str(show()) or "wrong usage", f"{where} --help")
