"""What every route answers with, as schemas of OpenAPI 3.0; tests compare real answers with them."""

from __future__ import annotations

from typing import Any

from terraclick.store.fields import COLUMNS, Kind

__all__ = ["ANSWERS", "MEDIA", "SCHEMAS"]

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
ANY: Schema = {"type": "object", "additionalProperties": True}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _maybe(schema: Schema) -> Schema:
    """The same or null."""
    return {"allOf": [schema], "nullable": True} if "$ref" in schema else schema | {"nullable": True}


def _list(schema: Schema, **more: int) -> Schema:
    return {"type": "array", "items": schema, **more}


def _object(**fields: Schema) -> Schema:
    """All fields are there; a name that ends in _ stands for the word without it."""
    named = {name.rstrip("_"): schema for name, schema in fields.items()}
    return {"type": "object", "required": list(named), "properties": named}


def _counts() -> Schema:
    return {"type": "object", "additionalProperties": WHOLE}


BOX = _list(NUMBER, minItems=4, maxItems=4)
LINKS = _list(_ref("Link"))
GEOMETRY = _maybe(_ref("Geometry"))
BRIEF: dict[str, Schema] = {
    "id": TEXT,
    "image": TEXT,
    "target": TEXT,
    "class": TEXT,
    "author": TEXT,
    "object": _maybe(TEXT),
    "rev": _maybe(WHOLE),
    "clicks": _list(_object(x=NUMBER, y=NUMBER, positive=FLAG)),
    "box": _maybe(_object(x1=NUMBER, y1=NUMBER, x2=NUMBER, y2=NUMBER)),
    "can_undo": FLAG,
    "can_redo": FLAG,
    "references": _list(TEXT),
    "simplify_m": _maybe(NUMBER),
    "square": FLAG,
    "saved": FLAG,
    "begun": FLAG,
    "window": TEXT,
    "elsewhere": FLAG,
}
GEOMETRIES = [f"{many}{one}" for one in ("Polygon", "LineString", "Point") for many in ("", "Multi")]
_OF_KIND: dict[Kind, Schema] = {"text": TEXT, "number": _maybe(NUMBER), "count": WHOLE, "time": TEXT, "json": {}}
PROPERTIES: dict[str, Schema] = {column.name: _OF_KIND[column.kind] for column in COLUMNS} | {"image": _maybe(TEXT)}
FEATURE = _object(
    type={"type": "string", "enum": ["Feature"]}, id=TEXT, geometry=GEOMETRY, properties=_ref("ObjectProperties")
)
COLLECTION = _object(id=TEXT, title=TEXT, itemType=TEXT, crs=_list(TEXT), links=LINKS)
COLLECTION["properties"] |= {"extent": ANY, "storageCrs": TEXT}
CHANGE = _object(
    act=TEXT,
    objects=_list(_ref("Feature")),
    deleted=_list(TEXT),
    patches=_list(_object(id=TEXT, properties=ANY)),
    reload=FLAG,
    session=_maybe(_ref("Session")),
    image=_maybe(TEXT),
    classes=FLAG,
    renamed=FLAG,
    references=FLAG,
    marks=FLAG,
    sketches=_list(_ref("Sketch")),
    proposals=_maybe(_ref("Proposals")),
)
SCHEMAS: dict[str, Schema] = {
    "Error": _object(error=TEXT, message=TEXT),
    "Link": _object(href=TEXT, rel=TEXT, type=TEXT, title=TEXT),
    "Geometry": _object(type={"type": "string", "enum": GEOMETRIES}, coordinates=_list({})),
    "ObjectProperties": _object(**{f"{name}_": schema for name, schema in PROPERTIES.items()}),
    "Feature": FEATURE | {"properties": FEATURE["properties"] | {"links": LINKS}},
    "FeatureCollection": _object(
        type={"type": "string", "enum": ["FeatureCollection"]},
        features=_list(_ref("Feature")),
        numberMatched=WHOLE,
        numberReturned=WHOLE,
        timeStamp={"type": "string", "format": "date-time"},
        links=LINKS,
    ),
    "Landing": _object(title=TEXT, description=TEXT, links=LINKS),
    "Conformance": _object(conformsTo=_list(TEXT)),
    "Collection": COLLECTION,
    "Collections": _object(links=LINKS, collections=_list(_ref("Collection"))),
    "State": _object(
        version=TEXT,
        user=TEXT,
        users=_list(TEXT),
        model=_object(name=TEXT, hash=TEXT, summary=TEXT),
        targets=_list(TEXT),
        statuses=_list(TEXT),
        session=_object(name=TEXT, crs=_maybe(TEXT), crs_name=_maybe(TEXT)),
        set_aside=_object(count=WHOLE, rows=_list(_object(table=TEXT, row=TEXT, reason=TEXT))),
        images=WHOLE,
        objects=WHOLE,
        counts=_object(status=_counts(), class_=_counts()),
        work={"type": "object", "additionalProperties": _object(objects=WHOLE, state=TEXT)},
        can_undo=_maybe(TEXT),
        can_redo=_maybe(TEXT),
    ),
    "Image": _object(
        id=TEXT,
        name=TEXT,
        width=WHOLE,
        height=WHOLE,
        version=TEXT,
        crs=_maybe(TEXT),
        crs_name=_maybe(TEXT),
        gsd=_maybe(NUMBER),
        transform=_list(NUMBER, minItems=6, maxItems=6),
        bounds=BOX,
        lonlat_bounds=_maybe(BOX),
        bands=_list(_object(index=WHOLE, name=_maybe(TEXT), dtype=TEXT)),
        default_bands=_list(WHOLE),
        nodata=_maybe(NUMBER),
        tile_size=WHOLE,
        max_zoom=WHOLE,
        objects=WHOLE,
        state=TEXT,
    ),
    "Images": _object(images=_list(_ref("Image"))),
    "Statistics": _object(
        bands=_list(_object(index=WHOLE, min=_maybe(NUMBER), max=_maybe(NUMBER), p2=_maybe(NUMBER), p98=_maybe(NUMBER)))
    ),
    "Layers": _object(layers=_list(_object(id=TEXT, name=TEXT, file=TEXT, version=TEXT))),
    "Wanted": _object(wanted=FLAG),
    "SessionBrief": _object(**{f"{name}_": schema for name, schema in BRIEF.items()}),
    "Sessions": _object(sessions=_list(_ref("SessionBrief"))),
    "Outline": _object(
        empty=FLAG,
        geometry=GEOMETRY,
        map=GEOMETRY,
        crs=_maybe(TEXT),
        score=NUMBER,
        area_px=NUMBER,
        area_m2=_maybe(NUMBER),
        perimeter_m=_maybe(NUMBER),
        vertices=WHOLE,
        parts=WHOLE,
    ),
    "MaybeOutline": {"allOf": [_ref("Outline")], "nullable": True},
    "Hint": _object(x=NUMBER, y=NUMBER, inside=FLAG, uncertainty=NUMBER),
    "Session": {
        "allOf": [
            _ref("SessionBrief"),
            _object(
                model=TEXT,
                view=_maybe(_object(bounds=BOX, shape=_list(WHOLE), gsd=_maybe(NUMBER))),
                outline=_maybe(_ref("Outline")),
                hint=_maybe(_ref("Hint")),
                timing=_object(read_ms=NUMBER, encode_ms=NUMBER, predict_ms=NUMBER, total_ms=NUMBER),
            ),
        ]
    },
    "Place": _object(x=NUMBER, y=NUMBER),
    "Preview": _object(ready=FLAG, outline=_maybe(_ref("Outline")), ms=_maybe(NUMBER)),
    "Cancelled": _object(cancelled=FLAG),
    "SegMapError": {"type": "object", "required": ["error"], "properties": {"error": {}}},
    "SegMapModels": _list(_object(id=TEXT, name=TEXT, input_channels=NUMBER, description=TEXT, version=TEXT)),
    "SegMapAnswer": _object(segmentation=_list(ANY), model_used=TEXT, processing_time=NUMBER, timestamp=TEXT),
    "Change": CHANGE,
    "Imported": {
        "allOf": [
            _ref("Change"),
            _object(
                imported=WHOLE,
                left_out=_list(_object(reason=TEXT, count=WHOLE)),
                by_image={"type": "object", "additionalProperties": WHOLE},
            ),
        ],
    },
    "Turned": {
        "allOf": [_ref("Change"), _object(hand=_maybe(ANY), closed=_maybe(TEXT))],
    },
    "Sketches": _object(sketches=_list(_ref("Sketch"))),
    "Sketch": _object(id=TEXT, image=_maybe(TEXT), tool=TEXT, points=_list(_list(NUMBER)), window=TEXT),
    "Undo": _object(undo=_list(TEXT), redo=_list(TEXT)),
    "Class": _object(name=TEXT, colour=TEXT, key=TEXT, kind=TEXT, schema=ANY, objects=WHOLE),
    "Classes": _object(classes=_list(_ref("Class"))),
    "Reference": _object(id=TEXT, class_=TEXT, positive=FLAG, width=WHOLE, height=WHOLE, created=TEXT),
    "References": _object(references=_list(_ref("Reference"))),
    "Proposals": _object(
        id=TEXT,
        image=TEXT,
        class_=TEXT,
        items=_list(_object(item=WHOLE, score=NUMBER, outline=_ref("Outline"))),
        kept=WHOLE,
        refused=WHOLE,
        ms=NUMBER,
    ),
    "Formats": _object(
        formats=_list(_object(name=TEXT, label=TEXT, note=TEXT, ending=TEXT, pixels=FLAG, several=FLAG))
    ),
    "Export": _object(name=TEXT, bytes=WHOLE, url=TEXT),
    "Exports": _object(exports=_list(_ref("Export"))),
}

MEDIA: dict[str, tuple[str, ...]] = {
    "tile": ("image/png", "image/jpeg"),
    "png": ("image/png",),
    "events": ("text/event-stream",),
    "file": ("application/octet-stream", "application/geo+json", "application/zip"),
}
"""Answers that are no JSON, by a name of their own."""

_ITEMS = "/api/collections/objects/items"
SESSION_ACTS = ("clicks", "box", "paint", "clear", "undo", "redo", "claim")
ANSWERS: dict[tuple[str, str], str] = {
    ("get", "/api/state"): "State",
    ("get", "/api/events"): "events",
    ("get", "/api/images"): "Images",
    ("get", "/api/images/{image}"): "Image",
    ("post", "/api/images"): "Image",
    ("post", "/api/images/pixels"): "Image",
    ("get", "/api/images/{image}/statistics"): "Statistics",
    ("get", "/api/images/{image}/tiles/pixels/{z}/{x}/{place}"): "tile",
    ("get", "/api/images/{image}/tiles/map/{z}/{x}/{place}"): "tile",
    ("get", "/api/images/{image}/layers"): "Layers",
    ("get", "/api/images/{image}/layers/{layer}/tiles/pixels/{z}/{x}/{place}"): "png",
    ("post", "/api/images/{image}/prefetch"): "Wanted",
    ("get", "/api/images/{image}/place"): "Place",
    ("get", "/v1/models"): "SegMapModels",
    ("post", "/v1/segment"): "SegMapAnswer",
    ("get", "/api/sessions"): "Sessions",
    ("post", "/api/sessions"): "Session",
    ("get", "/api/sessions/{name}"): "Session",
    **{("post", f"/api/sessions/{{name}}/{act}"): "Session" for act in SESSION_ACTS},
    ("delete", "/api/sessions/{name}/clicks/last"): "Session",
    ("patch", "/api/sessions/{name}"): "Session",
    ("post", "/api/sessions/{name}/cancel"): "Cancelled",
    ("get", "/api/sessions/{name}/outline"): "MaybeOutline",
    ("get", "/api/sessions/{name}/preview"): "Preview",
    ("post", "/api/sessions/{name}/accept"): "Feature",
    ("get", "/api"): "Landing",
    ("get", "/api/conformance"): "Conformance",
    ("get", "/api/collections"): "Collections",
    ("get", "/api/collections/objects"): "Collection",
    ("get", _ITEMS): "FeatureCollection",
    ("post", _ITEMS): "Feature",
    **{(verb, _ITEMS + "/{uuid}"): "Feature" for verb in ("get", "put", "patch")},
    **{
        ("post", f"/api/objects/{act}"): "Change"
        for act in ("merge", "set", "delete", "shape", "place", "copy", "explode")
    },
    **{("post", f"/api/objects/{{uuid}}/{act}"): "Change" for act in ("split", "cut", "add", "shape")},
    ("get", "/api/undo"): "Undo",
    ("post", "/api/undo"): "Turned",
    ("post", "/api/redo"): "Turned",
    ("get", "/api/sketches"): "Sketches",
    ("put", "/api/sketches/{name}"): "Change",
    ("put", "/api/images/{image}/mark"): "Change",
    ("get", "/api/classes"): "Classes",
    ("put", "/api/classes/{name}"): "Class",
    ("get", "/api/references"): "References",
    ("post", "/api/references"): "Reference",
    ("get", "/api/references/{uuid}/picture"): "png",
    ("post", "/api/proposals"): "Proposals",
    **{("post", f"/api/proposals/{{name}}/{act}"): "Change" for act in ("accept", "refuse")},
    ("post", "/api/import"): "Imported",
    ("get", "/api/formats"): "Formats",
    ("post", "/api/exports"): "Export",
    ("get", "/api/exports"): "Exports",
    ("get", "/api/exports/{name}"): "file",
}
"""(verb, path) → the name of the schema, or of the media."""
