"""Reading the output directories of attempts: artifacts, zip archives, samples and scores."""

from evalserver.outputs.artifacts import (
    Artifact,
    ArtifactList,
    ArtifactNotFound,
    list_artifacts,
    open_artifact,
)
from evalserver.outputs.masked_files import mask_files
from evalserver.outputs.sample_lines import InvalidPosition, LinePosition
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
    "Artifact",
    "ArtifactList",
    "ArtifactNotFound",
    "InvalidPosition",
    "LinePosition",
    "MetricNotBinary",
    "Sample",
    "SamplesFilter",
    "SamplesPage",
    "ScoresUnavailable",
    "TaskScores",
    "choose_metric",
    "list_artifacts",
    "mask_files",
    "open_artifact",
    "read_page",
    "read_scores",
    "zip_chunks",
]
