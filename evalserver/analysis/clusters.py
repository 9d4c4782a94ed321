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
    n = len(values)
    mean = math.fsum(values.values()) / n if n else math.nan
    deviations: dict[Hashable, float] = {}
    for document, value in values.items():
        cluster = clusters[document]
        deviations[cluster] = deviations.get(cluster, 0.0) + value - mean
    count = len(deviations)
    if count < 2:
        raise TooFewClusters(f"the documents are of {count} cluster{'s' * (count != 1)}, not of 2")
    total = math.fsum(each**2 for each in deviations.values())
    return math.sqrt(total * count / (count - 1)) / n
