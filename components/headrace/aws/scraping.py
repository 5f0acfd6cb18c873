"""What the managed scraper reads from the cluster: Flink's own figures, and what its containers use."""

from __future__ import annotations

from typing import Any

import yaml

from headrace.aws.alert_rules import MAIN_CONTAINER
from headrace.aws.slot_watch_config import METRICS_PORT as SLOT_METRICS_PORT
from headrace.plan.aws.cluster_names import SLOT_WATCH
from headrace.plan.metric_names import RELABELLED

INTERVAL = "30s"
METRICS_PORT = 9249
"""Flink's default of ``metrics.reporter.prom.port``."""
FLINK_PODS = "flink-native-kubernetes"
"""What Flink labels its pods with, as ``type``; ``app`` is the deployment, which is named as its agent."""


def scrape_configuration(namespace: str | None, watching: str | None = None) -> str:
    """A configuration of Prometheus, as the managed scraper takes it.

    Args:
        namespace: of the agents; without one it reads pods of all of them.
        watching: of the pods that watch slots; without one there are none.
    """
    jobs = [_flink(namespace), _containers(namespace), *([_slots(watching)] if watching else [])]
    return yaml.safe_dump({"global": {"scrape_interval": INTERVAL}, "scrape_configs": jobs}, sort_keys=False)


def _flink(namespace: str | None) -> dict[str, Any]:
    within = {"namespaces": {"names": [namespace]}} if namespace else {}
    pod = "__meta_kubernetes_pod"
    return {
        "job_name": "flink",
        "kubernetes_sd_configs": [{"role": "pod", **within}],
        "relabel_configs": [
            {"source_labels": [f"{pod}_label_type"], "action": "keep", "regex": FLINK_PODS},
            # A pod is found once for each of its ports; with one address it is one target.
            {
                "source_labels": [f"{pod}_ip"],
                "regex": "(.+)",
                "target_label": "__address__",
                "replacement": f"$1:{METRICS_PORT}",
            },
            {"source_labels": [f"{pod}_label_app"], "target_label": "agent"},
            {"source_labels": [f"{pod}_name"], "target_label": "pod"},
            {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        ],
        "metric_relabel_configs": [
            {"source_labels": ["__name__"], "action": "keep", "regex": "flink_.+"},
            *RELABELLED,
        ],
    }


def _slots(namespace: str) -> dict[str, Any]:
    pod = "__meta_kubernetes_pod"
    return {
        "job_name": "slots",
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": [namespace]}}],
        "relabel_configs": [
            {
                "source_labels": [f"{pod}_label_app_kubernetes_io_name"],
                "action": "keep",
                "regex": SLOT_WATCH,
            },
            {
                "source_labels": [f"{pod}_ip"],
                "regex": "(.+)",
                "target_label": "__address__",
                "replacement": f"$1:{SLOT_METRICS_PORT}",
            },
        ],
        "metric_relabel_configs": [
            {"source_labels": ["__name__"], "action": "keep", "regex": "headrace_capture_.+"}
        ],
    }


def _containers(namespace: str | None) -> dict[str, Any]:
    within = [{"source_labels": ["namespace"], "action": "keep", "regex": namespace}] if namespace else []
    return {
        "job_name": "containers",
        "scheme": "https",
        "authorization": {"credentials_file": "/var/run/secrets/kubernetes.io/serviceaccount/token"},
        "kubernetes_sd_configs": [{"role": "node"}],
        "relabel_configs": [
            {"target_label": "__address__", "replacement": "kubernetes.default.svc:443"},
            {
                "source_labels": ["__meta_kubernetes_node_name"],
                "regex": "(.+)",
                "target_label": "__metrics_path__",
                "replacement": "/api/v1/nodes/$1/proxy/metrics/cadvisor",
            },
        ],
        "metric_relabel_configs": [
            {"source_labels": ["container"], "action": "keep", "regex": MAIN_CONTAINER},
            *within,
            {
                "source_labels": ["__name__"],
                "action": "keep",
                "regex": "container_(cpu_usage_seconds_total|memory_working_set_bytes)",
            },
        ],
    }
