"""The tools that build and start containers: Docker's own, or buildah and podman if Docker is not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker" / "compose.yaml"
IMAGE = "segmentation-pipeline:0.1.0"
VARIABLE = "SEGMENTATION_CONTAINERS"
# the container that these tools run in may have lower limits than podman would give
PODMAN_RUN = "--pull never --ulimit nofile=1024:1024 --ulimit nproc=4096:4096"
PODMAN = "--runtime runc --cgroup-manager=cgroupfs"


@dataclass(frozen=True)
class Tools:
    """The commands that build, compose and inspect containers."""

    build: tuple[str, ...]
    compose: tuple[str, ...]
    engine: str
    environment: dict[str, str]

    def run(self, *command: str, check: bool = True, text: str | None = None, seconds: float = 300) -> str:
        """Run a command in the project's root; return what it printed."""
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, input=text, capture_output=True, text=True, timeout=seconds
        )
        assert not check or done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def main_process(self, container: str) -> int:
        """Return the pid of a container's main process on the machine."""
        return int(self.run(self.engine, "inspect", "--format", "{{.State.Pid}}", container).strip())


def find_tools() -> Tools | str:
    """The tools of this machine, or why there are none."""
    if shutil.which("docker") and _succeeds("docker", "info") and _succeeds("docker", "compose", "version"):
        build = ("docker", "build")
        return Tools(build, ("docker", "compose"), "docker", dict(os.environ))
    folder = Path(os.environ.get(VARIABLE) or ROOT.parent / "shared" / "containers")
    if not (folder / "build").exists():
        return f"no Docker engine with compose, and no container tools in {folder} ({VARIABLE} names another place)"
    if not shutil.which("podman") or not shutil.which("buildah"):
        return f"no Docker engine, and no podman and buildah; {folder}/base-images installs them"
    compose = shutil.which("podman-compose") or shutil.which("podman-compose", path=str(Path(sys.executable).parent))
    if compose is None:
        return "podman without podman-compose; pip install podman-compose"
    # buildah and podman must look into the same store
    driver = subprocess.run(
        ["buildah", "info", "--format", "{{.store.GraphDriverName}}"], capture_output=True, text=True
    ).stdout.strip()
    environment = os.environ | {"STORAGE_DRIVER": driver or "vfs", "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
    command = (compose, "--in-pod", "false", f"--podman-args={PODMAN}", f"--podman-run-args={PODMAN_RUN}")
    return Tools((str(folder / "build"), "--layers", "--format", "docker"), command, "podman", environment)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, timeout=30).returncode == 0
