"""What requests may say. Unknown fields, numbers that are not finite and over-long texts are refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, create_model, model_validator

from terraclick.store.fields import COLUMNS
from terraclick.store.values import Status

__all__ = [
    "AcceptBody",
    "BoxBody",
    "ClassBody",
    "ClickBody",
    "Coordinate",
    "CopyBody",
    "ExportBody",
    "GeometryBody",
    "ItemBody",
    "LineBody",
    "ManyBody",
    "MarkBody",
    "MergeBody",
    "OpenBody",
    "PaintBody",
    "PatchItemBody",
    "PatchOutlineBody",
    "PlacedBody",
    "PrefetchBody",
    "ProposalAcceptBody",
    "ProposalBody",
    "ProposalRefuseBody",
    "ReferenceBody",
    "SetBody",
    "ShapeBody",
    "ShapeManyBody",
    "ShownBody",
    "SketchBody",
]

Text = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Long = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
Coordinate = Annotated[FiniteFloat, Field(ge=-1e9, le=1e9)]
TargetName = Literal["object", "class"]
Tolerance = Annotated[FiniteFloat, Field(ge=0, le=10_000)]
Ids = Annotated[list[Text], Field(max_length=64)]
Attributes = Annotated[dict[Text, str | bool | FiniteFloat | int | None], Field(max_length=64)]
Revision = Annotated[int, Field(ge=0, lt=2**53)]
Wanted = Ids | Literal["class"]


def _attributes_of(value: Any) -> Any:
    """Attributes as an object, also where a program keeps them as JSON in a text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else {}
    except (ValueError, RecursionError):
        raise ValueError("attributes: a JSON object was expected") from None


class Body(BaseModel):
    """The base of all: nothing unknown."""

    model_config = ConfigDict(extra="forbid")


_SETTABLE: dict[str, Any] = {"text": Text, "number": FiniteFloat, "count": Revision, "time": Text, "json": Attributes}
_OWN: dict[str, Any] = {"label": Long, "status": Status}

if TYPE_CHECKING:
    Settable = Body
else:
    Settable = create_model(
        "Settable",
        __base__=Body,
        __doc__="What a client may set of an object: its editable columns (`store.fields`).",
        **{
            column.attribute: (
                Annotated[_OWN.get(column.name, _SETTABLE[column.kind]) | None, Field(alias=column.name)],
                None,
            )
            for column in COLUMNS
            if column.editable
        },
    )


class ShownBody(Body):
    """What the map shows: x0, y0, x1, y1 in pixels, and image pixels per screen pixel."""

    bounds: Annotated[list[Coordinate], Field(min_length=4, max_length=4)]
    resolution: Annotated[FiniteFloat, Field(gt=0, le=2**20)] = 1.0


class SeedOfProposal(Body):
    """A proposal to start from."""

    proposal: Text
    item: Annotated[int, Field(ge=0, lt=2**31)]


class OpenBody(Body):
    """Begin to outline one thing, or reopen a saved one."""

    image: Text | None = None
    target: TargetName | None = None
    class_name: Annotated[Text | None, Field(alias="class")] = None
    view: ShownBody | None = None
    references: Wanted | None = None
    simplify_m: Tolerance | None = None
    square: bool = False
    bands: Annotated[list[Annotated[int, Field(ge=1, le=100_000)]], Field(min_length=1, max_length=3)] | None = None
    stretch: Literal["auto", "percent", "none"] | list[tuple[FiniteFloat, FiniteFloat]] = "auto"
    object: Text | None = None
    seed: SeedOfProposal | dict[str, Any] | None = None


class ClickBody(Body):
    """A click in pixels of the image, and how many of them one pixel of the map shows."""

    x: Coordinate
    y: Coordinate
    positive: bool = True
    resolution: Annotated[FiniteFloat | None, Field(gt=0, le=2**20)] = None


class BoxBody(Body):
    """A box in pixels of the image, x1 < x2 and y1 < y2, and how many of them one pixel of the map shows."""

    x1: Coordinate
    y1: Coordinate
    x2: Coordinate
    y2: Coordinate
    resolution: Annotated[FiniteFloat | None, Field(gt=0, le=2**20)] = None


class PaintBody(Body):
    """A stroke: painted, or erased where add is false."""

    geometry: dict[str, Any]
    add: bool = True


class PatchOutlineBody(Body):
    """What may change while clicking."""

    target: TargetName | None = None
    class_name: Annotated[Text | None, Field(alias="class")] = None
    references: Wanted | None = None
    simplify_m: Tolerance | None = None
    square: bool | None = None


class AcceptBody(Settable):
    """What is kept with the outline."""


class SketchBody(Body):
    """A half-drawn shape: the tool that draws it, its corners in pixels of the image."""

    image: Text
    tool: Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]
    points: Annotated[list[Annotated[list[Coordinate], Field(min_length=2, max_length=2)]], Field(max_length=20_000)]
    finished: bool = False
    """The drawing became something: its corners are no acts of their own any more."""


class MarkBody(Body):
    """What a person says of an image."""

    state: Literal["", "done"]


class PrefetchBody(Body):
    """Where somebody may click soon."""

    x: Coordinate
    y: Coordinate
    target: TargetName = "object"
    view: ShownBody | None = None


class Properties(BaseModel):
    """What of a feature's properties can be set; everything else there is left alone."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        """What is null, as programs write columns without a value, is the default; attributes may be JSON in a text."""
        if not isinstance(value, dict):
            return value
        found = {name: part for name, part in value.items() if part is not None}
        if "attributes" in found:
            found["attributes"] = _attributes_of(found["attributes"])
        return found

    image: Text | None = None
    class_name: Annotated[Text, Field(alias="class")] = ""
    label: Long = ""
    status: Status = "accepted"
    attributes: Attributes = Field(default_factory=dict)
    rev: Revision | None = None


class ItemBody(BaseModel):
    """A GeoJSON feature."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["Feature"]
    geometry: dict[str, Any]
    properties: Annotated[Properties, BeforeValidator(lambda value: {} if value is None else value)] = Field(
        default_factory=Properties
    )


class PatchItemBody(Settable):
    """What of an object is to change: our own fields, or a JSON merge patch (RFC 7386) of the feature."""

    @model_validator(mode="before")
    @classmethod
    def _of_merge_patch(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not {"properties", "type", "id"} & set(value):
            return value
        if "geometry" in value and value["geometry"] is None:
            raise ValueError("an object needs a geometry: delete it instead")
        given = value.get("properties") or {}
        if not isinstance(given, dict):
            raise ValueError("properties: an object was expected")
        found: dict[str, Any] = {"merge": True} | {name: value[name] for name in ("geometry",) if name in value}
        nothing = {"class": "", "label": "", "status": "accepted"}
        for name, default in nothing.items():
            if name in given:
                found[name] = default if given[name] is None else given[name]
        if "rev" in given:
            found["rev"] = given["rev"]
        if "attributes" in given:
            found["attributes"] = _attributes_of(given["attributes"] or {})
        return found

    merge: bool = False
    rev: Revision | None = None
    geometry: dict[str, Any] | None = None


class LineBody(Body):
    """Where to split."""

    line: dict[str, Any]
    rev: Revision | None = None


class GeometryBody(Body):
    """What to cut out or to add."""

    geometry: dict[str, Any]
    rev: Revision | None = None


class ShapeBody(Body):
    """How to simplify."""

    simplify_m: Tolerance = 0.0
    square: bool = False
    rev: Revision | None = None


class Which(Body):
    """An object as it was seen."""

    id: Text
    rev: Revision | None = None


Many = Annotated[list[Which], Field(min_length=1, max_length=20_000)]


class ManyBody(Body):
    """Several objects."""

    objects: Many


class MergeBody(Body):
    """Objects to make one of."""

    objects: Annotated[list[Which], Field(min_length=2, max_length=500)]


class Placed(Which):
    """An object as it was seen, and its outline as it is to be, in pixels of its image."""

    geometry: dict[str, Any]


class PlacedBody(Body):
    """Objects with other outlines."""

    objects: Annotated[list[Placed], Field(min_length=1, max_length=5000)]
    corners: bool = False


class CopyBody(ManyBody):
    """Objects to copy, and how far from them in pixels; on another image where one is named."""

    dx: Coordinate = 0.0
    dy: Coordinate = 0.0
    image: Text | None = None


class SetBody(Settable):
    """What several objects are to have."""

    objects: Many


class ShapeManyBody(Body):
    """How to simplify several objects."""

    objects: Many
    simplify_m: Tolerance = 0.0
    square: bool = False


class Attribute(Body):
    """One column of a class."""

    type: Literal["string", "number", "boolean"] = "string"
    values: Annotated[list[str | FiniteFloat | int | bool], Field(max_length=200)] | None = None


class ClassBody(Body):
    """What is to change of a class; made where it is not there."""

    name: Text | None = None
    colour: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None
    key: Annotated[str, Field(pattern=r"^[0-9a-zA-Z]?$")] | None = None
    kind: Literal["discrete", "coverage"] | None = None
    schema_: Annotated[dict[Text, Attribute] | None, Field(alias="schema", max_length=64)] = None


class ReferenceBody(Body):
    """An example: a saved object, or a picture with its mask."""

    object: Text | None = None
    image_png: str | None = None
    mask_png: str | None = None
    class_name: Annotated[Text | None, Field(alias="class")] = None
    positive: bool = True


class ProposalBody(Body):
    """Where to look for the rest, and what it looks like."""

    image: Text
    class_name: Annotated[Text, Field(alias="class")] = ""
    view: ShownBody | None = None
    references: Wanted | None = "class"
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    simplify_m: Tolerance | None = None
    square: bool = False


class ProposalRefuseBody(Body):
    """Which proposals are wrong."""

    items: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1, max_length=1000)]


class ProposalAcceptBody(ProposalRefuseBody, Settable):
    """Which proposals to keep."""

    class_name: Annotated[Text | None, Field(alias="class")] = None
    status: Status = "accepted"


class ExportBody(Body):
    """What to write, and as what."""

    format: Text
    name: Annotated[str, Field(min_length=1, max_length=120)]
    image: Text | None = None
    class_name: Annotated[Text | None, Field(alias="class")] = None
    status: Status | None = None
    crs: Text | None = None
    overwrite: bool = False
