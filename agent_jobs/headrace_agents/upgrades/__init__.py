"""An upgrade's part in an agent's topics, and in its Flink's REST interface.

It runs where these can be reached: on one machine within the command, on Kubernetes in a pod of the agent's.
"""
