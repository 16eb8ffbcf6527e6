"""Requests that schemathesis makes up from the description: none ends in a server error or an undescribed answer."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from tests_app_help import draw

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
LINES = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"


@pytest.mark.slow
@pytest.mark.parametrize("image", ["town", "photo"])
def test_a_bounded_run(tmp_path, picture, image):
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed here: pip install 'terraclick[test]'")
    file = draw(tmp_path / "town.tif") if image == "town" else picture
    environ = os.environ | {"TERRACLICK_TOKEN": "token-for-schemathesis"}
    words = ["serve", str(file), "--no-browser", "--port", "0", "--out", str(tmp_path), "--model", "grabcut"]
    command = [sys.executable, "-m", "terraclick", *words]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ, cwd=tmp_path)
    try:
        base = server.stdout.readline().partition("/?token=")[0]
        run = [sys.executable, "-c", LINES, "run", f"{base}/api/openapi.json", "--no-color", "--seed", "1"]
        run += ["-H", "Authorization: Bearer token-for-schemathesis", "--max-examples", "3", "--checks", CHECKS]
        run += ["--exclude-path", "/api/events", "--request-timeout", "30"]
        done = subprocess.run(run, capture_output=True, text=True, timeout=500, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        passed = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
        assert passed is not None and passed[1] == passed[2] and int(passed[1]) > 500
        print(f"{passed[1]} cases")
        assert server.poll() is None
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()
