"""The reference pages of the docs, written from the code: command line, HTTP, formats, models.

    python dev/reference.py FOLDER

The documentation site (`mkdocs.yml`) takes them from here, so a new option, route, format or model is in the
reference as soon as it is declared.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
SOURCE = "https://github.com/terraclick/terraclick/blob/main"


def _cell(text: object) -> str:
    """A table cell: one line, no bars."""
    return " ".join(str(text).split()).replace("|", "\\|")


def _table(heads: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(map(_cell, row)) + " |" for row in rows)])


# --- command line ----------------------------------------------------------------------------------------------------


def command_line() -> str:
    """Every verb with its usage, arguments and options."""
    from terraclick.cli import cli

    parts = ["# Command line", "`terraclick VERB --help` prints the same text."]
    parts += [
        "Exit codes: 0 done, 1 something failed, 2 the input or an option cannot be used, 130 interrupted."
        " Every error is one sentence on standard error."
    ]
    for name, command in _verbs(cli):
        context = click.Context(command, info_name=f"terraclick {name}")
        parts.append(f"## {name}\n\n```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```")
        parts.append("\n\n".join(" ".join(block.split()) for block in (command.help or "").split("\n\n")))
        options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
        if options:
            parts.append(_table(("option", "value", "default", "what it does"), [_option(one) for one in options]))
    return "\n\n".join(parts) + "\n"


def _verbs(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every verb with its whole name, those below others after them."""
    for name, command in sorted(group.commands.items()):
        yield f"{before}{name}", command
        if isinstance(command, click.Group):
            yield from _verbs(command, f"{before}{name} ")


def _option(option: click.Option) -> tuple[object, ...]:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    shape = option.metavar or option.type.get_metavar(option, click.Context(click.Command(""))) or option.type.name
    kind = "" if option.is_flag else shape
    required = "required" if option.required else ""
    default = option.default if option.show_default and not option.is_flag else ""
    shown = option.show_default if isinstance(option.show_default, str) else default
    return names, f"`{kind}`" if kind else "", required or _default(shown), option.help or ""


def _default(value: object) -> str:
    return f"`{value}`" if isinstance(value, int | float | str) and value != "" else ""


# --- HTTP ------------------------------------------------------------------------------------------------------------


def http() -> str:
    """Every route with its parameters, the fields of its body, and its answer."""
    from fastapi import FastAPI

    from terraclick.server.openapi import described
    from terraclick.server.routing import ROUTES

    app = FastAPI(title="TerraClick", version="0")
    app.router.routes.extend(ROUTES)
    told = described(app, "")
    schemas = told["components"]["schemas"]
    parts = ["# HTTP interface"]
    parts += [
        "All addresses are relative to the server's. How to authenticate, conditions (`If-Match`) and errors are told"
        " in [The server](../server.md). The same description for programs: `GET /api/openapi.json` (OpenAPI 3.0)."
    ]
    for path, verbs in sorted(told["paths"].items()):
        for verb, route in sorted(verbs.items()):
            if not isinstance(route, dict):
                continue
            parts.append(f"## {verb.upper()} `{path}`\n\n{_cell(route.get('description') or route.get('summary', ''))}")
            rows = [_parameter(one) for one in route.get("parameters", ())]
            rows += list(_body(route.get("requestBody", {}), schemas))
            if rows:
                parts.append(_table(("field", "where", "kind", "what it says"), rows))
    parts.append("# Kinds of values")
    for name, schema in sorted(schemas.items()):
        required = set(schema.get("required", ()))
        rows = [
            (f"`{field}`", "yes" if field in required else "", _kind(one), one.get("description", ""))
            for field, one in schema.get("properties", {}).items()
        ]
        if rows:
            parts.append(f"## {name}\n\n{_cell(schema.get('description', ''))}")
            parts.append(_table(("field", "required", "kind", "what it says"), rows))
    return "\n\n".join(parts) + "\n"


def _parameter(one: dict[str, Any]) -> tuple[object, ...]:
    where = one["in"] + (", required" if one.get("required") else "")
    return f"`{one['name']}`", where, _kind(one.get("schema", {})), one.get("description", "")


def _body(body: dict[str, Any], schemas: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for media, content in body.get("content", {}).items():
        schema = content.get("schema", {})
        name = schema.get("$ref", "").rsplit("/", 1)[-1]
        schema = schemas.get(name, schema)
        required = set(schema.get("required", ()))
        for field, one in schema.get("properties", {}).items():
            where = "body" + (", required" if field in required else "")
            yield f"`{field}`", where, _kind(one), one.get("description", "")
        if not schema.get("properties"):
            yield "", "body", f"`{media}`", schema.get("description", "")


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"`{schema['$ref'].rsplit('/', 1)[-1]}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(_kind(one) for one in schema[word]))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    limits = [f"{word} {schema[name]}" for name, word in LIMITS.items() if name in schema]
    return f"{kind} ({', '.join(limits)})" if limits else str(kind)


LIMITS = {"minimum": "at least", "maximum": "at most", "minLength": "length from", "maxLength": "length to"}


# --- formats and models ----------------------------------------------------------------------------------------------


def formats() -> str:
    """Every format with what its file declares."""
    from terraclick.exchange.registry import FORMATS

    rows = [
        (
            f"`{name}`",
            f"{kind.label}: {kind.note}",
            ", ".join(f"`{ending}`" for ending in kind.endings),
            "pixels of the image" if kind.pixels else "map",
            "yes" if kind.many else "one a file",
            ", ".join(f"`STEM{ending}`" for ending in kind.beside),
            "yes" if kind.readable else "",
            f"`{kind.needs}`" if kind.needs else "",
        )
        for name, kind in FORMATS.items()
    ]
    heads = ("format", "what", "endings", "coordinates", "several images", "files beside it", "read", "needs")
    said = "`--out` chooses the format by its longest ending; `--format` names it."
    more = "What each format keeps and drops is told in [Formats](../formats.md)."
    return f"# Formats\n\n{said} {more}\n\n{_table(heads, rows)}\n"


def models() -> str:
    """Every predictor with its licence."""
    from terraclick.catalogue import NETWORKS, PREDICTORS

    heads = ("name", "what it is", "licence")
    parts = ["# Models", "## Shipped", _table(heads, [(f"`{n}`", s.summary, s.licence) for n, s in PREDICTORS.items()])]
    parts += ["## The papers' networks", "They need a file of weights: see [the papers' networks](../networks.md)."]
    parts.append(_table(heads, [(f"`{n}`", s.summary, s.licence) for n, s in NETWORKS.items()]))
    return "\n\n".join(parts) + "\n"


def recipes() -> str:
    """Every recipe of a paper's network or class map beside its source: what is the same, what differs and why."""
    from terraclick.train.recipe_table import recipe_page

    return recipe_page()


def datasets() -> str:
    """Every dataset that can be prepared, from its declaration."""
    from terraclick.datasets.catalogue import DATASETS, markdown

    parts = ["# Datasets", "Each section is what `terraclick prepare NAME` prints."]
    return "\n\n".join([*parts, *(markdown(name).replace("### ", "## ", 1).strip() for name in DATASETS)]) + "\n"


def python() -> str:
    """Every public name of the package, from its docstring."""
    import terraclick

    parts = ["# Python", "Everything public is a name of `terraclick`, loaded when it is first used."]
    for name in terraclick.__all__:
        home = terraclick._HOMES[name]
        parts.append(f"::: {home}.{name}")
        parts += ["::: terraclick.api.OutlineOptions"] if name == "outlines" else []
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """README as the site's first page: links into docs/ become the site's own, others the repository's."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"\]\(docs/", "](", text)
    return re.sub(
        r"\]\((?!https?:|#)([^)\s]+)\)",
        lambda found: found[0] if (ROOT / "docs" / found[1].split("#")[0]).exists() else f"]({SOURCE}/{found[1]})",
        text,
    )


PAGES: dict[str, Callable[[], str]] = {
    "index.md": index,
    "reference/command-line.md": command_line,
    "reference/http.md": http,
    "reference/formats.md": formats,
    "reference/models.md": models,
    "reference/recipes.md": recipes,
    "reference/datasets.md": datasets,
    "reference/python.md": python,
}


def on_files(files: Any, config: Any) -> Any:
    """MkDocs' hook: the pages join the site without lying in the repository."""
    from mkdocs.structure.files import File

    for name, page in PAGES.items():
        files.append(File.generated(config, name, content=page()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """MkDocs' hook: links out of docs/ lead to the repository."""
    up = "../" * (page.file.src_uri.count("/") + 1)
    return re.sub(rf"\]\({re.escape(up)}([^)\s]+)\)", rf"]({SOURCE}/\1)", markdown)


def main() -> None:
    """Write the pages into a folder, to be read without the site."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("folder", type=Path)
    folder = words.parse_args().folder
    for name, page in PAGES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
