"""Why a job failed: a code, and advice on what to do next.

``codes.py`` lists the codes with their advice, the tables of signs (``*_signs.py``) how each is
recognized in an exception, ``exceptions.py`` reads the exceptions that ended a harness from its
log, and ``classify.py`` decides.
"""

from evalserver.attempts.failures.classify import SIGNS, Evidence, classify, failure
from evalserver.attempts.failures.codes import CODES

__all__ = ["CODES", "SIGNS", "Evidence", "classify", "failure"]
