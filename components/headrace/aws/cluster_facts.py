"""What others have to know of a cluster, whether it was made or was there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, kw_only=True)
class ClusterFacts:
    """What EKS says of a cluster."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    authority: pulumi.Output[str]
    """Certificate of the API server's authority, in base64."""
    security_group_id: pulumi.Output[str]
    service_cidr: pulumi.Output[str]

    def kubeconfig(self, role_arn: str | None = None) -> pulumi.Output[str]:
        """Without any credential: `aws eks get-token` makes one, for who uses it or who may take the role."""
        return pulumi.Output.all(self.name, self.arn, self.endpoint, self.authority).apply(
            lambda parts: _kubeconfig(parts, role_arn)
        )


def _kubeconfig(parts: Sequence[str], role_arn: str | None) -> str:
    name, arn, endpoint, authority = parts
    region = arn.split(":")[3]
    arguments = ["eks", "get-token", "--cluster-name", name, "--region", region, "--output", "json"]
    arguments += ["--role-arn", role_arn] if role_arn else []
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [
                {"name": name, "cluster": {"server": endpoint, "certificate-authority-data": authority}}
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "users": [
                {
                    "name": name,
                    "user": {
                        "exec": {
                            "apiVersion": "client.authentication.k8s.io/v1",
                            "command": "aws",
                            "args": arguments,
                            "interactiveMode": "IfAvailable",
                        }
                    },
                }
            ],
        }
    )
