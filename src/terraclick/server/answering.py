"""The model and its one thread: it is loaded once, views are encoded once, whoever waits is told how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from terraclick.core.predictor import Predictor
from terraclick.predictors.progress import with_progress
from terraclick.server.clicking import ClickSettings, Encode, Interaction, PixelClick, start, step, view_spec_for
from terraclick.server.encodings import Encoded, Encodings, ViewSpec
from terraclick.server.events import Hub
from terraclick.server.examples import Examples
from terraclick.server.images import Scene
from terraclick.server.open_outline import OpenOutline
from terraclick.server.worker import Cancelled, Priority, Worker

__all__ = ["Answering", "Model"]


@dataclass(frozen=True, eq=False)
class Model:
    """The predictor that answers; rough is a faster one for a first look at classes, or None."""

    name: str
    hash: str
    summary: str
    predictor: Predictor
    rough: Predictor | None = None


class Answering:
    """The model, the thread it answers in, and the views it has encoded within a budget of bytes."""

    def __init__(self, model: Callable[[], Model], hub: Hub, examples: Examples, encoding_bytes: int) -> None:
        self.worker = Worker()
        self.encodings = Encodings(encoding_bytes)
        self.examples = examples
        self._hub = hub
        self._model: Model | None = None
        self._loading = self.worker.submit(Priority.CLICK, lambda: self._load(model))

    def _load(self, model: Callable[[], Model]) -> None:
        self._model = model()

    @property
    def model(self) -> Model:
        """The model; waits until it is loaded. Raises what loading raised."""
        if self._model is None:
            self._loading.result()
        assert self._model is not None
        return self._model

    def close(self) -> None:
        """Stop the model's thread."""
        self.worker.close()

    def encoder(self, predictor: Predictor) -> Encode:
        """Reads and encodes frames with a predictor, or takes them from memory."""

        def encode(spec: ViewSpec) -> Encoded:
            fresh = spec not in self.encodings
            found = self.encodings.get(spec, predictor)
            if fresh:
                self.encodings.trim()
            return found

        return encode

    def telling(self, scene: Scene, opened: OpenOutline | None) -> Predictor:
        """The model, which tells whoever waits for it how far its encoder is, as events."""

        def tell(done: int, total: int) -> None:
            if opened is not None and opened.unwanted:
                raise Cancelled("the answer was cancelled: nothing was changed.")
            if total > 1 or done == 0:
                data = {
                    "session": None if opened is None else opened.id,
                    "image": scene.id,
                    "done": done,
                    "total": total,
                }
                self._hub.send("encode", data, None if opened is None else opened.author)

        return with_progress(self.model.predictor, tell)

    def prefetch(self, user: str, scene: Scene, settings: ClickSettings, click: PixelClick) -> None:
        """Read and encode what a click there would need, when nothing else is to be done."""
        spec = view_spec_for(settings, settings.target, (click,), scene)

        def fetch() -> None:
            scene.check()
            interaction, predictor = Interaction("click", click), self.telling(scene, None)
            step(start(settings), interaction, settings, scene, predictor, self.encoder(predictor), self.examples.named)

        if spec not in self.encodings:
            self.worker.submit(Priority.AHEAD, fetch, f"prefetch {user}")
