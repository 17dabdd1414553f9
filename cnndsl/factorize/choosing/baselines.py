"""What simpler rules choose, to compare with: the same share everywhere, and greedy steps."""

from __future__ import annotations

from cnndsl.factorize.choosing.option import Choice, Groups, Unreachable, cheapest, cost, frontier


def uniform(groups: Groups, budget: float) -> Choice:
    """Return the choice in which every group has the same share of its largest cost to spend.

    A group whose cheapest option takes more than the share takes that one. Raises Unreachable.
    """
    least = cheapest(groups)
    if cost(groups, least) > budget:
        raise Unreachable(cost(groups, least))
    kept = [frontier(group) for group in groups]
    largest = [group[places[-1]].cost for group, places in zip(groups, kept, strict=True)]
    shares = {0.0} | {
        group[i].cost / most
        for group, places, most in zip(groups, kept, largest, strict=True)
        if most > 0
        for i in places
    }

    def chosen(share: float) -> Choice:
        return tuple(
            max(
                (i for i in places if group[i].cost <= share * most * (1 + 1e-12)),
                key=lambda i: group[i].cost,
                default=places[0],
            )
            for group, places, most in zip(groups, kept, largest, strict=True)
        )

    # What a share costs grows with it.
    ordered = sorted(shares)
    low, high = 0, len(ordered)
    while high - low > 1:
        middle = (low + high) // 2
        if cost(groups, chosen(ordered[middle])) <= budget:
            low = middle
        else:
            high = middle
    return chosen(ordered[low])


def greedy(groups: Groups, budget: float) -> Choice:
    """Return where steps to the next cheaper option lead, the one that costs least error first.

    From the least error on; each step looks at the next option of each group alone (Zhang et al.,
    2016, with one rank at a time). Raises Unreachable.
    """
    kept = [frontier(group)[::-1] for group in groups]
    at = [0] * len(groups)
    while True:
        choice = tuple(places[i] for places, i in zip(kept, at, strict=True))
        if cost(groups, choice) <= budget:
            return choice
        steps = []
        for g, (group, places) in enumerate(zip(groups, kept, strict=True)):
            if at[g] + 1 < len(places):
                now, after = group[places[at[g]]], group[places[at[g] + 1]]
                steps.append(((after.error - now.error) / (now.cost - after.cost), g))
        if not steps:
            raise Unreachable(cost(groups, choice))
        at[min(steps)[1]] += 1
