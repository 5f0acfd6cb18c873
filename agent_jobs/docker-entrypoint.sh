#!/bin/sh
# Where Flink's Kubernetes integration starts a container: it says the whole command.
exec "$@"
