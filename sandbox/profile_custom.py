"""The sections of a profile that say how an account was customised: fields, lists, segments, records, datasets, searches."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from sandbox.profile_types import STRICT, Id

ScriptId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Section(BaseModel):
    model_config = STRICT


class ListValue(Section):
    id: Id
    name: str
    parent: Id | None = None
    external_id: str | None = None
    inactive: bool = False


class CustomList(Section):
    script_id: Annotated[str, Field(pattern=r"^customlist_[a-z0-9_]+$")]
    name: str
    values: list[ListValue]


class CustomSegment(Section):
    script_id: Annotated[str, Field(pattern=r"^cseg_[a-z0-9_]+$")]
    label: str
    body: bool = True
    lines: bool = True
    values: list[ListValue]

    @property
    def record_type(self) -> str:
        return f"customrecord_{self.script_id}"


class CustomField(Section):
    script_id: ScriptId
    label: str
    type: Literal["text", "number", "integer", "date", "boolean", "list", "record", "multiselect"]
    applies_to: list[str] = []
    """Record types; empty: every type that the script id's prefix can be on."""
    choices: str | None = Field(None, alias="list")
    """The custom list, segment or record type that a list, record or multiselect field chooses from."""
    mandatory: bool = False
    hidden_from: list[Id] = []
    """Roles that the field's access settings keep from seeing it."""

    @model_validator(mode="after")
    def _well_formed(self) -> CustomField:
        if not self.script_id.startswith(("custbody_", "custcol_", "custentity_", "custrecord_")):
            raise ValueError("script_id must begin with custbody_, custcol_, custentity_ or custrecord_")
        if (self.type in ("list", "record", "multiselect")) != (self.choices is not None):
            raise ValueError(f"a field of type {self.type} {'has no' if self.choices else 'needs a'} `list`")
        return self


class Instance(Section):
    """A record of a custom record type."""

    id: Id
    name: str | None = None
    external_id: str | None = None
    inactive: bool = False
    values: dict[str, Any] = {}
    """By field script id: text, number, ISO date, true or false, an id, or a list of ids."""


class CustomRecordType(Section):
    script_id: Annotated[str, Field(pattern=r"^customrecord_[a-z0-9_]+$")]
    name: str
    include_name: bool = True
    """Whether its records have a name, which is then mandatory."""
    access: Literal["none", "entries", "list"] = "entries"
    """What a role needs: nothing, Custom Record Entries, or a permission by the type's own name."""
    fields: list[CustomField] = []
    instances: list[Instance] = []

    @model_validator(mode="after")
    def _well_formed(self) -> CustomRecordType:
        if self.script_id.startswith("customrecord_cseg_"):
            raise ValueError("customrecord_cseg_... holds a segment's values: declare a custom segment")
        names = {field.script_id for field in self.fields}
        for field in self.fields:
            if not field.script_id.startswith("custrecord_"):
                raise ValueError(f"field {field.script_id} of {self.script_id} must begin with custrecord_")
        for instance in self.instances:
            if unknown := sorted(instance.values.keys() - names):
                raise ValueError(f"{self.script_id} {instance.id}: there is no field {unknown[0]}")
            if self.include_name and not instance.name:
                raise ValueError(f"{self.script_id} {instance.id}: a name is needed")
        return self

    @property
    def permission(self) -> str:
        """The permission with its tab, as a refusal names it; empty when none is needed."""
        return {"none": "", "entries": "Lists -> Custom Record Entries"}.get(
            self.access, f"Custom Record -> {self.name}"
        )


class SavedSearch(Section):
    id: Id
    script_id: Annotated[str, Field(pattern=r"^customsearch_[a-z0-9_]+$")]
    title: str
    type: str
    public: bool = True


class Dataset(Section):
    """A SuiteAnalytics dataset; its columns and criteria are given as the SuiteQL that they amount to."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
    name: str
    description: str = ""
    query: str
