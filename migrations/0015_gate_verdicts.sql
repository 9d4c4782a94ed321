-- The verdicts of gates: what was said of a job beside a baseline, by which policy. They stay when
-- the job is pruned, and are removed when it is erased.

CREATE TABLE gate_verdicts (
    verdict_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id      TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    series      TEXT,
    step        INTEGER,
    baseline_id TEXT,                               -- null: there was none
    policy      TEXT,                               -- its name; null: it was part of a request
    by_series   INTEGER NOT NULL CHECK (by_series IN (0, 1)),
    verdict     TEXT NOT NULL CHECK (verdict IN ('go', 'no_go', 'inconclusive')),
    reason      TEXT NOT NULL,
    at          TEXT NOT NULL,
    actor       TEXT NOT NULL,
    report      TEXT CHECK (report IS NULL OR json_valid(report)),  -- null: the baseline was erased
    CHECK (by_series = 0 OR policy IS NOT NULL)
) STRICT;

CREATE INDEX gate_verdicts_by_job ON gate_verdicts (job_id);
CREATE INDEX gate_verdicts_by_baseline ON gate_verdicts (baseline_id)
WHERE baseline_id IS NOT NULL;
CREATE INDEX gate_verdicts_by_series ON gate_verdicts (series) WHERE series IS NOT NULL;
-- A series' gate judges each result once.
CREATE UNIQUE INDEX gate_verdicts_once ON gate_verdicts (job_id, attempt, policy)
WHERE by_series = 1;
