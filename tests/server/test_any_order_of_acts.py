"""Random acts over two images and two windows, with a model of the truth beside the server: nothing may differ."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests_app_help import HOUSES, draw, outline_house, ring, starter

IMAGES = ("one", "two")
WINDOWS = ("left", "right")
CLASSES = ("house", "barn", "")
KINDS = ("Polygon", "LineString", "Point")
PLACES = [(col + cols / 2, row + rows / 2) for row, col, rows, cols in HOUSES.values()]


def shape_at(kind, col, row, size):
    """An area, a line or a point as GeoJSON in pixels."""
    if kind == "Polygon":
        return ring(col, row, size, size)
    return {"type": kind, "coordinates": [col, row] if kind == "Point" else [[col, row], [col + size, row + size / 2]]}


class Acts(RuleBasedStateMachine):
    """`objects` is uuid → (image, class, status, outline); each window has its acts and those it undid.

    An act is (what was before, what was after) for everything that it touched, in the words of `self.now`; undo puts
    `before` back where everything still is `after`, else it is refused and forgotten.
    """

    folder = None

    def __init__(self):
        super().__init__()
        self.stack = contextlib.ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        begin, end = starter(folder)
        self.stack.callback(end)
        self.client = begin(draw(folder / "one.tif"), draw(folder / "two.tif", bands=1))
        # ("object", uuid), ("session", id), ("sketch", id), ("proposal", list, number) → what it is; absent: None
        self.now = {}
        self.kinds = {}  # uuid → area, line or point
        self.lists = {}  # list of proposals → (its image, the numbers in it)
        self.done = {window: [] for window in WINDOWS}
        self.undone = {window: [] for window in WINDOWS}
        self.in_hand = {}  # (window, image) → the session that is open there
        self.made = 0

    def teardown(self):
        self.stack.close()

    # -- what is asked and what is true

    def ask(self, method, path, window, act="", **more):
        headers = {"TerraClick-Window": window} | ({"TerraClick-Act": act} if act else {})
        return self.client.request(method, path, headers=headers, **more)

    def act(self, window, **changes):
        """An act of a window: `changes` are pairs (key, value now)."""
        self.note(window, list(changes.values()))

    def note(self, window, changes):
        before = {key: self.now.get(key) for key, _ in changes}
        for key, value in changes:
            self.put(key, value)
        self.done[window].append((before, dict(changes)))
        self.undone[window].clear()

    def put(self, key, value):
        if value is None:
            self.now.pop(key, None)
        else:
            self.now[key] = value

    def objects(self):
        return [key[1] for key in self.now if key[0] == "object"]

    @staticmethod
    def told(feature):
        p = feature["properties"]
        return (p["image"], p["class"], p["status"], str(feature["geometry"]["coordinates"]))

    # -- the acts

    @initialize()
    def classes(self):
        for name in ("house", "barn"):
            self.client.put(f"/api/classes/{name}", json={})
        name = outline_house(self.client, image="one")["id"]
        self.client.post("/api/references", json={"object": name, "class": "house"})
        self.client.post("/api/objects/delete", json={"objects": [{"id": name}]})

    @rule(window=st.sampled_from(WINDOWS), image=st.sampled_from(IMAGES), place=st.sampled_from(PLACES))
    def click(self, window, image, place):
        name = self.in_hand.get((window, image))
        if name is None:
            body = {"image": image, "class": "house"}
            name = self.ask("POST", "/api/sessions", window, json=body).json()["id"]
            self.in_hand[window, image] = name
        answer = self.ask("POST", f"/api/sessions/{name}/clicks", window, json={"x": place[0], "y": place[1]})
        assert answer.status_code == 200, answer.text
        key = ("session", name)
        clicks = self.now.get(key, ())
        self.note(window, [(key, (*clicks, place))])

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data())
    def clear(self, data):
        window, image = data.draw(st.sampled_from(sorted(self.in_hand)))
        name = self.in_hand[window, image]
        assert self.ask("POST", f"/api/sessions/{name}/clear", window).status_code == 200
        self.note(window, [(("session", name), (*self.now.get(("session", name), ()), "clear"))])

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data(), name=st.sampled_from(CLASSES))
    def accept(self, data, name):
        window, image = data.draw(st.sampled_from(sorted(self.in_hand)))
        session = self.in_hand[window, image]
        answer = self.ask("POST", f"/api/sessions/{session}/accept", window, json={"class": name})
        acts = self.now.get(("session", session), ())
        if not acts or acts[-1] == "clear":
            assert answer.status_code == 422
            return
        assert answer.status_code == 201, answer.text
        feature = answer.json()
        del self.in_hand[window, image]
        self.note(window, [(("object", feature["id"]), self.told(feature)), (("session", session), None)])

    @rule(
        window=st.sampled_from(WINDOWS),
        image=st.sampled_from(IMAGES),
        at=st.integers(0, 40),
        name=st.sampled_from(CLASSES),
        kind=st.sampled_from(KINDS),
    )
    def draw_by_hand(self, window, image, at, name, kind):
        shape = shape_at(kind, 10 + 12 * at, 500, 8)
        body = {"type": "Feature", "geometry": shape, "properties": {"class": name}}
        answer = self.ask("POST", f"/api/collections/objects/items?crs=pixels&image={image}", window, json=body)
        self.kinds[answer.json()["id"]] = kind
        self.note(window, [(("object", answer.json()["id"]), self.told(answer.json()))])

    @precondition(lambda self: self.objects())
    @rule(window=st.sampled_from(WINDOWS), data=st.data(), name=st.sampled_from(CLASSES))
    def relabel_some(self, window, data, name):
        chosen = data.draw(st.lists(st.sampled_from(self.objects()), min_size=1, max_size=4, unique=True))
        body = {"objects": [{"id": uuid} for uuid in chosen], "class": name}
        change = self.ask("POST", "/api/objects/set", window, json=body).json()
        self.note(window, [(("object", f["id"]), self.told(f)) for f in change["objects"]])

    @precondition(lambda self: self.objects())
    @rule(window=st.sampled_from(WINDOWS), data=st.data())
    def delete_some(self, window, data):
        chosen = data.draw(st.lists(st.sampled_from(self.objects()), min_size=1, max_size=3, unique=True))
        body = {"objects": [{"id": uuid} for uuid in chosen]}
        assert self.ask("POST", "/api/objects/delete", window, json=body).status_code == 200
        self.note(window, [(("object", uuid), None) for uuid in chosen])

    @precondition(lambda self: self.objects())
    @rule(window=st.sampled_from(WINDOWS), data=st.data(), by=st.integers(1, 9))
    def move_a_corner(self, window, data, by):
        uuid = data.draw(st.sampled_from(self.objects()))
        image = self.now["object", uuid][0]
        kind = self.kinds.get(uuid, "Polygon")
        path = f"/api/collections/objects/items/{uuid}?crs=pixels&image={image}"
        answer = self.ask("PATCH", path, window, json={"geometry": shape_at(kind, 300 + by, 400, 12)})
        assert answer.status_code == 200, answer.text
        self.note(window, [(("object", uuid), self.told(answer.json()))])  # an act on it, also where it lies already

    @precondition(lambda self: self.objects())
    @rule(window=st.sampled_from(WINDOWS), data=st.data(), number=st.integers(0, 10**9))
    def two_requests_of_one_act(self, window, data, number):
        uuid = data.draw(st.sampled_from(self.objects()))
        for status in ("review", "approved"):
            body = {"objects": [{"id": uuid}], "status": status}
            change = self.ask("POST", "/api/objects/set", window, f"a{self.made}-{number}", json=body).json()
        self.made += 1
        self.note(window, [(("object", uuid), self.told(change["objects"][0]))])

    @rule(window=st.sampled_from(WINDOWS), image=st.sampled_from(IMAGES), corners=st.integers(0, 4))
    def half_a_drawing(self, window, image, corners):
        points = [[float(corner), float(corner)] for corner in range(corners)]
        body = {"image": image, "tool": "draw", "points": points}
        name = f"{window}-{image}"
        assert self.ask("PUT", f"/api/sketches/{name}", window, json=body).status_code == 200
        key = ("sketch", f"sketch-{name}")
        if points or self.now.get(key):
            self.note(window, [(key, str(points) if points else None)])

    @precondition(lambda self: len(self.lists) < 8)
    @rule(window=st.sampled_from(WINDOWS), image=st.sampled_from(IMAGES))
    def find_the_rest(self, window, image):
        view = {"bounds": [0, 0, 800, 600], "resolution": 1}
        answer = self.ask("POST", "/api/proposals", window, json={"image": image, "class": "house", "view": view})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        self.lists[found["id"]] = image, [item["item"] for item in found["items"]]

    def open_in(self, name):
        return [number for number in self.lists[name][1] if ("proposal", name, number) not in self.now]

    @precondition(lambda self: any(self.open_in(name) for name in self.lists))
    @rule(window=st.sampled_from(WINDOWS), data=st.data(), fate=st.sampled_from(["kept", "refused"]))
    def decide_on_proposals(self, window, data, fate):
        name = data.draw(st.sampled_from([name for name in self.lists if self.open_in(name)]))
        chosen = data.draw(st.lists(st.sampled_from(self.open_in(name)), min_size=1, max_size=3, unique=True))
        verb = "accept" if fate == "kept" else "refuse"
        answer = self.ask("POST", f"/api/proposals/{name}/{verb}", window, json={"items": chosen})
        assert answer.status_code == 200, answer.text
        change = answer.json()
        assert len(change["objects"]) == (len(chosen) if fate == "kept" else 0)
        decided = [(("proposal", name, number), fate) for number in chosen]
        self.note(window, [*decided, *((("object", f["id"]), self.told(f)) for f in change["objects"])])
        self.proposals_are_true(change["proposals"])
        assert self.ask("POST", f"/api/proposals/{name}/{verb}", window, json={"items": chosen}).status_code == 404

    def proposals_are_true(self, told):
        name = told["id"]
        assert [item["item"] for item in told["items"]] == self.open_in(name)
        fates = [value for key, value in self.now.items() if key[:2] == ("proposal", name)]
        assert (told["kept"], told["refused"]) == (fates.count("kept"), fates.count("refused"))

    @rule(window=st.sampled_from(WINDOWS), word=st.sampled_from(["undo", "undo", "undo", "redo"]))
    def turn(self, window, word):
        source, target = (self.done, self.undone) if word == "undo" else (self.undone, self.done)
        answer = self.ask("POST", f"/api/{word}", window)
        if not source[window]:
            assert answer.status_code == 404
            return
        before, after = source[window].pop()
        here, there = (after, before) if word == "undo" else (before, after)
        if any(self.now.get(key) != value for key, value in here.items() if key[0] != "sketch"):
            assert answer.status_code == 409, (here, self.now, answer.text)
            return
        assert answer.status_code == 200, (answer.text, here, there)
        for key, value in there.items():
            self.put(key, value)
        target[window].append((before, after))
        lists = {key[1] for key in here if key[0] == "proposal"}
        assert (answer.json()["proposals"] is None) == (not lists)
        if lists:
            assert answer.json()["image"] == self.lists[answer.json()["proposals"]["id"]][0]
            self.proposals_are_true(answer.json()["proposals"])
        session = answer.json()["session"]
        if session is not None:
            # what the window had in the hand on that image waits there; what came back is in the hand now
            self.in_hand = {place: name for place, name in self.in_hand.items() if name != session["id"]}
            self.in_hand[window, session["image"]] = session["id"]
        elif answer.json()["closed"]:
            self.in_hand = {p: name for p, name in self.in_hand.items() if name != answer.json()["closed"]}

    # -- never a difference

    @invariant()
    def the_server_holds_what_is_true(self):
        found = self.client.get("/api/collections/objects/items?crs=pixels&limit=1000").json()["features"]
        assert {f["id"]: self.told(f) for f in found} == {
            key[1]: value for key, value in self.now.items() if key[0] == "object"
        }
        begun = {s["id"]: len(s["clicks"]) for s in self.client.get("/api/sessions").json()["sessions"] if s["begun"]}
        true = {}
        for (kind, name, *_), acts in self.now.items():
            if kind == "session":
                since = len(acts) - acts[::-1].index("clear") if "clear" in acts else 0
                if acts[since:]:
                    true[name] = len(acts[since:])
        assert begun == true
        drawn = {s["id"]: str(s["points"]) for s in self.client.get("/api/sketches").json()["sketches"]}
        assert drawn == {key[1]: value for key, value in self.now.items() if key[0] == "sketch"}


def run(sequences, steps):
    quiet = settings(
        max_examples=sequences,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],  # a sequence as it came says enough; making it shorter takes minutes
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(Acts, settings=quiet)


def test_twelve_sequences_leave_no_difference():
    run(12, 25)


@pytest.mark.slow
def test_five_hundred_sequences_leave_no_difference():
    run(500, 30)
