"""A server of its own process with the made-up predictor: python bright_server.py SESSION OUT IMAGE USER…"""

import sys
from pathlib import Path

from tests_app_help import Bright

from terraclick.server import main
from terraclick.server.answering import Model

if __name__ == "__main__":
    session, out, image, *users = sys.argv[1:]
    main.model_of = lambda name, weights=None: Model("bright", "b0", "", Bright())
    server = main.prepare([image], session=Path(session), out=Path(out), users=users, port=0)
    for address in server.addresses.values():
        print(address, flush=True)
    main.run(server)
