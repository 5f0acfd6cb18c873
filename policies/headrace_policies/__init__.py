"""Policies for streams on AWS: EKS, MSK, S3, IAM, KMS, Flink, change data capture and agents.

Importing starts nothing; `policies/__main__.py` assembles the pack.
"""

from headrace_policies.catalogue import RULES
from headrace_policies.pack import policies

__all__ = ["RULES", "policies"]
