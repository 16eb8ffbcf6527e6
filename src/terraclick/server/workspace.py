"""A running server's work: images, objects, examples, proposals and open outlines, each with its own memory.

Methods are called from many threads; whatever needs the model goes through its one thread (`answering.py`), everything
else runs where it is called.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import shapely

from terraclick.errors import UnknownName
from terraclick.geo.grid import Grid
from terraclick.geo.kinds import kind_of
from terraclick.geo.sidecars import sidecar_files
from terraclick.server.answering import Answering, Model
from terraclick.server.clicking import AreaGeometry, ClickSettings, to_map, view_spec_for
from terraclick.server.events import Hub
from terraclick.server.examples import Examples
from terraclick.server.features import GeometryConverter
from terraclick.server.images import Scene, Tiles, settled
from terraclick.server.journal import Journal
from terraclick.server.objects import Objects
from terraclick.server.open_outlines import OpenOutlines
from terraclick.server.proposals import ProposalList, Proposals
from terraclick.server.proposing import propose
from terraclick.server.watching import Watch
from terraclick.server.worker import Priority
from terraclick.store.fields import MapObject
from terraclick.store.sql import Store
from terraclick.store.values import StoredView
from terraclick.values import Target

__all__ = ["Workspace"]


class Workspace:
    """Scenes, store, model and all that is going on between them; see the top of this file."""

    def __init__(
        self,
        scenes: Mapping[str, Scene],
        store: Store,
        model: Callable[[], Model],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        encoding_bytes: int = 512 * 2**20,
        watch_s: float = 1.0,
    ) -> None:
        self.scenes = settled(scenes, store)
        self.store = store
        self.by_key = {scene.key: scene for scene in self.scenes.values()}
        self.converter = GeometryConverter(store, self.scenes, self.by_key)
        self.tiles = Tiles()
        self.hub = Hub()
        self.journal = Journal()
        self.turning = asyncio.Lock()
        for scene in self.scenes.values():  # before the model's thread begins: what is refused here must end the start
            store.add_image(scene.stored)
        self._clock = clock
        self.examples = Examples(store, self.converter)
        self.proposals = Proposals()
        self.objects = Objects(store, self.converter, self.hub, self.journal, self.examples, self.proposals)
        self.answering = Answering(model, self.hub, self.examples, encoding_bytes)
        self.outlines = OpenOutlines(self.by_key, self.objects, self.answering)
        store.look()
        self.watch = Watch(store, self.converter, self.hub, self.examples.forget, watch_s)

    @property
    def model(self) -> Model:
        """The model; waits until it is loaded. Raises what loading raised."""
        return self.answering.model

    def close(self) -> None:
        """Stop the model's thread and the watch, close the store."""
        self.watch.close()
        self.answering.close()
        self.store.close()

    def now(self) -> str:
        """The time as it is stored."""
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def scene(self, name: str) -> Scene:
        """An image by its id. Raises UnknownName."""
        if name not in self.scenes:
            raise UnknownName(f"no image {name[:80]!r} on this server: see /api/images.")
        return self.scenes[name]

    def files(self) -> list[Path]:
        """The files that this server lives on: images, what lies beside them, the session."""
        images = [scene.path for scene in self.scenes.values()]
        session = getattr(self.store, "path", None)
        return [*images, *(file for path in images for file in sidecar_files(path)), *([session] if session else [])]

    async def propose(
        self,
        user: str,
        scene: Scene,
        class_name: str,
        settings: ClickSettings,
        limit: int,
        simplify_m: float | None,
        square: bool,
    ) -> ProposalList:
        """Everything in a view that looks like the examples (or, without any, like the class's objects there)."""

        def ask() -> ProposalList:
            begun = time.perf_counter()
            scene.check()
            spec = view_spec_for(settings, Target.CLASS, (), scene)
            predictor = self.answering.telling(scene, None)
            view = self.answering.encoder(predictor)(spec)
            known = self._known_in(scene, view.grid)
            shapes = propose(
                predictor,
                view,
                scene,
                self.examples.named(settings.references),
                [polygon for item, polygon in known if item.class_name == class_name],
                [polygon for _, polygon in known],
                limit,
                simplify_m,
                square,
            )
            seen = StoredView(scene.key, spec.bounds, spec.gsd, spec.bands, spec.stretch, (), view.grid.shape)
            spent = 1e3 * (time.perf_counter() - begun)
            return ProposalList(uuid4().hex[:16], user, scene, class_name, seen, dict(enumerate(shapes)), spent)

        found = await asyncio.wrap_future(self.answering.worker.submit(Priority.PROPOSAL, ask))
        self.proposals.hold(found)
        return found

    def _known_in(self, scene: Scene, grid: Grid) -> list[tuple[MapObject, AreaGeometry]]:
        """Areas of an image that meet a view, with their geometry in the image's own coordinates."""
        whole = shapely.box(*grid.bounds)
        found = []
        for item in self.store.objects(scene.key):
            if kind_of(item.geometry) != "polygon":
                continue
            polygon = to_map(self.converter.polygon(item, scene), scene.grid)
            if polygon.intersects(whole):
                found.append((item, polygon))
        return found
