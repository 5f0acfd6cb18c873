"""How ``headrace-agents upgrade`` answers: a line of JSON with one of these."""

ANSWER, ERROR = "answer", "error"
