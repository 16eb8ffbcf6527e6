# SPDX-License-Identifier: GPL-2.0-or-later
"""Pack the plug-in: python3 qgis/package.py [OUT.zip]. The zip holds texts alone, and is the same each time."""

import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
PLUGIN = HERE / "terraclick_qgis"
KINDS = {".py", ".txt", ".svg", ".ts", ""}
DATE = (2026, 1, 1, 0, 0, 0)


def files():
    """What is packed."""
    found = [path for path in sorted(PLUGIN.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    wrong = [path.name for path in found if path.suffix not in KINDS or (not path.suffix and path.name != "LICENSE")]
    if wrong:
        raise SystemExit(f"these files do not belong into the plug-in: {', '.join(wrong)}")
    return found


def pack(out):
    """Write the zip."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files():
            path.read_bytes().decode("utf-8")  # no binaries
            info = zipfile.ZipInfo(path.relative_to(HERE).as_posix(), DATE)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
    return out


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "dist" / "terraclick_qgis.zip"
    target.parent.mkdir(parents=True, exist_ok=True)
    print(pack(target))
