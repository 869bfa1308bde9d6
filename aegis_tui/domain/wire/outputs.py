"""Which command prints what with `--json` (contract 9): one JSON object, or for `events` one in each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from aegis_tui.domain.wire import answer, code_map, environment, gateway, machine, merge, output, push, rule

OUTPUTS: Final[Mapping[str, Sequence[type[Any]]]] = MappingProxyType(
    {
        "cancel": [output.RunOutput],
        "config list": [machine.SettingsOutput],
        "conflicts": [output.ConflictsOutput],
        "demo": [machine.DemoOutput],
        "doctor": [machine.DoctorOutput],
        "events": [answer.Envelope],
        "explain": [output.ExplainOutput],
        "gateway log": [gateway.CallLogOutput],
        "gateway prefixes": [gateway.PrefixesAnswer],
        "gateway replay": [gateway.CallReplayOutput],
        "gateway status": [gateway.GatewayOutput],
        "halt": [output.RunOutput],
        "hub repair": [output.RepairOutput],
        "hub restart": [output.HubOutput],
        "hub start": [output.HubOutput],
        "hub status": [output.HubOutput],
        "hub stop": [output.HubOutput],
        "inbox": [output.InboxOutput],
        "workspaces": [output.WorkspacesOutput],
        "inbox answer": [output.AnswerOutput],
        "init": [machine.InitOutput],
        "lock acquire": [output.LocksOutput],
        "lock break": [output.BrokenOutput],
        "lock import": [output.ImportedOutput],
        "lock list": [output.LockListOutput],
        "lock release": [output.ReleasedOutput],
        "map build": [code_map.BuildOutput],
        "map callees": [code_map.CalleesOutput],
        "map callers": [code_map.SitesOutput],
        "map find": [code_map.SymbolsOutput],
        "map impact": [code_map.ImpactOutput],
        "map search": [code_map.SymbolsOutput],
        "map show": [code_map.ShownText, code_map.ShownFolder],
        "map status": [code_map.MapStatusOutput],
        "map tests": [code_map.SitesOutput],
        "merge apply": [output.RunOutput],
        "merge plan": [merge.MergePlanOutput],
        "partition check": [machine.OverlapsOutput],
        "pr": [push.PullRequestOutput],
        "push": [push.PushOutput],
        "qa": [output.QaOutput, output.CheckOutput, output.RunOutput],
        "replay": [output.ReplayOutput],
        "report": [output.ReportOutput],
        "rescue list": [output.RescuesOutput],
        "rescue prune": [output.PrunedOutput],
        "rescue restore": [output.RestoredOutput],
        "rescue show": [output.RescueOutput],
        "resume": [output.RunOutput],
        "review": [output.ReviewsOutput],
        "environment allow": [environment.SetupAllowedOutput],
        "environment forget": [environment.ForgottenOutput],
        "environment log": [environment.SetupLogOutput],
        "environment show": [environment.EnvironmentOutput],
        "rules allow": [rule.AllowedOutput],
        "rules check": [rule.RuleCheckOutput],
        "rules findings": [rule.RuleFindingsOutput],
        "rules list": [rule.RulesOutput],
        "rules refuse": [output.RunOutput],
        "rules test": [rule.ExamplesOutput],
        "run": [output.ReportOutput, output.RunOutput],
        "runs": [output.RunsOutput],
        "screenshot": [machine.ScreenshotOutput],
        "send": [output.SentOutput],
        "status": [output.StatusOutput],
        "stop": [output.StopOutput],
        "transcript": [output.TranscriptOutput],
        "vllm plan": [machine.PlanOutput],
        "vllm setup": [machine.SetupOutput],
        "vllm start": [machine.StartedServerOutput, machine.CommandOutput],
        "vllm status": [machine.ServerOutput],
        "vllm stop": [machine.StoppedServerOutput],
        "wait": [output.ReportOutput],
        "worktree list": [machine.WorktreesOutput],
        "worktree remove": [machine.RemovedOutput],
        "worktree repair": [machine.RemovedOutput],
    }
)
"""Command, without `aegis-tui` -> what it prints if it succeeds, beside `output.Printed`; another for each option."""

SAME_AS: Final[Mapping[str, str]] = MappingProxyType({"dashboard": "status", "server": "hub"})
"""Another name of a command -> its first name."""
