"""Stand-ins for what can't be here: Pulumi's providers for AWS and Kubernetes, and what is behind them.

The engine starts them as it starts the real plugins and speaks the real protocol with them. Behind `aws` are
moto, and for what moto lacks a record on disk; behind `kubernetes` is a real kube-apiserver. `otlp` stands
for a collector of traces.
"""
