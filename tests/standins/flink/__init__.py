"""What stands in for an agent's Flink on Kubernetes: the operator, the job, and brokers of Kafka's."""
