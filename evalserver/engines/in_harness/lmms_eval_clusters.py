"""The cluster of a document in the samples of lmms-eval.

A task can name a field whose value documents share that are not independent of each other, such as
``cluster_key: videoID``. Its samples files do not say which field that is. Here each sample gets
the value under ``cluster``.
"""

import importlib
from collections.abc import Iterator
from functools import wraps
from typing import Any

CLUSTER = "cluster"


def name_clusters(package: str) -> None:
    """Have the harness write clusters into samples, as far as it saves by the code known here."""
    try:
        module: Any = importlib.import_module(f"{package}.loggers.evaluation_tracker")
    except ImportError:
        return
    tracker: Any = getattr(module, "EvaluationTracker", None)
    save_results = getattr(tracker, "save_results_aggregated", None)
    save_samples = getattr(tracker, "save_results_samples", None)
    if save_results is None or save_samples is None:
        return
    keys: dict[str, str] = {}

    @wraps(save_results)
    def save_results_aggregated(self: Any, *args: Any, **options: Any) -> Any:
        keys.update(_cluster_keys(options.get("results")))
        return save_results(self, *args, **options)

    @wraps(save_samples)
    def save_results_samples(self: Any, *args: Any, **options: Any) -> Any:
        key, samples = keys.get(options.get("task_name", "")), options.get("samples")
        if key is not None and isinstance(samples, list):
            add_clusters(samples, key)
        return save_samples(self, *args, **options)

    tracker.save_results_aggregated = save_results_aggregated
    tracker.save_results_samples = save_results_samples


def add_clusters(samples: "list[Any]", key: str) -> None:
    """Add the cluster to each sample whose document or score has the field ``key``."""
    for sample in samples:
        if not isinstance(sample, dict) or CLUSTER in sample:
            continue
        found = (each[key] for each in sample.values() if isinstance(each, dict) and key in each)
        cluster = next((each for each in found if each is not None), None)
        if cluster is not None:
            sample[CLUSTER] = cluster if isinstance(cluster, (str, int)) else str(cluster)


def _cluster_keys(results: Any) -> "Iterator[tuple[str, str]]":
    """Yield each task that names a field of its clusters, with the name of the field."""
    configs = results.get("configs") if isinstance(results, dict) else None
    for task, config in configs.items() if isinstance(configs, dict) else ():
        key = config.get("cluster_key") if isinstance(config, dict) else None
        if isinstance(key, str) and key:
            yield task, key
