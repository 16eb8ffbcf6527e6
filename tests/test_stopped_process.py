"""A process that was stopped (Ctrl+Z, a computer that slept) and goes on has not run out of time."""

import os
import signal
import subprocess
import sys
import time

import pytest

RUN = """
import time
from terraclick.inference.timed import run_within

class Slow:
    def run(self, names, inputs, options):
        print("running", flush=True)
        for _ in range(20):
            time.sleep(0.05)
        return ["answer"]

print(run_within(Slow(), {}, "slow.onnx", 2.5), flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot stop a process")
def test_the_time_in_which_a_process_is_stopped_does_not_count():
    process = subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "running\n"
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(4)
    os.kill(process.pid, signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "answer" in out, err
