"""Check whether this container is healthy. The role of the container follows from the command of its first process.

The check of the code location is light, because it shares the memory of the runs. Only the check of the daemon needs
Dagster. A batch is healthy as long as it runs.
"""

import os
import sys
import urllib.request
from pathlib import Path

GRPC_PORT = 4000
PAGE = "http://127.0.0.1:3000/server_info"
SECONDS = 10


def main() -> int:
    """Return exit code 0 if this container does the work of its role."""
    command = Path("/proc/1/cmdline").read_text().split("\0")
    if "grpc" in command:
        return _code_location()
    if any(word.endswith("dagster-webserver") for word in command):
        return _webserver()
    if any(word.endswith("dagster-daemon") for word in command):
        os.execvp("dagster-daemon", ["dagster-daemon", "liveness-check"])  # noqa: S606, S607  no shell, and PATH is the image's
    return 0


def _code_location() -> int:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{GRPC_PORT}") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service="DagsterApi"), timeout=SECONDS
        )
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


def _webserver() -> int:
    with urllib.request.urlopen(PAGE, timeout=SECONDS) as answer:
        return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
