"""The agent operator as a Flink job. Needs the ``runtime`` extra."""
