"""The verdict of a gate: whether a job is good enough beside a baseline.

Of each metric the interval of the damage is compared with the margin of its rule: wholly above it
is a breach, wholly at or below it a pass, and across it the evidence does not suffice. Never a
p-value: that a difference is not significant does not show that there is none.

A go needs a pass of every critical metric. If one of them is worse by more than its margin, it
passes with a probability of at most (1 - confidence) / 2, however many others there are, so that a
go needs no correction for their number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from evalserver.analysis.comparison import Clusters, NotPaired, Scores
from evalserver.analysis.damage import Damage, IntervalMethod, paired_damage, unpaired_damage
from evalserver.analysis.documents_needed import documents_needed
from evalserver.analysis.gate_policy import Missing, Policy, Rule, Tier
from evalserver.core.job import Metric

Key = tuple[str, str, str]
"""Task, metric, filter."""


class GateVerdict(StrEnum):
    """What a gate says about a job."""

    GO = "go"
    NO_GO = "no_go"
    INCONCLUSIVE = "inconclusive"


class MetricVerdict(StrEnum):
    """What a gate says about one metric."""

    PASS = "pass"  # noqa: S105 - not a password
    BREACH = "breach"
    INSUFFICIENT = "insufficient"
    IGNORED = "ignored"
    """The job has no such number, which the rule ignores."""


@dataclass(frozen=True)
class Evidence:
    """What is known of one metric: its values, and the scores of documents, the baseline's first.

    Without ``scores``, ``why_unpaired`` says why.
    """

    baseline: Metric | None
    job: Metric | None
    scores: tuple[Scores, Scores] | None = None
    clusters: Clusters = field(default_factory=lambda: MappingProxyType({}))
    why_unpaired: str = "there are no scores of documents"

    @property
    def higher_is_better(self) -> bool | None:
        """Which values are better, as the harness says."""
        known = [each for each in (self.job, self.baseline) if each is not None]
        return next((each.higher_is_better for each in known), None)


@dataclass(frozen=True)
class Judgement:
    """What a gate finds about one metric, or about a rule that no metric matches, and why.

    ``margin`` is in the unit of the metric. ``n_to_decide``: with about so many documents the
    interval would no longer contain the margin; None if it does not, or no number is known.
    """

    task: str
    metric: str | None
    filter: str | None
    tier: Tier
    verdict: MetricVerdict
    reason: str
    confidence: float
    margin: float | None = None
    damage: Damage | None = None
    baseline_value: float | None = None
    job_value: float | None = None
    n_to_decide: int | None = None


@dataclass(frozen=True)
class GateReport:
    """The verdict, with a sentence that says why, and the judgement of each metric.

    ``n_to_decide``: with about so many documents of each task, the verdict would not be
    inconclusive; None if it is not, or no number is known. ``not_judged`` are tasks of the job
    without any judgement.
    """

    verdict: GateVerdict
    reason: str
    judgements: tuple[Judgement, ...]
    n_to_decide: int | None = None
    not_judged: tuple[str, ...] = ()


def judge(rule: Rule, key: Key, evidence: Evidence) -> Judgement:
    """Return what a rule finds about a metric that it matches."""
    made = _Maker(rule, key, evidence)
    baseline, job = evidence.baseline, evidence.job
    if baseline is None or job is None:
        return made.absent()
    higher_is_better = rule.higher_is_better(evidence.higher_is_better)
    if higher_is_better is None:
        return made.judgement(
            MetricVerdict.INSUFFICIENT,
            "the harness does not say whether higher is better: the rule needs a direction",
        )
    try:
        damage = _damage(rule, evidence, baseline, job, higher_is_better)
        return made.judged(damage, rule.margin(damage.baseline))
    except ArithmeticError:
        reason = "its numbers are too large to compute an interval of"
        return made.judgement(MetricVerdict.INSUFFICIENT, reason)


def judge_unmatched(rule: Rule) -> Judgement:
    """Return what is said of a rule that matches no metric of either job."""
    what = f"no metric of either job matches task {rule.task!r}"
    if rule.metric is not None:
        what += f", metric {rule.metric!r}"
    if rule.filter is not None:
        what += f", filter {rule.filter!r}"
    if rule.metric is None and rule.direction is None:
        what += ", and is known to be better when higher or when lower"
    is_ignored = rule.missing is Missing.IGNORE
    return Judgement(
        rule.task,
        rule.metric,
        rule.filter,
        rule.tier,
        MetricVerdict.IGNORED if is_ignored else MetricVerdict.INSUFFICIENT,
        what,
        rule.confidence,
    )


def unmatched_rules(policy: Policy, known: Mapping[Key, bool | None]) -> list[Rule]:
    """Return the rules that match no metric. ``known`` says of each metric which values are
    better."""
    return [
        rule
        for rule in policy.rules
        if not any(rule.matches(key, direction) for key, direction in known.items())
    ]


def decide(judgements: Sequence[Judgement], not_judged: Sequence[str] = ()) -> GateReport:
    """Return the verdict that follows from what was found about each metric."""
    verdict, reason = _decide(judgements)
    open_ones = [each for each in judgements if _keeps_open(each)]
    needed = [each.n_to_decide for each in open_ones]
    known = [each for each in needed if each is not None]
    is_known = verdict is GateVerdict.INCONCLUSIVE and known and len(known) == len(needed)
    n = max(known) if is_known else None
    if n is not None:
        reason += f" About {n} documents would decide, if the damage stayed as it is."
    return GateReport(verdict, reason, tuple(judgements), n, tuple(not_judged))


def _decide(judgements: Sequence[Judgement]) -> tuple[GateVerdict, str]:
    counted = [
        each
        for each in judgements
        if each.tier is not Tier.ADVISORY and each.verdict is not MetricVerdict.IGNORED
    ]
    breaches = [each for each in counted if each.verdict is MetricVerdict.BREACH]
    if breaches:
        return GateVerdict.NO_GO, _say(len(breaches), len(counted), "breached the gate", breaches)
    critical = [each for each in counted if each.tier is Tier.CRITICAL]
    if not critical:
        return GateVerdict.INCONCLUSIVE, "No critical metric was judged."
    open_ones = [each for each in critical if _keeps_open(each)]
    if open_ones:
        text = _say(len(open_ones), len(critical), "could not be decided", open_ones, "critical ")
        return GateVerdict.INCONCLUSIVE, text
    plural = "s" * (len(critical) != 1)
    return GateVerdict.GO, (
        f"{len(critical)} of {len(critical)} critical metric{plural} passed: none is worse than the"
        " baseline by more than its margin."
    )


def _keeps_open(judgement: Judgement) -> bool:
    return judgement.tier is Tier.CRITICAL and judgement.verdict is MetricVerdict.INSUFFICIENT


MAX_NAMED = 5


def _say(count: int, total: int, what: str, judgements: Sequence[Judgement], tier: str = "") -> str:
    names = [_name(each.task, each.metric, each.filter) for each in judgements[:MAX_NAMED]]
    if count > MAX_NAMED:
        names.append(f"{count - MAX_NAMED} more")
    return f"{count} of {total} {tier}metric{'s' * (total != 1)} {what}: {', '.join(names)}."


def _name(task: str, metric: str | None, filter_name: str | None) -> str:
    names = [task, metric, None if filter_name == "none" else filter_name]
    return " ".join(each for each in names if each is not None)


def _damage(
    rule: Rule, evidence: Evidence, baseline: Metric, job: Metric, higher_is_better: bool
) -> Damage:
    why = evidence.why_unpaired
    if evidence.scores is not None:
        try:
            return paired_damage(
                (baseline, job),
                evidence.scores,
                evidence.clusters,
                higher_is_better,
                rule.confidence,
            )
        except NotPaired as error:
            why = str(error)
    return unpaired_damage(baseline, job, higher_is_better, rule.confidence, why)


@dataclass(frozen=True)
class _Maker:
    """Makes judgements of one metric by one rule."""

    rule: Rule
    key: Key
    evidence: Evidence

    def judgement(
        self,
        verdict: MetricVerdict,
        reason: str,
        damage: Damage | None = None,
        margin: float | None = None,
        n_to_decide: int | None = None,
    ) -> Judgement:
        baseline, job = self.evidence.baseline, self.evidence.job
        return Judgement(
            *self.key,
            self.rule.tier,
            verdict,
            reason,
            self.rule.confidence,
            margin,
            damage,
            None if baseline is None else baseline.value,
            None if job is None else job.value,
            n_to_decide,
        )

    def absent(self) -> Judgement:
        if self.evidence.job is not None:
            reason = "the baseline has no such metric, so there is nothing to compare with"
            return self.judgement(MetricVerdict.INSUFFICIENT, reason)
        verdict = {
            Missing.INCONCLUSIVE: MetricVerdict.INSUFFICIENT,
            Missing.BREACH: MetricVerdict.BREACH,
            Missing.IGNORE: MetricVerdict.IGNORED,
        }[self.rule.missing]
        reason = f"the job has no such metric, and the baseline has: {_MEANING[self.rule.missing]}"
        return self.judgement(verdict, reason)

    def judged(self, damage: Damage, margin: float) -> Judgement:
        reason = "".join(_describe(damage, margin, self.rule.confidence))
        if damage.low is None or damage.high is None:
            return self.judgement(
                MetricVerdict.INSUFFICIENT, f"{reason}; {damage.why}", damage, margin
            )
        if margin >= damage.spread:
            reason += (
                f"; the margin of {margin:.4g} is no limit for a metric that can only drop by"
                f" {damage.spread:g}"
            )
            return self.judgement(MetricVerdict.INSUFFICIENT, reason, damage, margin)
        if damage.low > margin:
            reason += f", wholly above the margin of {margin:.4g}"
            return self.judgement(MetricVerdict.BREACH, reason, damage, margin)
        if damage.high > margin:
            needed = documents_needed(damage, margin, self.rule.confidence)
            reason += f", across the margin of {margin:.4g}; {_say_needed(damage, margin, needed)}"
            return self.judgement(MetricVerdict.INSUFFICIENT, reason, damage, margin, needed)
        reason += f", wholly at or below the margin of {margin:.4g}"
        if damage.is_paired or self.rule.allow_unpaired:
            return self.judgement(MetricVerdict.PASS, reason, damage, margin)
        reason += "; but without pairs a pass counts only with allow_unpaired"
        return self.judgement(MetricVerdict.INSUFFICIENT, reason, damage, margin)


_MEANING = {
    Missing.INCONCLUSIVE: "nothing can be said",
    Missing.BREACH: "the rule takes that for a breach",
    Missing.IGNORE: "the rule ignores that",
}


def _describe(damage: Damage, margin: float, confidence: float) -> Iterator[str]:
    """Yield the parts of a sentence with the damage, where it comes from, and its interval."""
    direction = "worse" if damage.value > 0 else "better" if damage.value < 0 else "no different"
    by = f" by {abs(damage.value):.4g}" if damage.value else ""
    if damage.is_paired:
        yield f"{direction}{by} on {damage.n} paired documents"
        yield f" ({damage.worse} worse, {damage.better} better"
        yield f", in {damage.units} clusters)" if damage.units != damage.n else ")"
    else:
        yield f"{direction}{by}, not paired ({damage.why})"
    if damage.low is None or damage.high is None:
        yield f", with a margin of {margin:.4g}"
        return
    yield f": with {confidence * 100:g}% confidence {damage.low:.4g} to {damage.high:.4g}"


def _say_needed(damage: Damage, margin: float, needed: int | None) -> str:
    if needed is not None:
        return f"about {needed} documents would decide, if the damage stayed as it is"
    if damage.value == margin or (damage.value == 0 and margin == 0):
        return "no number of documents decides a damage that equals its margin"
    if damage.method is IntervalMethod.UNPAIRED:
        return "how many documents would decide is unknown without pairs"
    return "no realistic number of documents would decide"
