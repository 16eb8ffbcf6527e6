"""An answer that nobody waits for any more is given up: while it waits for its turn, and between patches."""

import threading
import time
from dataclasses import dataclass, field

import pytest
from tests_app_help import Bright

from terraclick.predictors.progress import Progress


@dataclass(frozen=True)
class Slow(Bright):
    """Encodes a view in a hundred patches that take their time."""

    begun: threading.Event = field(default_factory=threading.Event)
    progress: Progress | None = None

    def encode(self, view):
        for done in range(100):
            self.progress(done, 100)
            self.begun.set()
            time.sleep(0.05)
        return super().encode(view)


def in_background(work):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    return thread, answers


@pytest.mark.parametrize("waiting", [False, True])
def test_an_answer_can_be_cancelled(serve, town, waiting):
    slow = Slow()
    client = serve(town, predictor=slow)
    first, second = (client.post("/api/sessions", json={"image": "town"}).json()["id"] for _ in range(2))
    begun = time.perf_counter()
    one, answers = in_background(lambda: client.post(f"/api/sessions/{first}/clicks", json={"x": 150, "y": 120}))
    assert slow.begun.wait(5)
    if waiting:
        far = {"x": 500, "y": 430}
        two, answers_two = in_background(lambda: client.post(f"/api/sessions/{second}/clicks", json=far))
        time.sleep(0.2)
        assert client.post(f"/api/sessions/{second}/cancel").json() == {"cancelled": True}
        two.join(3)
        assert (answers_two[0].status_code, answers_two[0].json()["error"]) == (409, "Cancelled")
    assert client.post(f"/api/sessions/{first}/cancel").json() == {"cancelled": True}
    one.join(3)
    assert (answers[0].status_code, answers[0].json()["error"]) == (409, "Cancelled")
    assert time.perf_counter() - begun < 4  # the whole answer takes 5 s
    assert client.post(f"/api/sessions/{first}/cancel").json() == {"cancelled": False}
    session = client.get(f"/api/sessions/{first}").json()
    assert session["clicks"] == [] and session["can_undo"] is False
    stranger = {"Authorization": "Bearer token-ben"}
    assert client.post(f"/api/sessions/{first}/cancel", headers=stranger).status_code == 404
