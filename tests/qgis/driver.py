"""Play one scenario in a real QGIS: driver.py SCENARIO FOLDER PROGRAM ZIP WORDS, run with the Python of QGIS.

Prints one line of JSON. A scenario is a function of one of the modules scenarios*.py beside this file.
"""

import importlib
import json
import os
import sys
import traceback
from pathlib import Path

from person import Person


def scenario_of(name):
    """The function of that name."""
    for path in sorted(Path(__file__).parent.glob("scenarios*.py")):
        found = getattr(importlib.import_module(path.stem), name, None)
        if found is not None:
            return found
    raise SystemExit(f"there is no scenario {name}")


def main():
    """Play it, take the plug-in away, tell what was found."""
    name, folder, program, archive = sys.argv[1:5]
    person = Person(folder, program, archive)
    try:
        found = scenario_of(name)(person, *json.loads(sys.argv[5]))
        person.plugin.unload()
        person.rest(0.2)
    except BaseException as error:
        traceback.print_exc()
        found = {"failure": repr(error), "said": person.said}
        if getattr(person, "control", None):
            found["server"] = person.control.server.lines[-5:]
            person.control.server.stop()
    print("\n" + json.dumps(found))
    sys.stdout.flush()
    os._exit(1 if "failure" in found else 0)


if __name__ == "__main__":
    main()
