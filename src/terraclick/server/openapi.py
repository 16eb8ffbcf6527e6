"""The description of the interface for programs, as OpenAPI 3.0: what the conformance class oas30 promises."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from terraclick.server.answers import ANSWERS, MEDIA, SCHEMAS

__all__ = ["as_30", "described"]

SECURITY: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The token that terraclick serve printed."},
    "basic": {"type": "http", "scheme": "basic", "description": "User name, and the token as password."},
    "address": {"type": "apiKey", "in": "query", "name": "token", "description": "For programs that know no headers."},
}
ERROR = {"$ref": "#/components/schemas/Error"}
ERRORS = {
    "400": "The address or a parameter cannot be used, or the body is no JSON.",
    "401": "No valid token.",
    "403": "A page of another site.",
    "404": "Nothing of that name.",
    "409": "Somebody saved the object meanwhile, or the file exists.",
    "412": "A condition in the headers does not hold, or cannot be read.",
    "413": "Too large.",
    "422": "The body was understood and cannot be used.",
    "501": "An optional package is not installed.",
    "503": "Too much waits for the model, or the session's file is gone.",
}
FEATURE_MEDIA = "application/geo+json"


def described(app: FastAPI, server: str) -> dict[str, Any]:
    """The description of an app whose links begin with `server`."""
    found = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, openapi_version="3.0.3"
    )
    found = dict(as_30(found))
    found["servers"] = [{"url": server or "/"}]
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas.update(SCHEMAS)
    found["components"]["securitySchemes"] = SECURITY
    found["security"] = [{name: []} for name in SECURITY]
    for path, verbs in found["paths"].items():
        for verb, route in verbs.items():
            _complete(route, verb, path)
    return found


def _complete(route: dict[str, Any], verb: str, path: str) -> None:
    """Every success with a schema, every error it may answer with."""
    answers = {code: answer for code, answer in route["responses"].items() if code[0] == "2"}
    name = ANSWERS.get((verb, path))
    for code, answer in answers.items():
        if code == "204":
            answer.pop("content", None)
        elif name in MEDIA:
            answer["content"] = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA[name]}
        elif name is not None:
            kind = FEATURE_MEDIA if "/items" in path else "application/json"
            answer["content"] = {kind: {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    errors: dict[str, Any] = {
        code: {"description": said, "content": {"application/json": {"schema": ERROR}}}
        for code, said in ERRORS.items()
        if code != "422" or "requestBody" in route or path == "/api/import"
    }
    if path == "/v1/segment":  # its refusals are those of another program
        errors["422"]["content"]["application/json"]["schema"] = {"$ref": "#/components/schemas/SegMapError"}
    if (verb, path) == ("get", "/api/collections/objects/items/{uuid}"):
        answers["304"] = {"description": "The reader has this revision (If-None-Match)."}
    route["responses"] = answers | errors
    for parameter in route.get("parameters", []):
        if parameter["name"] == "bbox":
            number = {"type": "number"}
            parameter |= {"schema": {"type": "array", "minItems": 4, "maxItems": 6, "items": number}}
            parameter |= {"style": "form", "explode": False}
        elif parameter["in"] == "query" and parameter["schema"].get("type") != "array":
            parameter |= {"style": "form", "explode": False}


def as_30(value: Any) -> Any:
    """A description in JSON Schema's newer words (OpenAPI 3.1) in those of 3.0."""
    if isinstance(value, list):
        return [as_30(part) for part in value]
    if not isinstance(value, dict):
        return value
    found = {name: as_30(part) for name, part in value.items()}
    for kinds in ("anyOf", "oneOf"):
        options = found.get(kinds)
        if isinstance(options, list) and {"type": "null"} in options:
            rest = [option for option in options if option != {"type": "null"}]
            del found[kinds]
            found |= ({"allOf": rest} if "$ref" in rest[0] else rest[0]) if len(rest) == 1 else {kinds: rest}
            found["nullable"] = True
    if "const" in found and not isinstance(found["const"], dict):
        found["enum"] = [found.pop("const")]
    for word, plain in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(found.get(word), int | float) and not isinstance(found[word], bool):
            found[plain], found[word] = found[word], True
    items = found.pop("prefixItems", None)
    if isinstance(items, list):
        found["items"] = items[0]
    named = found.pop("patternProperties", None)
    if isinstance(named, dict) and len(named) == 1:
        found["additionalProperties"] = next(iter(named.values()))
    if found.pop("propertyNames", None) is not None:
        found.setdefault("additionalProperties", True)
    if "contentMediaType" in found:
        del found["contentMediaType"]
        found["format"] = "binary"
    return found
