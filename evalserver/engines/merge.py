"""Engine for lmms-engine's merger, which merges the shards of a checkpoint (version 0.1.4).

A launcher (``in_harness/merge_checkpoint.py``) runs ``python -m lmms_engine.merger`` unless the
checkpoint was merged before. The engine has no tasks and no models: it runs the jobs of ``POST
/merge``, and its command is the first stage of jobs that evaluate a sharded checkpoint.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from evalserver.checkpoints.merging import Merge, requested_merge
from evalserver.core.request import EvaluateRequest
from evalserver.engines import in_harness
from evalserver.engines.base import Command, NoResults, Paths, Question, Results
from evalserver.engines.engine import Engine
from evalserver.engines.in_harness.merge_checkpoint import NOTE
from evalserver.system.untrusted_files import UnreadableFile, UntrustedDirectory, open_file

NAME = "merge"
TASK = "merge"
LAUNCHER = Path(in_harness.__file__).with_name("merge_checkpoint.py")


class MergeEngine(Engine):
    """lmms-engine's merger, called as ``python -m lmms_engine.merger``, through our launcher."""

    package = "lmms-engine"
    written_for = "0.1.4"
    packages = ("torch", "transformers", "accelerate")
    # The merger imports much that only training needs: only importing it shows whether it works.
    questions: ClassVar[Mapping[Question, str]] = {
        Question.TASKS: (f"import json, lmms_engine.merger; print(); print(json.dumps([{TASK!r}]))")
    }

    def command(self, request: EvaluateRequest, paths: Paths) -> Command:
        """Return the command that merges the request's checkpoint."""
        merge = requested_merge(request)
        if merge is None:
            raise ValueError("a request without lmms_engine_kwargs has nothing to merge")
        argv = (
            *(self.settings.python, "-u", str(LAUNCHER)),
            f"--shards={merge.shards}",
            f"--checkpoint_type={merge.checkpoint_type}",
            f"--output_path={merge.output_path}",
        )
        return Command(argv, directories=(paths.output_dir,))

    def read_results(self, request: EvaluateRequest, paths: Paths) -> Results:
        """Return the path of the merged checkpoint; there are no metrics. Raises NoResults."""
        merge = requested_merge(request)
        if merge is None:
            raise NoResults("left no merged checkpoint")
        try:
            open_file(UntrustedDirectory(merge.output_path), NOTE).close()
        except UnreadableFile as error:
            raise NoResults(f"left no merged checkpoint: {error}") from None
        merged = {"results": str(merge.output_path), "samples": [], "metrics": {}}
        return Results({request.model: merged}, (), numbers_expected=False)


def request_to_merge(merge: Merge) -> EvaluateRequest:
    """Return the request of a job that only merges."""
    return EvaluateRequest(
        str(merge.model_path),
        (TASK,),
        num_gpus=0,
        engine=NAME,
        lmms_engine_kwargs=merge.as_kwargs(),
    )
