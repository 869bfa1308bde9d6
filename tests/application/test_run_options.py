"""What is chosen for a run goes before what is chosen for all."""

from __future__ import annotations

from aegis_tui.application.run_options import run_options
from aegis_tui.config import QaSettings, Settings
from aegis_tui.domain.run.events import RunOptions

SETTINGS = Settings(workers=5, kind="native", base_url="http://127.0.0.1:9/v1", model="m", sandbox="off")


def test_settings_stand_where_nothing_is_chosen() -> None:
    options = RunOptions.model_validate(run_options(SETTINGS, model=None, yes=None))
    assert (options.workers, options.base_url, options.model) == (5, "http://127.0.0.1:9/v1", "m")
    assert (options.sandbox, options.kind, options.yes) == ("off", "native", False)


def test_what_is_chosen_goes_first_also_where_it_is_false_or_none_at_all() -> None:
    options = run_options(SETTINGS, model="other", workers=1, unchecked=False, max_rounds=0, checks=[])
    assert (options["model"], options["workers"]) == ("other", 1)
    assert (options["unchecked"], options["max_rounds"], options["checks"]) == (False, 0, [])


def test_the_limits_of_the_feedback_loop_come_from_the_settings() -> None:
    settings = SETTINGS.model_copy(update={"rounds": 2, "handovers": 0, "qa": QaSettings(pieces=False)})
    options = RunOptions.model_validate(run_options(settings, max_rounds=None))
    assert (options.max_rounds, options.handovers, options.piece_checks) == (2, 0, False)
    assert run_options(settings, max_rounds=5)["max_rounds"] == 5
    usual = RunOptions.model_validate(run_options(SETTINGS))
    assert (usual.max_rounds, usual.handovers, usual.piece_checks) == (3, 1, True)
