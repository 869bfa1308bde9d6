"""`config`: the settings in effect here, and where each comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, SecretStr

from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.config import ENVIRONMENT, NOT_FROM_PROJECT, describe, trace_settings, user_file
from aegis_tui.domain.wire.machine import SettingsOutput, SettingValue
from aegis_tui.errors import GitUnavailable

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def config() -> None:
    """Make `list` a subcommand of `config`; do nothing else. What follows is the help of `config`.

    A flag overrides the environment, which overrides the project's .agents/config.toml, which overrides your own
    config.toml.

    Example: aegis-tui config list --show-origin
    """


@app.command(name="list")
def list_settings(
    show_origin: Annotated[bool, typer.Option("--show-origin", help="Show where each value comes from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> int:
    """List every setting with its value. Exit code 2 if a file or a variable has a wrong value.

    Outside a repository, no project file is read.
    """
    settings, origins = trace_settings(os.environ, project=_project())
    plain: list[SettingValue] = []
    for name, value, description in _values(settings):
        top = name.partition(".")[0]
        plain.append(
            {
                "name": name,
                "value": str(value) if isinstance(value, Path) else value,
                "source": origins[top].source,
                "where": origins[top].where,
                "variable": ENVIRONMENT.get(name),
                "may_be_set_by_project": {name, top}.isdisjoint(NOT_FROM_PROJECT),
                "help": description.replace("`", ""),
            }
        )
    rows = [[item["name"], _text(item["value"]), *(_origin(item) if show_origin else [])] for item in plain]
    fields = SettingsOutput(settings=plain, file=str(user_file(os.environ)))
    output.result(fields, as_json=as_json, lines=output.table(rows))
    return 0


def _values(settings: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Yield name, value and description of each setting; a setting in a table is named `table.name`.

    Args:
        settings: The model with all settings, or with those of one table of the settings file.
        prefix: What each name begins with: `table.` for the settings of a table, empty for all settings.
    """
    help_texts = describe(type(settings))
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _values(value, f"{prefix}{name}.")
        elif isinstance(value, dict) and any(isinstance(item, BaseModel) for item in value.values()):
            for key, item in value.items():
                yield from _values(item, f"{prefix}{name}.{key}.")
        elif isinstance(value, dict):
            plain = {key: str(item) if isinstance(item, SecretStr) else item for key, item in value.items()}
            yield f"{prefix}{name}", plain, help_texts.get(name, "")
        else:
            yield f"{prefix}{name}", value, help_texts.get(name, "")


def _text(value: object) -> str:
    if isinstance(value, tuple | list):
        return " ".join(map(str, value)) or "-"
    if isinstance(value, dict):
        if any(isinstance(item, tuple | list) for item in value.values()):
            return "; ".join(f"{name}: {_text(items)}" for name, items in value.items())
        return ", ".join(f"{action} {key}" for action, key in value.items()) or "-"
    return "-" if value is None else str(value)


def _origin(item: SettingValue) -> list[str]:
    return [item["source"], item["where"]]


def _project() -> Path | None:
    """Return the checkout around the current folder, whose settings apply.

    None outside a checkout, or if git is missing.

    Raises:
        UsageError: The current folder does not exist.
    """
    try:
        return here().root
    except GitUnavailable:
        return None
