"""Progress of an attempt that merges a checkpoint before it evaluates."""

from evalserver.engines.progress import Progress, ProgressReader, TqdmReader

EVALUATING = b"evalserver: evaluating\n"
"""The runner's line in the log between the two (``runner/attempt.py``)."""


class MergeThenEvaluateReader:
    """Reads tqdm bars of the merge, then the evaluation by the harness's own reader."""

    def __init__(self, of_harness: ProgressReader) -> None:
        self._reader: ProgressReader = TqdmReader()
        self._of_harness = of_harness
        self._end = b""

    def read(self, piece: bytes, *, after_gap: bool = False) -> Progress:
        """Return the progress after a piece; ``after_gap`` says that output before it is missing.

        A merge prints little, so after a gap it is taken as over.
        """
        if self._reader is self._of_harness:
            return self._reader.read(piece, after_gap=after_gap)
        text = piece if after_gap else self._end + piece
        begins = text.find(EVALUATING)
        if begins >= 0 or after_gap:
            self._reader = self._of_harness
            return self._reader.read(text[max(begins, 0) :], after_gap=begins < 0)
        self._end = text[1 - len(EVALUATING) :]
        return self._reader.read(piece)
