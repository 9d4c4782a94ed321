"""What a reader should know about a paired difference and its interval."""

import math
from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import Any

SMALL_SAMPLE = 30
"""With fewer documents or clusters, the mean is not approximately normally distributed."""

MIN_CLUSTERS = 2
"""With fewer, the variance between clusters is unknown."""


def sample_notes(
    baseline_scores: Mapping[Any, float], other_scores: Mapping[Any, float], common: Collection[Any]
) -> Iterator[str]:
    """Yield notes on which documents both jobs have, and on how many."""
    if len(common) < max(len(baseline_scores), len(other_scores)):
        yield _subset_note(common, baseline_scores, other_scores)
    if len(common) < SMALL_SAMPLE:
        yield f"With fewer than {SMALL_SAMPLE} documents the true interval is wider."


def cluster_notes(clusters: Mapping[Any, Hashable], common: Collection[Any]) -> Iterator[str]:
    """Yield a note on the clusters that the common documents name."""
    named = [clusters[each] for each in common if each in clusters]
    if not named:
        return
    count, n = len(set(named)), len(common)
    if len(named) < n:
        yield (
            f"Only {len(named)} of the {n} documents name a cluster. All are taken as independent:"
            " the true interval may be wider."
        )
    elif count < MIN_CLUSTERS:
        yield (
            "All documents are in one cluster. They are taken as independent: the true interval is"
            " wider."
        )
    elif count < SMALL_SAMPLE <= n:
        yield f"With fewer than {SMALL_SAMPLE} clusters of documents the true interval is wider."


def _subset_note(
    common: Collection[Any], baseline_scores: Mapping[Any, float], other_scores: Mapping[Any, float]
) -> str:
    """Say that the difference is not that of the two values, and of which it is."""
    baseline, job = (
        math.fsum(scores[each] for each in common) / len(common)
        for scores in (baseline_scores, other_scores)
    )
    return (
        f"The difference is that of the {len(common)} documents that both have, of which the"
        f" baseline's value is {baseline:.4g} and the job's {job:.4g}; the values themselves are of"
        f" {len(baseline_scores)} and {len(other_scores)} documents."
    )
