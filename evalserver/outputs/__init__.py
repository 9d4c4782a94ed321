"""Reading what attempts left in their output directories: files, and archives of them."""

from evalserver.outputs.artifacts import (
    Artifact,
    Listing,
    NoArtifact,
    list_artifacts,
    open_artifact,
)
from evalserver.outputs.zip_stream import zip_chunks

__all__ = [
    "Artifact",
    "Listing",
    "NoArtifact",
    "list_artifacts",
    "open_artifact",
    "zip_chunks",
]
