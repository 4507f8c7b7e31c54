"""The defs.yaml files of a folder before Dagster reads them: what is not YAML or not a segmentation, with its line."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import yaml

from segmentation_pipeline.errors import SpecError
from segmentation_pipeline.model.commands import init_command
from segmentation_pipeline.spec.mistakes import describe_unknown_field

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TYPE: Final = "segmentation_pipeline.Segmentation"
# the fields that Dagster reads from a defs.yaml
_FIELDS: Final = ("type", "attributes", "requirements", "post_processing", "template_vars_module")
_QUERY: Final = ("attributes", "source", "query")


def require_readable(folder: Path) -> None:
    """Refuse a folder in which a defs.yaml cannot be read as a segmentation.

    Raises:
        SpecError: with a line for each mistake: file and line, field, what to write.
    """
    wrong = [fault for path in sorted(folder.glob("*/**/defs.yaml")) for fault in _find_faults(path)]
    if wrong:
        raise SpecError("\n".join(wrong))


def _find_faults(path: Path) -> Iterator[str]:
    try:
        documents = list(yaml.compose_all(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        context = f" ({error.context}, line {error.context_mark.line + 1})" if error.context_mark else ""
        hint = "; indent with spaces" if "'\\t'" in str(error.problem) else ""
        yield f"{path}:{mark.line + 1 if mark else 1}: this is not YAML: {error.problem}{context}{hint}"
        return
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        yield f"{path}:1: this is not YAML in UTF-8: {' '.join(str(error).split())}"
        return
    if not any(documents):
        yield f"{path}:1: the file is empty. Write one with:  {init_command()}"
    for document in documents:
        if isinstance(document, yaml.MappingNode):
            yield from _check_document(path, document)
            yield from _find_duplicates(path, document)
        elif document is not None:
            yield f"{path}:{_find_line(document)}: there should be `type: {TYPE}` and `attributes:`"


def _check_document(path: Path, document: yaml.MappingNode) -> Iterator[str]:
    given = {key.value: (key, value) for key, value in document.value}
    for name, (key, _) in given.items():
        if name not in _FIELDS:
            yield f"{path}:{_find_line(key)}: {name}: {describe_unknown_field(name, _FIELDS, {})}"
    kind = given["type"][1].value if "type" in given else None
    if kind is None:
        yield f"{path}:{_find_line(document)}: type: is missing. Write `type: {TYPE}`."
    elif kind != TYPE and get_close_matches(str(kind), [TYPE], cutoff=0.8):
        yield f"{path}:{_find_line(given['type'][0])}: type: there is no {kind}; did you mean {TYPE}?"
    if kind != TYPE:
        return
    if not isinstance(given.get("attributes", (None, None))[1], yaml.MappingNode):
        line = _find_line(given["attributes"][0] if "attributes" in given else document)
        yield f"{path}:{line}: attributes: is missing. It holds name, source, partitions, features and publish."
    query = _find_node(document, _QUERY)
    if isinstance(query, yaml.ScalarNode) and query.value.strip().endswith(".sql"):
        file = path.parent / query.value.strip()
        if not file.is_file():
            there = sorted(found.name for found in path.parent.glob("*.sql"))
            near = get_close_matches(file.name, there, n=1) or there[:1]
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{path}:{_find_line(query)}: source.query: there is no {file.name} beside the defs.yaml{hint}"


def _find_duplicates(path: Path, node: yaml.Node, place: str = "") -> Iterator[str]:
    """Find the fields that a mapping has twice: YAML would silently take the last one."""
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            yield from _find_duplicates(path, item, f"{place}{position}.")
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        name = str(key.value)
        if name in seen:
            field = f"{place}{name}".removeprefix("attributes.")
            yield f"{path}:{_find_line(key)}: {field}: is given already in line {seen[name]}; remove one"
        seen.setdefault(name, _find_line(key))
        yield from _find_duplicates(path, value, f"{place}{name}.")


def _find_node(node: yaml.Node, place: tuple[str, ...]) -> yaml.Node | None:
    for step in place:
        if not isinstance(node, yaml.MappingNode):
            return None
        found = [value for key, value in node.value if key.value == step]
        if not found:
            return None
        node = found[-1]
    return node


def _find_line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
