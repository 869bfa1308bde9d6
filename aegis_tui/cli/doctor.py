"""`aegis-tui doctor`: checks whether this machine has what this program needs (contract 9)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.config import Settings, load_settings
from aegis_tui.domain.wire.machine import DoctorOutput
from aegis_tui.errors import GitUnavailable

if TYPE_CHECKING:
    from aegis_tui.application.check import Check


def _doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    base_url: Annotated[str | None, typer.Option("--base-url", help="Model server, with or without /v1.")] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Model name; when left out, the first served model that can call a tool."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle", metavar="FILE", help="Write a file for a bug report, without private data; nothing is sent."
        ),
    ] = None,
) -> int:
    """Check this machine, and say how to fix what is missing.

    Works outside a repository too, and starts no hub. Without --base-url or --model, those of the settings are checked.

    Exit code 5 if something essential is missing; 0 if only something that is not essential is missing; 2 if a setting
    is wrong or the file of --bundle cannot be written. If that file already exists, it is replaced.
    """
    from aegis_tui.application.check import missing
    from aegis_tui.bootstrap.machine import make_doctor

    settings = _settings()
    chosen = {"base_url": base_url or settings.base_url, "model": model or settings.model}
    doctor = make_doctor(settings.model_copy(update=chosen), Path.cwd(), dict(os.environ))
    checks = asyncio.run(doctor.examine())
    lacks = missing(checks)
    fields = DoctorOutput(ok=not lacks, checks=[check.to_wire() for check in checks])
    if bundle is not None:
        from aegis_tui.cli.bundle import write_bundle

        write_bundle(bundle, fields["checks"])
        fields["bundle"] = str(bundle)
        output.talk(
            f"{bundle} holds no tokens, goals, file contents or names of persons and hosts, and was not sent; "
            "read it before you share it"
        )
    output.result(fields, as_json=as_json, lines=_lines(checks))
    return 5 if lacks else 0


def _settings() -> Settings:
    """Return the settings in effect here; outside a repository, or without git, those of the person alone.

    Raises:
        UsageError: A setting is unknown or wrong, or the current folder does not exist.
    """
    try:
        return here().settings
    except GitUnavailable:
        return load_settings(os.environ)


def _lines(checks: list[Check]) -> Iterator[str]:
    checks = [_in_one_line(check) for check in checks]
    rows = output.table((_mark(check), check.name, check.observed) for check in checks)
    for check, row in zip(checks, rows, strict=True):
        yield row
        if not check.ok and check.fix:
            yield f"         fix: {check.fix}"


def _mark(check: Check) -> str:
    if check.ok:
        return "ok"
    if check.is_extra:
        return "-"
    return "FAILED" if check.essential else "WARNING"


def _in_one_line(check: Check) -> Check:
    """Return a failed check of something optional with its fix appended to `observed`, so that it takes one line.

    Any other check is returned unchanged.
    """
    is_short = check.is_extra and not check.ok
    return replace(check, observed=f"{check.observed} ({check.fix})", fix="") if is_short else check


doctor_app = typer.Typer(add_completion=False)
doctor_app.command()(_doctor)
