# SPDX-License-Identifier: GPL-2.0-or-later
"""What plugins.qgis.org checks of an upload, and a little more: python3 qgis/check.py PLUGIN.zip.

Prints a sentence for each fault and ends with 1 where there is one. bandit, detect-secrets and flake8 are run with the
same Python; one that is not installed is a fault too.
"""

import configparser
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

LARGEST = 25_000_000
REQUIRED = (
    "name",
    "qgisMinimumVersion",
    "description",
    "about",
    "version",
    "author",
    "email",
    "repository",
    "tracker",
)
LINKS = ("homepage", "repository", "tracker")
YES_OR_NO = ("experimental", "deprecated", "server", "supportsQt6", "hasProcessingProvider")
CATEGORIES = ("Raster", "Vector", "Database", "Web", "Mesh")
TEXTS = {".py", ".txt", ".svg", ".ts"}
FLAKE8 = ["flake8", "--max-line-length=120", "--extend-ignore=E203,W503"]
"""As the site runs it; the two rules left out contradict black and ruff."""


def faults_of_names(names):
    """Faults of the paths in a zip."""
    if not names:
        return ["The zip is empty."]
    folders = {name.split("/", 1)[0] for name in names}
    found = []
    if len(folders) != 1 or any("/" not in name for name in names):
        found.append(f"The zip must hold one folder: {', '.join(sorted(folders))}.")
    folder = names[0].split("/", 1)[0]
    if not (folder.isidentifier() and re.fullmatch(r"[A-Za-z][A-Za-z0-9_]+", folder)):
        found.append(f"The folder {folder} is no Python identifier of ASCII letters.")
    found += [
        f"{wanted} is missing."
        for wanted in ("__init__.py", "metadata.txt", "LICENSE")
        if f"{folder}/{wanted}" not in names
    ]
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            found.append(f"{name} leaves the folder.")
        if any(part.startswith(".") for part in path.parts):
            found.append(f"{name} is hidden.")
        if "__pycache__" in path.parts or "__MACOSX" in path.parts:
            found.append(f"{name} is a leftover.")
        if path.suffix not in TEXTS and path.name != "LICENSE":
            found.append(f"{name} is no text of a kind that belongs into a plug-in.")
        if re.match(r"(ui_.*|resources_rc|resources)\.py$", path.name):
            found.append(f"{name} is generated.")
    return found


def faults_of_metadata(text, names, folder):
    """Faults of metadata.txt."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    try:
        parser.read_string(text)
        told = dict(parser.items("general"))
    except configparser.Error as error:
        return [f"metadata.txt cannot be read: {error}."]
    found = [f"metadata.txt does not tell {name}." for name in REQUIRED if not told.get(name, "").strip()]
    for name in LINKS:
        parts = urlsplit(told.get(name, ""))
        if parts.scheme not in ("http", "https") or "." not in (parts.hostname or ""):
            found.append(f"{name} is no web address.")
    found += [
        f"{name} is neither True nor False."
        for name in YES_OR_NO
        if told.get(name, "False").lower() not in ("true", "false", "yes", "no")
    ]
    for name in ("qgisMinimumVersion", "qgisMaximumVersion"):
        if name in told and not re.fullmatch(r"\d+\.\d+(\.\d+)?", told[name]):
            found.append(f"{name} is no version.")
    if not re.fullmatch(r"\d+(\.\d+)+", told.get("version", "")):
        found.append("version is no number such as 1.0.0.")
    if "/" in told.get("author", ""):
        found.append("The author's name holds a slash.")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", told.get("email", "")):
        found.append("email is no address.")
    if "plugin" in told.get("name", "").lower():
        found.append("The name says that it is a plug-in.")
    if told.get("category", "Raster") not in CATEGORIES:
        found.append(f"category is none of {', '.join(CATEGORIES)}.")
    if f"{folder}/{told.get('icon', '')}" not in names:
        found.append("The icon is missing.")
    if len(told.get("description", "")) > 200 or "<" in told.get("description", "") + told.get("about", ""):
        found.append("description is one line, and neither it nor about holds HTML.")
    return found


def faults_of_texts(archive, names):
    """Faults of what the files hold."""
    found = []
    for name in names:
        try:
            text = archive.read(name).decode("utf-8")
        except UnicodeDecodeError:
            found.append(f"{name} is binary.")
            continue
        if "\0" in text:
            found.append(f"{name} is binary.")
        if name.endswith(".py") and re.search(r"^\s*(from|import) PyQt[456]", text, re.MULTILINE):
            found.append(f"{name} imports PyQt past qgis.PyQt.")
    return found


def run(words, folder):
    """(exit code, output) of a tool of this Python."""
    done = subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + ("" if done.stdout.strip() else done.stderr)


def faults_of_tools(folder):
    """What bandit, detect-secrets and flake8 find in the unpacked plug-in."""
    found = []
    code, text = run(["bandit", "-r", "-q", "-f", "txt", "."], folder)
    if code:
        found.append(f"bandit: {text.strip()}")
    code, text = run(["detect_secrets", "scan", "--all-files", "--exclude-files", r"metadata\.txt", "."], folder)
    try:
        results = json.loads(text)["results"]
    except (ValueError, KeyError):
        found.append(f"detect-secrets: {text.strip()}")
        results = {}
    for path, items in results.items():
        found += [f"detect-secrets: {path}:{item['line_number']} {item['type']}" for item in items]
    code, text = run([*FLAKE8, "."], folder)
    if code:
        found.append(f"flake8: {text.strip()}")
    return found


def faults(path, tools=True):
    """Every fault of a plug-in's zip, a sentence each."""
    path = Path(path)
    if path.stat().st_size > LARGEST:
        return [f"The zip has more than {LARGEST} bytes."]
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        return ["This is no zip."]
    with archive:
        broken = archive.testzip()
        if broken:
            return [f"{broken} is damaged."]
        names = [name for name in archive.namelist() if not name.endswith("/")]
        found = faults_of_names(names)
        if found:
            return found
        folder = names[0].split("/", 1)[0]
        found = faults_of_texts(archive, names)
        if not found:
            found = faults_of_metadata(archive.read(f"{folder}/metadata.txt").decode("utf-8"), names, folder)
        if tools:
            with tempfile.TemporaryDirectory() as unpacked:
                archive.extractall(unpacked)
                found += faults_of_tools(unpacked)
    return found


if __name__ == "__main__":
    told = faults(sys.argv[1])
    print("\n".join(told) or f"{sys.argv[1]}: nothing to complain of.")
    sys.exit(1 if told else 0)
