"""The questions of the benchmark, each as a request to Throng and as SQL for the peers."""

from .counts import COUNTS
from .journeys import FUNNELS, PATHS, RETENTION, SEGMENTS, SESSIONS, UNORDERED
from .question import Question

_ALL = COUNTS + FUNNELS + RETENTION + SESSIONS + SEGMENTS + UNORDERED + PATHS
QUESTIONS: list[Question] = sorted(_ALL, key=lambda question: (int(question.number.strip("Qs")), question.number))
