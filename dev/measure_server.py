"""How long a person waits for the server: start, first outline, clicks, previews, tiles while a class is answered.

    python dev/measure_server.py [IMAGE] [--clicks N]

Prints medians and 95th percentiles in milliseconds. IMAGE defaults to the packaged scene.
"""

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import httpx2


def start(image: str, model: str, folder: str) -> tuple[subprocess.Popen[str], httpx2.Client]:
    command = [sys.executable, "-m", "terraclick.cli", "serve", image, "--no-browser", "--port", "0", "--model", model]
    process = subprocess.Popen([*command, "--out", folder], stdout=subprocess.PIPE, text=True)
    base, _, token = process.stdout.readline().strip().partition("/?token=")
    return process, httpx2.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=300)


def timed(verb, path: str, **what) -> float:
    begun = time.perf_counter()
    answer = verb(path, **what)
    assert answer.status_code < 300, answer.text
    return 1e3 * (time.perf_counter() - begun)


def say(name: str, values: list[float]) -> None:
    values = sorted(values)
    high = values[min(len(values) - 1, int(0.95 * len(values)))]
    print(f"{name}: median {statistics.median(values):.0f} ms, 95th percentile {high:.0f} ms, {len(values)} times")


def clicks(client: httpx2.Client, image: dict, count: int) -> None:
    rng = random.Random(0)
    first, later, hover = [], [], []
    for _ in range(count):
        x, y = rng.uniform(200, image["width"] - 200), rng.uniform(200, image["height"] - 200)
        name = client.post("/api/sessions", json={"image": image["id"]}).json()["id"]
        path = f"/api/sessions/{name}"
        first.append(timed(client.post, f"{path}/clicks", json={"x": x, "y": y}))
        spot = {"x": x + rng.uniform(-9, 9), "y": y + rng.uniform(-9, 9)}
        hover.append(timed(client.get, f"{path}/preview", params=spot))
        for _ in range(2):
            spot = {"x": x + rng.uniform(-25, 25), "y": y + rng.uniform(-25, 25), "positive": rng.random() < 0.5}
            later.append(timed(client.post, f"{path}/clicks", json=spot))
        client.delete(path)
    say("first click of an object", first)
    say("further clicks", later)
    say("hover preview", hover)


def tiles(client: httpx2.Client, image: dict, label: str, until) -> None:
    rng, values = random.Random(1), []
    while not until():
        z = rng.randrange(0, image["max_zoom"] + 1)
        side = 256 * 2 ** (image["max_zoom"] - z)
        x, y = rng.randrange(-(-image["width"] // side)), rng.randrange(-(-image["height"] // side))
        values.append(timed(client.get, f"/api/images/{image['id']}/tiles/pixels/{z}/{x}/{y}"))
        time.sleep(0.02)
    say(f"tiles {label}", values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", nargs="?", default="sample")
    parser.add_argument("--clicks", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        process, client = start(asked.image, "terra", folder)
        image = client.get("/api/images").json()["images"][0]
        name = client.post("/api/sessions", json={"image": image["id"]}).json()["id"]
        at = {"x": image["width"] / 2, "y": image["height"] / 2}
        timed(client.post, f"/api/sessions/{name}/clicks", json=at)
        print(f"start to the first outline: {time.perf_counter() - begun:.1f} s")
        clicks(client, image, asked.clicks)
        end = time.perf_counter() + 3
        tiles(client, image, "while nothing else is done", lambda: time.perf_counter() > end)
        process.terminate()
        process.wait()
    with tempfile.TemporaryDirectory() as folder:
        process, client = start(asked.image, "terra-fused", folder)
        view = {"bounds": [0, 0, min(896, image["width"]), min(896, image["height"])], "resolution": 1}
        opening = {"image": image["id"], "target": "class", "view": view}
        name = client.post("/api/sessions", json=opening).json()["id"]
        at = {"x": view["bounds"][2] / 2, "y": view["bounds"][3] / 2}
        spent = []
        thread = threading.Thread(
            target=lambda: spent.append(timed(client.post, f"/api/sessions/{name}/clicks", json=at))
        )
        thread.start()
        tiles(client, image, "while a fused class answer is computed", lambda: not thread.is_alive())
        thread.join()
        print(f"fused class answer: {spent[0] / 1e3:.1f} s")
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
