"""A design as a page of lines: who may write where, the order of work as a graph, and the briefs."""

from __future__ import annotations

from aegis_tui.domain.run.design import Design, Feature, topological
from aegis_tui.errors import DesignRefused
from aegis_tui.tui.text import Line, Span, fit, inert, wrap


def design_lines(design: Design, *, width: int) -> list[Line]:
    """Return the lines for a design: its goal, who may write where, the graph of features, the briefs and QA commands.

    Args:
        design: A valid design.
        width: Cells to which lines are wrapped or cut.
    """
    lines: list[Line] = [(Span(text, "strong"),) for text in wrap(design.goal, width)]
    lines += [(), (Span("Who writes where", "strong"),)]
    if design.foundation:
        lines += _area("foundation", design.foundation.partition, width)
    for feature in design.features:
        lines += _area(feature.id, feature.partition, width)
    lines += _area("joint", design.joint, width, note="any worker, under a lock")
    lines += _area("shared", design.shared, width, note="read-only")
    lines += [(), (Span("Order of work", "strong"),)]
    lines += graph_lines(design, width=width)
    lines += [(), (Span("Briefs", "strong"),)]
    if design.foundation:
        lines += _brief("foundation", "", design.foundation.brief, width)
    for feature in design.features:
        lines += _brief(feature.id, feature.title, feature.brief, width)
    if design.qa:
        lines += [(), (Span("QA", "strong"),)]
        lines += [(Span(fit(f"  $ {inert(command)}", width)),) for command in design.qa.commands]
    return lines


def _area(owner: str, globs: tuple[str, ...], width: int, *, note: str = "") -> list[Line]:
    room = max(8, width - 15)
    lines: list[Line] = []
    for at, glob in enumerate(globs):
        name = inert(owner) if at == 0 else ""
        lines.append((Span(f"  {fit(name, 12)} ", "accent"), Span(fit(inert(glob), room))))
    if note and globs:
        lines.append((Span(" " * 15), Span(fit(note, room), "muted")))
    return lines


def _brief(name: str, title: str, brief: str, width: int) -> list[Line]:
    head = fit(f"  {inert(title)}", max(0, width - 2 - len(name)))
    text = [(Span(f"    {line}"),) for line in wrap(brief, max(8, width - 4))]
    return [(Span(f"  {inert(name)}", "accent"), Span(head, "strong")), *text]


def graph_lines(design: Design, *, width: int) -> list[Line]:
    """Return a line per feature, in a possible order of work: a tree, each below a feature that it depends on.

    The foundation comes first, if there is one. If the dependencies have a cycle, return one line with the error.
    """
    try:
        order = topological(design.features)
    except DesignRefused as error:
        return [(Span(fit(f"  {inert(error.message)}", width), "bad"),)]
    by_id = {feature.id: feature for feature in design.features}
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth[need] for need in by_id[name].depends_on if need in depth), default=-1)
    lines: list[Line] = []
    if design.foundation:
        lines.append((Span("  ● ", "info"), Span("foundation", "accent"), Span("  first, alone", "muted")))
    step = bool(design.foundation)
    return [*lines, *(_node(by_id[name], depth[name] + step, width) for name in _as_tree(order, by_id))]


def _as_tree(order: list[str], by_id: dict[str, Feature]) -> list[str]:
    """Return the ids of the features in an order for drawing: each below all that it depends on, near the last one.

    Args:
        order: The ids of the features in a possible order of work.
        by_id: The features.
    """
    placed: list[str] = []
    for name in order:
        needs = [need for need in by_id[name].depends_on if need in placed]
        at = max((placed.index(need) for need in needs), default=len(placed) - 1) + 1
        while needs and at < len(placed) and by_id[placed[at]].depends_on:
            at += 1
        placed.insert(at, name)
    return placed


def _node(feature: Feature, depth: int, width: int) -> Line:
    lead = "  " + "   " * max(0, depth - 1) + ("└─ " if depth else "")
    needs = f"  after {', '.join(feature.depends_on)}" if feature.depends_on else ""
    room = max(4, width - len(lead) - 2 - len(feature.id) - len(needs) - 2)
    return (
        Span(lead, "muted"),
        Span("● ", "info"),
        Span(inert(feature.id), "accent"),
        Span(inert(needs), "muted"),
        Span("  " + fit(inert(feature.title), room)),
    )
