"""A prompt is delivered once its addressee says so, and queued until then (PANE-4)."""

from __future__ import annotations

from aegis_tui.application.prompt import PromptDelivery


def test_each_prompt_is_told_apart_and_others_change_nothing() -> None:
    delivery = PromptDelivery({"NATIVE-w01": 7, "NATIVE-w02": 8})
    delivery.hear([7, 99])
    assert delivery.is_delivered("NATIVE-w01") and not delivery.is_delivered("NATIVE-w02")
    assert not delivery.is_complete
    delivery.hear([8])
    assert delivery.is_complete


def test_nobody_is_waited_for_when_nothing_was_sent() -> None:
    assert PromptDelivery({}).is_complete
