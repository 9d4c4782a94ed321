"""Reading what attempts left in their output directories: files, archives of them, samples."""

from evalserver.outputs.artifacts import (
    Artifact,
    Listing,
    NoArtifact,
    list_artifacts,
    open_artifact,
)
from evalserver.outputs.masked_files import mask_files
from evalserver.outputs.sample_lines import NoSuchPlace, Place
from evalserver.outputs.samples import NotJudged, Page, Sample, Wanted, choose_metric, read_page
from evalserver.outputs.scores import NoScores, TaskScores, read_scores
from evalserver.outputs.zip_stream import zip_chunks

__all__ = [
    "Artifact",
    "Listing",
    "NoArtifact",
    "NoScores",
    "NoSuchPlace",
    "NotJudged",
    "Page",
    "Place",
    "Sample",
    "TaskScores",
    "Wanted",
    "choose_metric",
    "list_artifacts",
    "mask_files",
    "open_artifact",
    "read_page",
    "read_scores",
    "zip_chunks",
]
