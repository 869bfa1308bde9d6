"""A prompt is queued until its addressee says what became of it (PANE-4)."""

from __future__ import annotations

from aegis_tui.application.prompt import PromptDelivery


def test_each_prompt_is_told_apart_and_others_change_nothing() -> None:
    delivery = PromptDelivery({"NATIVE-w01": 7, "NATIVE-w02": 8, "NATIVE-w03": 9})
    delivery.hear({7: "delivered", 99: "refused"})
    assert [delivery.word(name) for name in delivery.sent] == ["delivered", "queued", "queued"]
    waits = not delivery.is_complete
    assert waits
    delivery.hear({8: "refused", 9: "unknown"})
    assert [delivery.word(name) for name in delivery.sent] == ["delivered", "refused", "unknown"]
    assert delivery.is_complete
    assert delivery.words("NATIVE-w02") == "not delivered; the events say why"


def test_nobody_is_waited_for_when_nothing_was_sent() -> None:
    assert PromptDelivery({}).is_complete
