"""Mistakes in a `defs.yaml` in plain words: what was found, what is valid, the nearest valid name."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from pydantic_core import InitErrorDetails, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic_core import ErrorDetails

# the kinds of pydantic errors whose words say what is wanted and not what was found
_OF_A_TYPE: Final = re.compile(r"_(type|parsing|from_float)$|^(greater|less|finite|too_)")
_SHOWN: Final = 40


def rephrase(
    error: ErrorDetails, fields: Mapping[str, str | None], elsewhere: Mapping[str, Sequence[str]], *, given: object
) -> InitErrorDetails:
    """Return a mistake in plain words, at its place.

    `fields` are the fields of the part that was read, with their descriptions; `elsewhere` are the fields of the other
    parts; `given` is what the part was read from. A mistake of a part within it has its words already and keeps them.
    """
    place, words = error["loc"], error["msg"].removeprefix("Value error, ").replace("Input should", "should", 1)
    here = len(place) == 1
    if here and error["type"] == "extra_forbidden":
        words = describe_unknown_field(str(place[0]), fields, elsewhere)
    elif here and error["type"] == "missing":
        words = f"is missing. {fields.get(str(place[0])) or ''}".strip()
    elif error["type"] == "literal_error":
        words = _describe_wrong_value(error["input"], re.findall(r"'([^']*)'", error["msg"]))
    elif _OF_A_TYPE.search(error["type"]):
        found = f"; this is {error['input']!r}" if _is_shown(error["input"]) else ""
        words = words.split(" or instance of ")[0].replace("dictionary", "mapping") + found
    return _make_details(_find_place(place, given), words, found=error["input"])


def make_mistake(place: tuple[str | int, ...], words: str) -> ValidationError:
    """Make the error that a validator of several fields raises; the message names the line of the field at `place`."""
    return ValidationError.from_exception_data("defs.yaml", [_make_details(place, words)], hide_input=True)


def _make_details(place: tuple[str | int, ...], words: str, *, found: object = None) -> InitErrorDetails:
    # a kind that pydantic knows: Dagster makes the error again from its kind, with the line at its place
    shown = found if _is_shown(found) else "..."
    return InitErrorDetails(type="value_error", loc=place, input=shown, ctx={"error": ValueError(words)})


def _find_place(place: tuple[str | int, ...], given: object) -> tuple[str | int, ...]:
    """Return the place as the YAML has it: without the form of `features`, unless it was written as a mapping."""
    written = isinstance(given, dict) and isinstance(given.get("features"), dict)
    if place == ("pca",) and written:
        return ("features", "pca")
    if place[:1] != ("features",):
        return place
    rest = place[2:] if place[1:2] in {("columns",), ("auto",)} else place[1:]
    return ("features", *(("columns",) if written and rest else ()), *rest)


def describe_unknown_field(
    name: str, fields: Mapping[str, object] | Sequence[str], elsewhere: Mapping[str, Sequence[str]]
) -> str:
    """Describe a field that does not exist: by the nearest one, the part that has it, or all that there are."""
    if near := get_close_matches(name.lower(), list(fields), n=1):
        return f"there is no such field; did you mean {near[0]}?"
    if parts := sorted(part for part, names in elsewhere.items() if name in names):
        return f"there is no such field here; {' and '.join(parts)} {'have' if parts[1:] else 'has'} one"
    return f"there is no such field; there are {', '.join(fields)}"


def _describe_wrong_value(found: object, values: Sequence[str]) -> str:
    near = get_close_matches(str(found).lower(), values, n=1)
    what = f"{found!r} is" if _is_shown(found) else "this is"
    end = f"; did you mean {near[0]}?" if near else ""
    return f"{what} not one of {', '.join(values)}{end}"


def _is_shown(value: object) -> bool:
    """Return whether a value may stand in a message: it is short, and cannot be a URL with a password."""
    return isinstance(value, bool | int | float | str) and len(str(value)) <= _SHOWN and "://" not in str(value)
