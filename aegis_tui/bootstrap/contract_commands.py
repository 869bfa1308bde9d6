"""The document of what commands print with `--json` (contract 9), made from the types of `aegis_tui/domain/wire`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from aegis_tui import __version__
from aegis_tui.domain.wire.output import FailureOutput, Printed
from aegis_tui.domain.wire.outputs import OUTPUTS
from aegis_tui.hub.schema_dicts import model_of
from aegis_tui.hub.schema_names import NAMES

_PREFIX = "#/components/schemas/"


def commands() -> dict[str, Any]:
    """Return the document of what commands print with `--json`: {$schema, info, commands, failure, components}.

    `commands` has a JSON Schema (2020-12) for each command, with an alternative for each option that changes what it
    prints; `failure` is what any of them prints if it fails. The schemas that these refer to are named after the types.
    """
    kinds = dict.fromkeys(kind for shapes in OUTPUTS.values() for kind in shapes)
    models = [(model, "serialization") for model in _models_of([Printed, FailureOutput, *kinds])]
    _, described = models_json_schema(models, ref_template=f"{_PREFIX}{{model}}")  # type: ignore[arg-type]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "info": {"title": "aegis-tui --json", "version": __version__},
        "commands": {f"aegis-tui {name}": _one_of(shapes) for name, shapes in OUTPUTS.items()},
        "failure": _reference(FailureOutput),
        "components": {"schemas": described["$defs"]},
    }


def _one_of(shapes: Iterable[type[Any]]) -> dict[str, Any]:
    options = [{"allOf": [_reference(Printed), _reference(kind)]} for kind in shapes]
    return {"anyOf": options} if len(options) > 1 else options[0]


def _reference(kind: type[Any]) -> dict[str, str]:
    return {"$ref": f"{_PREFIX}{kind.__name__}"}


def _models_of(kinds: Iterable[type[Any]]) -> list[type[BaseModel]]:
    named = {name: model for model, name in NAMES.items()}
    made: dict[type[Any], type[BaseModel]] = {}

    def type_of(kind: type[Any]) -> type[BaseModel]:
        if kind not in made:
            made[kind] = model_of(kind, type_of, named=named)
        return made[kind]

    return [type_of(kind) for kind in kinds]
