"""Gates against simulated truth: how often a verdict is wrong. Run by scripts/simulate_gates.

Of each setting pairs of jobs are drawn, and judged as the server judges them. In truth the job is
worse than the baseline by a drop: if that is above the margin, a go is false; if it is at or below
it, a no_go is. Documents are right or wrong, with a probability that differs between them, which
makes the two jobs agree; or they have scores between 0 and 1; or they come in clusters.
"""

import argparse
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from evalserver.analysis.gate import Evidence, GateVerdict, decide, judge
from evalserver.analysis.gate_policy import Policy, parse_policy
from evalserver.core.job import Metric

MARGIN = 0.01
CONFIDENCE = 0.95
KEY = ("task", "acc", "none")
CLUSTER = 20
"""Documents of a cluster."""
SIZES = ((100, 0.7), (100, 0.95), (500, 0.3), (500, 0.7), (500, 0.95), (2000, 0.7))
"""Documents, and the baseline's accuracy."""
SEVERAL = 5
"""Tasks of a job of which all are critical, and one is worse."""


@dataclass(frozen=True)
class Setting:
    """How pairs of jobs are drawn.

    ``accuracy`` is the baseline's. A document that the baseline has right the job has wrong with
    the probability that gives the ``drop`` and, in both directions, the ``churn``: the share of
    documents that change without making anything better or worse.
    """

    kind: str
    n: int
    accuracy: float
    churn: float
    drop: float

    @property
    def is_worse(self) -> bool:
        """Whether the job should not pass."""
        return self.drop > MARGIN


def settings() -> Iterator[Setting]:
    """Every setting, the worst drops for a false verdict among them: just above the margin, and
    at it."""
    drops = (0.0, MARGIN, MARGIN * 1.0001, 0.02, 0.05)
    for (n, accuracy), churn, drop in product(SIZES, (0.02, 0.1), drops):
        if churn / 2 + drop <= min(accuracy, 1 - accuracy + drop):
            yield Setting("right or wrong", n, accuracy, churn, drop)
    for kind, drop in product(("score", "clusters", "tasks"), drops):
        yield Setting(kind, 500, 0.7, 0.1, drop)


def verdict_of(setting: Setting, draw: random.Random, policy: Policy) -> GateVerdict:
    """Draw a pair of jobs, and judge it."""
    tasks = SEVERAL if setting.kind == "tasks" else 1
    judgements = []
    for task in range(tasks):
        drop = setting.drop if task == 0 else 0.0
        judgements.append(judge(policy.rules[0], KEY, _draw(setting, drop, draw)))
    return decide(judgements).verdict


def _draw(setting: Setting, drop: float, draw: random.Random) -> Evidence:
    if setting.kind == "score":
        return _draw_scores(setting, drop, draw)
    clusters = {}
    baseline, job = {}, {}
    worse = setting.churn / 2 + drop
    better = setting.churn / 2
    for document in range(setting.n):
        if setting.kind == "clusters":
            # All documents of a cluster change alike.
            clusters[document] = document // CLUSTER
            if document % CLUSTER == 0:
                roll = draw.random()
        else:
            roll = draw.random()
        baseline[document], job[document] = _outcome(roll, setting.accuracy, worse, better)
    return _evidence(baseline, job, clusters)


def _outcome(roll: float, accuracy: float, worse: float, better: float) -> tuple[float, float]:
    if roll < worse:
        return 1.0, 0.0
    if roll < worse + better:
        return 0.0, 1.0
    return (1.0, 1.0) if roll < accuracy + better else (0.0, 0.0)


def _draw_scores(setting: Setting, drop: float, draw: random.Random) -> Evidence:
    """Draw scores between 0 and 1, of which a share changes by an amount that is skewed."""
    baseline, job = {}, {}
    for document in range(setting.n):
        baseline[document] = 0.2 + 0.6 * draw.random()
        noise = draw.gauss(0, 0.05) if draw.random() < setting.churn else 0.0
        # A tenth of the documents carries all of the drop.
        fall = drop * 10 * draw.expovariate(1.0) if draw.random() < 0.1 else 0.0
        job[document] = baseline[document] - noise - fall
    return _evidence(baseline, job, {})


def _evidence(
    baseline: dict[int, float], job: dict[int, float], clusters: dict[int, int]
) -> Evidence:
    first, second = (_metric(list(each.values())) for each in (baseline, job))
    return Evidence(first, second, (baseline, job), clusters)


def _metric(scores: Sequence[float]) -> Metric:
    n, mean = len(scores), math.fsum(scores) / len(scores)
    variance = math.fsum((each - mean) ** 2 for each in scores) / (n - 1) / n
    return Metric(*KEY, mean, math.sqrt(variance), n, True)


def main() -> None:
    """Print a line for each setting, and the worst of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000, help="of each setting")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    policy = parse_policy({"max_drop": MARGIN, "confidence": CONFIDENCE})
    worst: Counter[tuple[str, str]] = Counter()
    print("kind, n, accuracy, churn, true drop: go, no_go, inconclusive; false", flush=True)
    for setting in settings():
        draw = random.Random(f"{given.seed} {setting}")
        found = Counter(verdict_of(setting, draw, policy) for _ in range(given.pairs))
        false = found[GateVerdict.GO if setting.is_worse else GateVerdict.NO_GO]
        name = "go" if setting.is_worse else "no_go"
        worst[setting.kind, name] = max(worst[setting.kind, name], false)
        print(
            f"{setting.kind}, {setting.n}, {setting.accuracy}, {setting.churn}, {setting.drop:g}:"
            f" {found[GateVerdict.GO]}, {found[GateVerdict.NO_GO]},"
            f" {found[GateVerdict.INCONCLUSIVE]}; false {name} {false}",
            flush=True,
        )
    for (kind, name), count in sorted(worst.items()):
        print(f"most false {name}, {kind}: {count} of {given.pairs}")


if __name__ == "__main__":
    main()
