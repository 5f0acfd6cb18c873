"""A stand-in for Pulumi's provider for Kubernetes, over a real kube-apiserver."""
