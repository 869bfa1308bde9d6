"""Makes models from the JSON types of `aegis_tui/domain/wire`, so that pydantic can describe them (HUB-3).

Before Python 3.12 pydantic takes no `typing.TypedDict`; and what it would say of one lacks the line under each field.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache, reduce
from itertools import pairwise
from operator import or_
from types import MappingProxyType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from pydantic import BaseModel, ConfigDict, Field, create_model

from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.message.exchange import Exchange
from aegis_tui.domain.piece.model import Piece, PieceConflict
from aegis_tui.domain.qa.events import QaBaseChecked, QaFinished
from aegis_tui.domain.review.model import Review
from aegis_tui.domain.run.design import Design
from aegis_tui.domain.run.events import RunCommitted, RunFacts, RunOptions
from aegis_tui.domain.spec.model import SpecState
from aegis_tui.domain.wire import answer, context, form, instance, piece, qa, reply, run
from aegis_tui.hub.schema_names import NAMES

SAME_AS: Final[Mapping[type[Any], type[BaseModel]]] = MappingProxyType(
    {
        instance.InstanceView: Instance,
        piece.PieceFields: Piece,
        piece.ConflictFields: PieceConflict,
        piece.MergedFileFields: MergedFile,
        piece.ReviewFields: Review,
        qa.QaFields: QaFinished,
        qa.BaseQaFields: QaBaseChecked,
        run.DesignFields: Design,
        run.OptionsFields: RunOptions,
        run.FactsFields: RunFacts,
        run.CommitFields: RunCommitted,
        context.SpecFields: SpecState,
        context.ExchangeFields: Exchange,
    }
)
"""JSON type -> the model of the core whose JSON it is; the documents describe the model, which knows its limits too."""

SENT_BY_THE_HUB: Final = (
    answer.Accepted,
    answer.Refusal,
    answer.Resync,
    answer.LockFailed,
    answer.ContextSync,
    answer.Health,
    answer.State,
    answer.StateSection,
    answer.Mirror,
    answer.EventsPage,
    *dict.fromkeys(reply.REPLIES.values()),
)
"""The JSON types that stand for themselves in the documents; those in their fields follow."""

TypeOf = Callable[[type[Any]], Any]
"""Returns the type that stands for a JSON type in a model."""


def models_of(kinds: Iterable[type[Any]]) -> list[type[BaseModel]]:
    """Return for each JSON type, a `TypedDict`, the model that describes it in the published documents.

    That is `dict[str, Any]` for a type without a name in `NAMES`. The result is in the order of `kinds`.

    Raises:
        KeyError: A `SchemaNote` names a type that is not in `NAMES`.
        OSError: The source of a type, from which the lines under its fields are read, is missing.
    """
    named = {name: model for model, name in NAMES.items()}
    made: dict[type[Any], type[BaseModel]] = dict(SAME_AS)

    def type_of(kind: type[Any]) -> type[Any]:
        """Return the model for a JSON type, made once; `dict[str, Any]` for one without a name in `NAMES`.

        Raises what `model_of` raises.
        """
        if kind not in made and kind in NAMES:
            made[kind] = model_of(kind, type_of, named=named, config=ConfigDict(defer_build=True))
        return made.get(kind, dict[str, Any])

    return [type_of(kind) for kind in kinds]


def plain_schema(kind: type[Any]) -> dict[str, Any]:
    """Return the JSON Schema of a `TypedDict`, in which each field that is a `TypedDict` may be any object.

    Raises:
        KeyError: A field has a `SchemaNote` that names a type.
        OSError: The source of the type, from which the lines under its fields are read, is missing.
    """
    return model_of(kind, lambda _: dict[str, Any], named={}).model_json_schema(mode="serialization")


def model_of(
    kind: type[Any], type_of: TypeOf, *, named: Mapping[str, type[Any]], config: ConfigDict | None = None
) -> type[BaseModel]:
    """Return a model with the fields of a JSON type (`TypedDict`) and its docstring.

    The line under each field becomes its description. A field that is `NotRequired` need not be given.

    Args:
        kind: The JSON type.
        type_of: Returns the type to use for each JSON type in one of its fields.
        named: Types by the names that `SchemaNote.named` gives.
        config: Settings of the model.

    Raises:
        KeyError: A note names a type that is not in `named`.
        StopIteration: A field is `Annotated`, but without a `SchemaNote`.
        OSError: The source of the type, from which the lines under its fields are read, is missing.
    """
    lines = _lines(kind)
    fields: Any = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        is_optional = get_origin(hint) is NotRequired
        plain, note = _noted(get_args(hint)[0] if is_optional else hint)
        options: Any = {"description": lines.get(name)}
        if note.form:
            options["json_schema_extra"] = {"format": note.form}
        if note.default is not form.NO_DEFAULT:
            options["default"] = note.default
        elif is_optional:
            options["default_factory"] = lambda: None
        fields[name] = (named[note.named] if note.named else _replaced(plain, type_of), Field(**options))
    made: Any = create_model(kind.__name__, __config__=config, __doc__=kind.__doc__, **fields)
    return cast("type[BaseModel]", made)


def _noted(hint: Any) -> tuple[Any, form.SchemaNote]:
    """Return the type in an `Annotated` without any of its annotations, and the `SchemaNote` among these.

    Any other type is returned as it is, with an empty note.

    Raises:
        StopIteration: There is an `Annotated` without a `SchemaNote`.
    """
    if get_origin(hint) is not Annotated:
        return hint, form.SchemaNote()
    plain, *extras = get_args(hint)
    return plain, next(item for item in extras if isinstance(item, form.SchemaNote))


def _replaced(hint: Any, type_of: TypeOf) -> Any:
    """Return a type with every JSON type in it replaced by what `type_of` returns for it, and `object` by `Any`."""
    if is_typeddict(hint):
        return type_of(hint)
    if hint is object:
        return Any
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (None, Literal):
        return hint
    inner = tuple(_replaced(part, type_of) for part in parts)
    return reduce(or_, inner) if origin is UnionType else origin[inner]


def _lines(kind: type[Any]) -> dict[str, str]:
    """Return the docstring under each field of a JSON type (`TypedDict`) that has one: name of the field -> text.

    Those of inherited fields are among them. Empty for a type that is made by a call.

    Raises:
        OSError: The source of its module cannot be read.
    """
    module = sys.modules[kind.__module__]
    classes = [node for node in _tree(module.__name__).body if isinstance(node, ast.ClassDef)]
    lines: dict[str, str] = {}
    if (node := next((node for node in classes if node.name == kind.__name__), None)) is None:
        return lines  # it is made by a call, for a field that is a word of Python
    for base in node.bases:
        outer = getattr(module, ast.unparse(base))
        lines |= _lines(outer) if is_typeddict(outer) else {}
    for field, after in pairwise(node.body):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                lines[name] = inspect.cleandoc(text)
    return lines


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[module]))
