"""The SAM family with tiny random networks: geometry of views and clicks, mask prompts, and strict local folders."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
transformers = pytest.importorskip("transformers", reason="needs the extra terraclick[sam]")

from sam_sizes import KINDS, SIDE, tiny  # noqa: E402

from terraclick.catalogue import load  # noqa: E402
from terraclick.core.click_sequence import ClickSequence  # noqa: E402
from terraclick.errors import BadClick, BadWeights  # noqa: E402
from terraclick.networks.sam.network import SAM, SamPredictor, _published  # noqa: E402
from terraclick.values import Click, Prediction, Prompt, View  # noqa: E402  # noqa: E402


def predictor(name, **options):
    return load(name, random=0, config=tiny(name), **options)


@pytest.fixture(scope="module")
def view():
    image = np.random.default_rng(0).integers(0, 80, (60, 100, 3)).astype(np.uint8)
    image[20:40, 30:70] += 120
    return View(image)


@pytest.mark.parametrize("name", KINDS)
def test_undo_is_replay(name, view):
    session, answers = ClickSequence(), predictor(name)
    encoded = answers.encode(view)
    for click in (Click(30, 50), Click(5, 5, False), Click(35.5, 60)):
        session = session.add(click, answers, encoded)
    probs = session.latest.probs
    assert probs.shape == view.shape and probs.dtype == np.float32 and 0 <= probs.min() < probs.max() <= 1
    fresh = predictor(name)
    again = session.undo().replay(fresh, fresh.encode(view))
    assert np.array_equal(again.latest.probs, session.undo().latest.probs)
    assert encoded.nbytes > 0


@pytest.mark.parametrize("name", KINDS)
def test_clicks_and_the_previous_answer_matter(name, view):
    answers = predictor(name)
    encoded = answers.encode(view)
    previous = Prediction(np.random.default_rng(0).random(view.shape, dtype=np.float32))

    def ask(clicks, before):
        return answers.predict(encoded, Prompt(clicks), before).probs

    base = ask((Click(30, 50),), previous)
    assert base.std() > 0.01
    assert not np.array_equal(base, ask((Click(10, 20),), previous))
    assert not np.array_equal(base, ask((Click(30, 50, False),), previous))
    assert not np.array_equal(base, ask((Click(30, 50),), Prediction(1 - previous.probs)))


@pytest.mark.parametrize("name", KINDS)
def test_bfloat16_hardly_moves_the_answer(name, view):
    """Untrained networks: their masks have no border to compare. Clicks are answered in float32 from what was kept."""
    exact, rough = (
        answers.predict(answers.encode(view), Prompt((Click(30, 50),)), None).probs
        for answers in (predictor(name), predictor(name, precision="bfloat16"))
    )
    assert 0 < np.abs(exact - rough).mean() < 0.1 * exact.std()


class Watched:
    """A stand-in network that keeps what it is given and answers with a ramp from left to right."""

    class config:
        class prompt_encoder_config:
            image_size = SIDE

    def __init__(self):
        self.seen = {}

    def to(self, device):
        return self

    def eval(self):
        return self

    def get_image_embeddings(self, pixels):
        self.seen["pixels"] = pixels
        return pixels

    def __call__(self, **given):
        self.seen.update(given)
        ramp = (torch.arange(SIDE // 4) + 0.5) * 4  # pixel place in the input square
        masks = torch.stack([torch.zeros(32, 32), ramp.expand(32, 32) - 64, torch.ones(32, 32)])[None, None]
        scores = torch.tensor([[[0.1, 0.9, 0.5]]])
        return type("Answer", (), {"pred_masks": masks, "iou_scores": scores})


def test_a_view_is_padded_and_a_click_lands_on_its_pixel(view):
    network = Watched()
    answers = SamPredictor(network)
    encoded = answers.encode(view)
    pixels = network.seen["pixels"]
    assert pixels.shape == (1, 3, SIDE, SIDE) and encoded.filled == (77, 128)
    assert not pixels[..., 77:, :].any() and pixels[..., :77, :].any()
    answer = answers.predict(encoded, Prompt((Click(59, 99), Click(-0.5, -0.5, False))), None)
    points = network.seen["input_points"][0, 0] + 0.5  # the network's own half pixel
    assert torch.allclose(points[0], torch.tensor([99.5 * 1.28, 59.5 * 77 / 60])) and not points[1].any()
    assert network.seen["input_labels"].tolist() == [[[1, 0]]] and not network.seen["multimask_output"]
    columns = np.flatnonzero((answer.probs > 0.5)[30])
    assert columns[0] == 50, "the best mask starts at half of the view's columns"


def test_the_first_click_asks_for_three_masks(view):
    network = Watched()
    answers = SamPredictor(network, stretch=True)
    encoded = answers.encode(view)
    answers.predict(encoded, Prompt((Click(30, 50),)), None)
    assert network.seen["multimask_output"] and network.seen["input_masks"] is None and encoded.filled == (SIDE, SIDE)


def test_the_mask_prompt_is_the_previous_answer(view):
    network = Watched()
    answers = SamPredictor(network)
    probs = np.zeros(view.shape, np.float32)
    probs[:, 50:] = 1
    answers.predict(answers.encode(view), Prompt((Click(30, 80),)), Prediction(probs))
    mask = network.seen["input_masks"][0, 0]
    expected = torch.full((32, 32), -10.0)
    expected[:19, 17:] = 10
    known = torch.ones(32, 32, dtype=torch.bool)
    known[:19, 15:17] = False  # the edge itself
    assert mask.shape == (32, 32) and torch.allclose(mask[known], expected[known], atol=1e-4)


def test_only_excluding_clicks_are_refused(view):
    answers = predictor("sam-vit-b")
    with pytest.raises(BadClick):
        answers.predict(answers.encode(view), Prompt((Click(1, 1, False),)), None)


@pytest.fixture
def folder(tmp_path):
    transformers.utils.logging.disable_progress_bar()
    predictor("sam-vit-b").network.save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", KINDS)
def test_a_folder_is_read_as_it_was_written(name, tmp_path, view, monkeypatch):
    made = predictor(name)
    made.network.save_pretrained(tmp_path)
    monkeypatch.setitem(SAM, name, type(SAM[name])(**{**SAM[name].__dict__, "width": 8 if "sam2" in name else 32}))
    read = load(name, weights=tmp_path)
    prompt = Prompt((Click(30, 50),))
    answer = made.predict(made.encode(view), prompt, None)
    assert np.allclose(read.predict(read.encode(view), prompt, None).probs, answer.probs, atol=1e-4)


def test_a_video_folder_of_sam_2_gives_its_image_part(tmp_path, view):
    name = "sam2-hiera-tiny"
    predictor(name).network.save_pretrained(tmp_path)
    described = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**described, "model_type": "sam2_video"}))
    assert load(name, weights=tmp_path, config=tiny(name)).encode(view).size == view.shape


def test_folders_that_do_not_fit_are_refused_in_one_sentence(folder):
    with pytest.raises(BadWeights, match="needs weights, which are not shipped"):
        load("sam-vit-b")
    with pytest.raises(BadWeights, match="32 channels, sam-vit-b 768"):
        load("sam-vit-b", weights=folder)
    with pytest.raises(BadWeights, match="holds a sam network, not sam2-hiera-tiny"):
        load("sam2-hiera-tiny", weights=folder)
    with pytest.raises(BadWeights, match=r"not a folder with a config\.json"):
        load("sam-vit-b", weights="facebook/sam-vit-base")  # never taken for a name on a hub
    weights = next(folder.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(BadWeights, match="cannot be read as sam-vit-b"):
        load("sam-vit-b", weights=folder, config=tiny("sam-vit-b"))
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(BadWeights, match="pickles are not read"):
        load("sam-vit-b", weights=folder)


def test_missing_arrays_are_not_left_random(folder):
    from safetensors.torch import load_file, save_file

    weights = next(folder.glob("*.safetensors"))
    state = load_file(weights)
    state.pop(next(name for name in state if name.startswith("mask_decoder")))
    save_file(state, weights, metadata={"format": "pt"})
    with pytest.raises(BadWeights, match="1 missing"):
        load("sam-vit-b", weights=folder, config=tiny("sam-vit-b"))


@pytest.mark.parametrize(
    ("name", "millions"), [("sam-vit-b", 93.7), ("sam-vit-l", 312.3), ("sam-vit-h", 641.1), ("sam2-hiera-large", None)]
)
def test_published_sizes(name, millions):
    kind = getattr(transformers, SAM[name].network)
    with torch.device("meta"):
        network = kind(_published(kind, SAM[name]))
    count = sum(p.numel() for p in network.parameters()) / 1e6
    assert 210 < count < 224.4 if millions is None else count == pytest.approx(millions, abs=0.3)
