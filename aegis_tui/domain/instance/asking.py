"""Rules about questions that the program of an instance asks the person on its screen (PANE-5, PANE-4)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.instance.commands import InstanceAnswer, InstanceMarkAsking
from aegis_tui.domain.instance.events import InstanceAnswered, InstanceAsking
from aegis_tui.domain.instance.model import Instance, ShownPrompt
from aegis_tui.domain.instance.rules import living_instance
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.wire.reply import AnsweredReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError


def asked_of(workspace: Workspace, command: InstanceAnswer) -> tuple[Instance, ShownPrompt, str]:
    """Return the instance that a command answers, its question, and the words of the choice.

    Raises:
        UsageError: There is no such instance, or the question has no choice with this number.
        Refused: The instance has ended, or does not ask this any more (code `prompt.gone`).
    """
    instance = living_instance(workspace, command.agent_id)
    if instance.asks is None or instance.asks.prompt != command.prompt:
        raise prompt_gone(instance.instance_id)
    choices = instance.asks.screen.choices
    if command.choice > len(choices):
        hint = f"give a number from 1 to {len(choices)}" if choices else f"aegis-tui attach {instance.instance_id}"
        raise UsageError(f"{command.prompt} has no choice {command.choice}", hint)
    return instance, instance.asks, choices[command.choice - 1]


def prompt_gone(instance_id: str) -> Refused:
    """Return the error for an answer to a question that is not on the screen any more."""
    return Refused(
        f"{instance_id} does not ask this any more; nothing was typed", "see aegis-tui inbox", code="prompt.gone"
    )


def answer(workspace: Workspace, command: InstanceAnswer, actor: Actor, request_id: str) -> Decision:
    """Record that the hub has typed the answer to a question into the pane, which it has done by now.

    The reply has `delivery`. If the question has gone from the state since it was typed, nothing is recorded.

    Raises:
        UsageError: There is no such instance.
        Refused: Nothing was typed, because no hub with panes runs (code `prompt.gone`).
    """
    instance = workspace.instances.find(command.agent_id)
    if instance is None:
        raise UsageError(f"there is no instance {command.agent_id}", "list them: aegis-tui status")
    if command.delivery is None:
        raise prompt_gone(instance.instance_id)
    reply = AnsweredReply(agent_id=instance.agent_id, delivery=command.delivery)
    if instance.asks is None or instance.asks.prompt != command.prompt:
        return Decision([], reply)
    choice = asked_of(workspace, command)[2]
    data = InstanceAnswered(prompt=command.prompt, choice=choice, delivery=command.delivery)
    return Decision([(instance.agent_id, data)], reply)


def mark_asking(workspace: Workspace, command: InstanceMarkAsking, actor: Actor, request_id: str) -> Decision:
    """Record what the screen of an instance asks, each question once; no events if that is known or it has ended."""
    instance = workspace.get_instance(command.agent_id)
    if instance is None or not instance.is_alive:
        return Decision()
    known = instance.asks.screen if instance.asks else None
    if (known and known.digest) == (command.screen and command.screen.digest):
        return Decision()
    asks = None
    if command.screen is not None:
        number = f"{instance.instance_id}-p{instance.prompts + 1}"
        asks = ShownPrompt(prompt=number, screen=command.screen, source=command.source)
    return Decision([(instance.agent_id, InstanceAsking(asks=asks))])


RULES: Final[Rules] = MappingProxyType({InstanceAnswer: answer, InstanceMarkAsking: mark_asking})
