"""Which of several evaluations is the best one, by the metrics that count."""

from collections.abc import Mapping, Sequence

from evalserver.core.job import Metric

Key = tuple[str, str, str]


def find_best(
    candidates: Sequence[str],
    values: Mapping[str, Mapping[Key, Metric]],
    directions: Mapping[Key, bool],
) -> str | None:
    """Return the job with the best average rank over the metrics of ``directions``, which says of
    each whether higher is better; the first one of several. Of one metric it is the best value.

    Only jobs with all of these metrics count; None if there is none, or no metric.
    """
    complete = [each for each in candidates if directions.keys() <= values[each].keys()]
    if not complete or not directions:
        return None
    ranks = dict.fromkeys(complete, 0.0)
    for key, higher_is_better in directions.items():
        sign = -1 if higher_is_better else 1
        found = {each: sign * values[each][key].value for each in complete}
        for each, value in found.items():
            better = sum(other < value for other in found.values())
            equal = sum(other == value for other in found.values())
            ranks[each] += better + equal / 2
    return min(complete, key=ranks.__getitem__)
