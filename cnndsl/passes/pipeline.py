"""The passes that every target runs, in order."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.graph import Graph
from cnndsl.ir.verifier import verify
from cnndsl.passes.base import Pass, PassReport
from cnndsl.passes.eliminate_common_subexpressions import EliminateCommonSubexpressions
from cnndsl.passes.eliminate_dead_nodes import EliminateDeadNodes
from cnndsl.passes.fold_batch_norm import FoldBatchNorm
from cnndsl.passes.fold_constants import FoldConstants
from cnndsl.passes.fuse_epilogues import FuseEpilogues
from cnndsl.passes.remove_identities import RemoveIdentities

PASSES: tuple[Pass, ...] = (
    RemoveIdentities(),
    EliminateDeadNodes(),
    EliminateCommonSubexpressions(),
    FoldConstants(),
    FoldBatchNorm(),
    # Again: a shared layer under a shared norm was folded once for each use.
    EliminateCommonSubexpressions(),
    FuseEpilogues(),
)


@dataclass(frozen=True)
class Optimized:
    """The rewritten graph, and what each pass did."""

    graph: Graph
    reports: tuple[PassReport, ...]


def optimize(graph: Graph, passes: tuple[Pass, ...] = PASSES) -> Optimized:
    """Run the passes, verifying before the first and after each."""
    verify(graph)
    reports = []
    for step in passes:
        graph, report = step.run(graph)
        verify(graph)
        reports.append(report)
    return Optimized(graph, tuple(reports))
