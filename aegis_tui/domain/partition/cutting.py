"""Shares the nodes of a weighted graph out to groups of about equal size, so that few edges are cut.

Nodes that belong together are merged until few are left, these are shared out, and then the merges are undone step by
step while single nodes move to better groups (multilevel partitioning with Fiduccia-Mattheyses moves). Nothing is left
to chance: equal graphs give equal groups.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

EVEN: Final = 1.25
"""How much larger than the mean a group may be, if nothing else is asked for."""
_LEAST: Final = 0.6
"""The least size that is wanted, over the mean size of a group, if groups are `EVEN`; less if they may be larger."""
_COARSE: Final = 12
"""How many merged nodes for each group are shared out first."""
_PASSES: Final = 6
_STEPS: Final = 400_000
"""About how many nodes all tries together look at; a large graph gets fewer tries."""

Edges = Mapping[tuple[int, int], float]
Neighbours = list[dict[int, float]]


class _Graph(NamedTuple):
    """A graph: the size of each node, and its neighbours with the weight of the edge to each."""

    sizes: list[int]
    near: Neighbours


class _Bounds(NamedTuple):
    """What a group should have at least and at most."""

    least: float
    most: float

    def excess(self, size: float) -> float:
        """Return by how much a group of that size misses the bounds; 0 within them."""
        return max(0.0, size - self.most, self.least - size)


def cut_graph(sizes: Sequence[int], edges: Edges, groups: int, *, most_over: float = EVEN) -> list[int]:
    """Return the group, from 0, of each node; with fewer nodes than groups, some groups are empty.

    Args:
        sizes: The size of each node, at least 1.
        edges: Two different nodes -> the weight of the edge between them, over 0. Each pair stands here once.
        groups: How many groups there are, at least 1.
        most_over: The size of the largest group, over the mean, that is still wanted; at least 1.
    """
    if groups == 1 or len(sizes) <= groups:
        return [min(at, groups - 1) for at in range(len(sizes))]
    near: Neighbours = [{} for _ in sizes]
    for (a, b), weight in sorted(edges.items()):
        near[a][b] = near[b][a] = weight
    graph = _Graph(list(sizes), near)
    mean = sum(sizes) / groups
    bounds = _Bounds(_LEAST * mean * EVEN / most_over, max(most_over * mean, max(sizes)))
    tries = max(1, min(12, _STEPS // (len(sizes) * 16)))
    outcomes = (_once(graph, groups, bounds, seed) for seed in range(tries))
    return min(outcomes, key=lambda owners: _cost(graph, owners, groups, bounds))


def _cost(graph: _Graph, owners: Sequence[int], groups: int, bounds: _Bounds) -> tuple[float, float]:
    """Return by how much the groups miss the bounds, and the weight of the edges that are cut."""
    loads = _loads(graph, owners, groups)
    cut = sum(
        weight
        for node, others in enumerate(graph.near)
        for other, weight in others.items()
        if node < other and owners[node] != owners[other]
    )
    return round(sum(map(bounds.excess, loads)), 3), round(cut, 6)


def _loads(graph: _Graph, owners: Sequence[int], groups: int) -> list[int]:
    loads = [0] * groups
    for node, size in enumerate(graph.sizes):
        loads[owners[node]] += size
    return loads


def _once(graph: _Graph, groups: int, bounds: _Bounds, seed: int) -> list[int]:
    levels, maps = [graph], list[list[int]]()
    while len(levels[-1].sizes) > _COARSE * groups:
        coarse, merged = _merge(levels[-1], bounds.most / 3, seed)
        if len(coarse.sizes) > 0.95 * len(levels[-1].sizes):
            break
        levels.append(coarse)
        maps.append(merged)
    owners = _grow(levels[-1], groups, seed)
    _Moves(levels[-1], owners, groups, bounds).improve()
    for level, merged in zip(reversed(levels[:-1]), reversed(maps), strict=True):
        owners = [owners[node] for node in merged]
        _Moves(level, owners, groups, bounds).improve()
    return owners


def _merge(graph: _Graph, most: float, seed: int) -> tuple[_Graph, list[int]]:
    """Merge each node with the free neighbour to which it is bound most; return the graph and each node's new number.

    Args:
        graph: The graph.
        most: The largest size of a merged node.
        seed: Decides in which order the nodes choose.
    """
    order = sorted(range(len(graph.sizes)), key=lambda node: (len(graph.near[node]), _mixed(node, seed), node))
    partner: dict[int, int] = {}
    for node in order:
        if node in partner:
            continue
        size = graph.sizes[node]
        free = [
            (weight / graph.sizes[other], -other)
            for other, weight in graph.near[node].items()
            if other not in partner and size + graph.sizes[other] <= most
        ]
        other = -max(free)[1] if free else node
        partner[node], partner[other] = other, node
    merged, count = [-1] * len(graph.sizes), 0
    for node in range(len(graph.sizes)):
        if merged[node] < 0:
            merged[node] = merged[partner[node]] = count
            count += 1
    sizes, near = [0] * count, [dict[int, float]() for _ in range(count)]
    for node, others in enumerate(graph.near):
        mine = merged[node]
        sizes[mine] += graph.sizes[node]
        for other, weight in others.items():
            if merged[other] != mine:
                near[mine][merged[other]] = near[mine].get(merged[other], 0.0) + weight
    return _Graph(sizes, near), merged


def _grow(graph: _Graph, groups: int, seed: int) -> list[int]:
    """Return a first sharing out: each group begins with a node far from the others, and the lightest group grows."""
    owners, loads = [-1] * len(graph.sizes), [0] * groups
    pulls: list[dict[int, float]] = [{} for _ in range(groups)]

    def give(node: int, group: int) -> None:
        owners[node] = group
        loads[group] += graph.sizes[node]
        for pull in pulls:
            pull.pop(node, None)
        for other, weight in graph.near[node].items():
            if owners[other] < 0:
                pulls[group][other] = pulls[group].get(other, 0.0) + weight

    free = sorted(
        range(len(graph.sizes)), key=lambda node: (-graph.sizes[node] * (0.4 + 0.6 * _mixed(node, seed)), node)
    )
    for group in range(groups):
        taken = [pull for pull in pulls[:group] if pull]
        first = next((node for node in free if owners[node] < 0 and not any(node in pull for pull in taken)), None)
        give(first if first is not None else next(node for node in free if owners[node] < 0), group)
    rest = iter(free)
    for _ in range(len(graph.sizes) - groups):
        group = min(range(groups), key=lambda at: (loads[at], at))
        pull = pulls[group]
        if pull:
            others = [other for other in pulls if other is not pull]
            node = max(pull, key=lambda at: (pull[at] - max((held.get(at, 0.0) for held in others), default=0.0), -at))
        else:
            node = next(at for at in rest if owners[at] < 0)
        give(node, group)
    return owners


def _mixed(node: int, seed: int) -> float:
    """Return a number from 0 to 1, the same for the same arguments, and far apart for neighbouring ones."""
    value = (node + 1) * 0x9E3779B1 + (seed + 1) * 0x85EBCA77 & 0xFFFFFFFF
    value = (value ^ value >> 15) * 0x2C1B3C6D & 0xFFFFFFFF
    value = (value ^ value >> 12) * 0x297A2D39 & 0xFFFFFFFF
    return (value ^ value >> 15) / 0xFFFFFFFF


class _Moves:
    """Moves nodes from group to group, as long as that lessens what is cut or brings groups within their bounds."""

    def __init__(self, graph: _Graph, owners: list[int], groups: int, bounds: _Bounds) -> None:
        self._graph, self._owners, self._groups, self._bounds = graph, owners, groups, bounds
        self._loads = _loads(graph, owners, groups)

    def improve(self) -> None:
        """Change the owners in place until a pass over all nodes brings nothing."""
        for _ in range(_PASSES):
            self._level_out()
            if not self._pass():
                return

    def _bonds(self, node: int) -> dict[int, float]:
        """Return group -> the weight of the node's edges into it; its own group is always there."""
        bonds = {self._owners[node]: 0.0}
        for other, weight in self._graph.near[node].items():
            group = self._owners[other]
            bonds[group] = bonds.get(group, 0.0) + weight
        return bonds

    def _relief(self, node: int, group: int) -> float:
        """Return by how much less the groups miss their bounds if the node moves to that group."""
        size, own = self._graph.sizes[node], self._owners[node]
        excess, loads = self._bounds.excess, self._loads
        before = excess(loads[own]) + excess(loads[group])
        return before - excess(loads[own] - size) - excess(loads[group] + size)

    def _give(self, node: int, group: int) -> None:
        self._loads[self._owners[node]] -= self._graph.sizes[node]
        self._loads[group] += self._graph.sizes[node]
        self._owners[node] = group

    def _level_out(self) -> None:
        """Move nodes out of groups that are too large, and into those that are too small, where that cuts least."""
        for _ in range(2 * self._groups):
            worst = max(range(self._groups), key=lambda at: (self._bounds.excess(self._loads[at]), -at))
            if not self._bounds.excess(self._loads[worst]) or not self._relieve(worst):
                return

    def _relieve(self, worst: int) -> bool:
        """Move nodes out of a group that is too large, or into one that is too small; return whether any was moved."""
        is_large = self._loads[worst] > self._bounds.most
        moves = []
        for node, own in enumerate(self._owners):
            if (own == worst) != is_large:
                continue
            bonds = self._bonds(node)
            for group in (set(bonds) | {self._lightest()}) - {worst} if is_large else {worst}:
                if (relief := self._relief(node, group)) > 0:
                    loss = bonds[own] - bonds.get(group, 0.0)
                    moves.append((loss / relief if loss > 0 else loss, node, group))
        before = self._loads[worst]
        for _, node, group in sorted(moves):
            if not self._bounds.excess(self._loads[worst]):
                break
            if (self._owners[node] == worst) == is_large and self._relief(node, group) > 0:
                self._give(node, group)
        return self._loads[worst] != before

    def _lightest(self) -> int:
        return min(range(self._groups), key=lambda at: (self._loads[at], at))

    def _pass(self) -> bool:
        """Move each node at most once, the best move first, then take back what came after the best moment.

        Return whether less is cut afterwards.
        """
        queue: list[tuple[float, int, int]] = []
        for node in range(len(self._owners)):
            queue += self._offers(node)
        heapq.heapify(queue)
        moved: dict[int, int] = {}
        total = best = 0.0
        kept = 0
        patience = max(30, len(self._owners) // 25)
        while queue and len(moved) - kept < patience:
            loss, node, group = heapq.heappop(queue)
            if node in moved or not self._is_current(queue, loss, node, group):
                continue
            moved[node] = self._owners[node]
            self._give(node, group)
            total -= loss
            if total > best + 1e-9:
                best, kept = total, len(moved)
            for other in self._graph.near[node]:
                if other not in moved:
                    for offer in self._offers(other):
                        heapq.heappush(queue, offer)
        for node in reversed(list(moved)[kept:]):
            self._give(node, moved[node])
        return kept > 0

    def _is_current(self, queue: list[tuple[float, int, int]], loss: float, node: int, group: int) -> bool:
        """Return whether a move that was offered may be made, and still costs as much; if not, offer it anew."""
        bonds = self._bonds(node)
        if group == self._owners[node]:
            return False
        now = bonds[self._owners[node]] - bonds.get(group, 0.0)
        if abs(now - loss) > 1e-9:
            heapq.heappush(queue, (now, node, group))
            return False
        return self._relief(node, group) >= 0

    def _offers(self, node: int) -> list[tuple[float, int, int]]:
        """Return the moves of a node to the groups of its neighbours; the first value is by how much more is cut."""
        own = self._owners[node]
        bonds = self._bonds(node)
        return [(bonds[own] - weight, node, group) for group, weight in bonds.items() if group != own]
