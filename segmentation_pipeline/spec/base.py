"""The base of every part of a `defs.yaml`: immutable, without unknown fields, its mistakes in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator

from segmentation_pipeline.spec.mistakes import rephrase

if TYPE_CHECKING:
    from pydantic_core import InitErrorDetails

Share = Annotated[float, Field(ge=0, le=1)]


def _name_the_fields(schema: dict[str, Any]) -> None:  # a JSON schema
    """Let `dg check yaml`, which uses the JSON schema, answer an unknown field with the fields that there are."""
    schema["propertyNames"] = {"enum": list(schema.get("properties", ()))}


class Spec(BaseModel):
    """The base of every part of a `defs.yaml`: immutable, and without unknown fields."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        json_schema_extra=_name_the_fields,
    )

    @model_validator(mode="wrap")
    @classmethod
    def _rephrase_errors(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:  # whatever YAML holds
        """Say of each mistake what was found and what to write; its place stays, from which Dagster finds the line."""
        try:
            return handler(data)
        except ValidationError as error:
            fields = {name: field.description for name, field in cls.model_fields.items()}
            elsewhere = {
                part.name_field(): tuple(part.model_fields) for part in Spec.__subclasses__() if part is not cls
            }
            mistakes: list[InitErrorDetails] = [
                rephrase(details, fields, elsewhere, given=data) for details in error.errors(include_url=False)
            ]
            raise ValidationError.from_exception_data(error.title, mistakes, hide_input=True) from None

    @classmethod
    def name_field(cls) -> str:
        """Return the field of a defs.yaml that holds this part: `sweep` for SweepSpec."""
        return cls.__name__.removesuffix("Spec").lower()
