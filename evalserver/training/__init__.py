"""Evaluating the checkpoints of a training run in the background, with any training framework.

``CheckpointEvaluations`` serves a training loop of one's own. The modules ``huggingface``,
``lightning`` and ``lmms_engine`` are adapters on top of it; each imports its framework, so import
only the one that is needed.
"""

from evalserver.training.checkpoint_evaluations import CheckpointEvaluations
from evalserver.training.evaluation import Evaluation

__all__ = ["CheckpointEvaluations", "Evaluation"]
