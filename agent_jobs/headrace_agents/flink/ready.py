"""What a client says that is ready to submit its job, for whoever reads its log; imports nothing of Flink."""

READY = "ready to be submitted"
