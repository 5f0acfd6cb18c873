"""S3Proxy on a directory: checkpoints and savepoints at S3 paths, as on AWS."""

from __future__ import annotations

from headrace.plan.because import Because, because, build, settings
from headrace.plan.model import JvmProcessPlan, Ports
from headrace.plan.ports import LOOPBACK

OBJECT_STORE_HEAP_MIB = 256


def object_store(ports: Ports) -> Because[JvmProcessPlan]:
    """``s3proxy.conf`` but for ``jclouds.filesystem.basedir``."""
    return build(
        JvmProcessPlan,
        heap_mib=because(OBJECT_STORE_HEAP_MIB, f"{OBJECT_STORE_HEAP_MIB} MiB: objects are streamed"),
        settings=settings(
            {
                "s3proxy.endpoint": (
                    f"http://{LOOPBACK}:{ports.object_store}",
                    f"the stack's port for it, {ports.object_store}, loopback only",
                ),
                "s3proxy.authorization": (
                    "none",
                    (
                        "loopback only, and with signatures on Flink's S3 file system fails on "
                        "1 header, x-amz-content-sha256"
                    ),
                ),
                "s3proxy.ignore-unknown-headers": (
                    True,
                    "today's AWS SDKs send headers it does not know: 0 are refused",
                ),
                "jclouds.provider": ("filesystem-nio2", "1 folder on this machine: data survives a restart"),
                "jclouds.identity": ("headrace", "the provider wants 1 name; a folder checks none"),
                "jclouds.credential": ("headrace", "the provider wants 1 secret; a folder checks none"),
            }
        ),
    )
