"""The process that watches how sources are captured, and restarts failed tasks of Kafka Connect."""
