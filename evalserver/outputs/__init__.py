"""Reading the output directories of attempts: artifacts, zip archives, samples and scores."""

from evalserver.outputs.artifacts import (
    Artifact,
    ArtifactList,
    ArtifactNotFound,
    list_artifacts,
    open_artifact,
)
from evalserver.outputs.job_scores import Evaluation, Key, load_scores_of_both
from evalserver.outputs.masked_files import mask_files
from evalserver.outputs.sample_diffs import Identity, Places, SampleDiff, SampleDiffs
from evalserver.outputs.sample_index import Judge, SampleIndex, index_samples
from evalserver.outputs.sample_lines import InvalidPosition, LinePosition, LineReader, SampleLine
from evalserver.outputs.sample_pairs import CHANGES, NO_ROW, Change, SamplePairs, pair_samples
from evalserver.outputs.samples import (
    MetricNotBinary,
    Sample,
    SamplesFilter,
    SamplesPage,
    choose_metric,
    read_page,
)
from evalserver.outputs.scores import ScoresUnavailable, TaskScores, read_scores
from evalserver.outputs.zip_stream import zip_chunks

__all__ = [
    "CHANGES",
    "NO_ROW",
    "Artifact",
    "ArtifactList",
    "ArtifactNotFound",
    "Change",
    "Evaluation",
    "Identity",
    "InvalidPosition",
    "Judge",
    "Key",
    "LinePosition",
    "LineReader",
    "MetricNotBinary",
    "Places",
    "Sample",
    "SampleDiff",
    "SampleDiffs",
    "SampleIndex",
    "SampleLine",
    "SamplePairs",
    "SamplesFilter",
    "SamplesPage",
    "ScoresUnavailable",
    "TaskScores",
    "choose_metric",
    "index_samples",
    "list_artifacts",
    "load_scores_of_both",
    "mask_files",
    "open_artifact",
    "pair_samples",
    "read_page",
    "read_scores",
    "zip_chunks",
]
