"""Standard errors where documents belong together, such as questions about the same video.

Documents of a cluster tend to be right or wrong together, so they say less than as many
independent documents would. Clusters are independent of each other.
"""

import math
from collections.abc import Hashable, Mapping
from typing import Any


class TooFewClusters(Exception):
    """All documents are of one cluster, so the variance between clusters is unknown."""


def clustered_stderr(values: Mapping[Any, float], clusters: Mapping[Any, Hashable]) -> float:
    """Return the standard error of the mean of values whose documents are in clusters.

    For paired differences, the values are the differences of the documents. With a cluster for each
    document it is the ordinary standard error. ``clusters`` has the cluster of each key of
    ``values``; a missing one raises KeyError. Raises TooFewClusters with fewer than two.
    """
    deviations = _deviations(values, clusters)
    count = len(deviations)
    if count < 2:
        raise TooFewClusters(f"the documents are of {count} cluster{'s' * (count != 1)}, not of 2")
    total = math.fsum(each**2 for each in deviations)
    return math.sqrt(total * count / (count - 1)) / len(values)


def clustered_skewness(values: Mapping[Any, float], clusters: Mapping[Any, Hashable]) -> float:
    """Return the skewness of the sums of the clusters; 0 if all values are alike."""
    deviations = _deviations(values, clusters)
    count = len(deviations)
    variance = math.fsum(each**2 for each in deviations) / count if count else 0.0
    if variance == 0:
        return 0.0
    return float(math.fsum(each**3 for each in deviations) / count / variance**1.5)


def _deviations(values: Mapping[Any, float], clusters: Mapping[Any, Hashable]) -> list[float]:
    """Return by how much the values of each cluster deviate from the mean of all, summed."""
    n = len(values)
    mean = math.fsum(values.values()) / n if n else math.nan
    found: dict[Hashable, float] = {}
    for document, value in values.items():
        cluster = clusters[document]
        found[cluster] = found.get(cluster, 0.0) + value - mean
    return list(found.values())
