"""Which of several evaluations is the best one."""

from evalserver.analysis.best_step import find_best
from evalserver.core.job import Metric

ACC, LOSS = ("mme", "acc", "none"), ("mme", "loss", "none")


def values(**jobs: tuple[float, float]) -> dict[str, dict[tuple[str, str, str], Metric]]:
    """The accuracy and the loss of each job."""
    return {
        name: {
            key: Metric(*key, value, None, None, None)
            for key, value in zip((ACC, LOSS), of_job, strict=True)
        }
        for name, of_job in jobs.items()
    }


JOBS = values(a=(0.5, 3.0), b=(0.9, 2.0), c=(0.7, 1.0))


def test_of_one_metric_it_is_the_best_value_in_its_direction() -> None:
    assert find_best("abc", JOBS, {ACC: True}) == "b"
    assert find_best("abc", JOBS, {LOSS: False}) == "c"
    assert find_best("abc", JOBS, {LOSS: True}) == "a"


def test_of_several_metrics_it_is_the_best_average_rank_whatever_their_scales() -> None:
    jobs = values(a=(0.9, 100.0), b=(0.8, 1.0), c=(0.7, 1.1))

    assert find_best("abc", jobs, {ACC: True, LOSS: False}) == "b"


def test_of_equal_ones_it_is_the_first() -> None:
    jobs = values(a=(0.5, 1.0), b=(0.5, 1.0))

    assert find_best("ba", jobs, {ACC: True}) == "b"


def test_a_job_without_one_of_the_metrics_does_not_count() -> None:
    jobs = {**JOBS, "b": {LOSS: JOBS["b"][LOSS]}}

    assert find_best("abc", jobs, {ACC: True}) == "c"


def test_without_candidates_or_metrics_there_is_none() -> None:
    assert find_best("", JOBS, {ACC: True}) is None
    assert find_best("abc", JOBS, {}) is None
