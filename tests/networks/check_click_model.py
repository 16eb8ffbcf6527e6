"""What every click network must do, whatever it is made of: one check per property, shared by all their tests.

@pytest.mark.parametrize("check", CHECKS)
def test_it_is_a_click_model(check):
    check_click_model(check, Network(tiny))
"""

import copy
import io
import warnings

import pytest
import torch

from terraclick.inference.runtime import onnx_runtime

QUICK = ("shape", "odd size", "backward", "batch", "determinism", "padding", "inputs matter", "cached", "export")
CHECKS = (*QUICK, pytest.param("bfloat16", marks=pytest.mark.slow))

INPUTS = ("image", "previous", "points")


def click_inputs(batch=2, rows=96, cols=64, seed=0, slots=3):
    """image (B, 3, H, W), previous (B, 1, H, W), points (B, 2P, 3): one or two clicks of a sign, then empty slots."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, 3, rows, cols, generator=generator)
    previous = torch.rand(batch, 1, rows, cols, generator=generator)
    points = torch.full((batch, 2 * slots, 3), -1.0)
    for item in range(batch):
        for order, slot in enumerate((0, 1, slots) if item % 2 == 0 else (0, slots)):
            place = torch.rand(2, generator=generator) * torch.tensor([rows - 1.0, cols - 1.0])
            points[item, slot] = torch.tensor([place[0], place[1], float(order)])
    return image, previous, points


def check_click_model(
    check, network, size=(96, 64), odd=(75, 101), silent=(), ignores=(), tolerance=2e-4, batch_quirk=None, opset=18
):
    """Raise AssertionError unless `network` has the property `check`, one of CHECKS.

    `silent`: parts of parameter names that get no gradient, with reason in the caller. `ignores`: inputs that may not
    matter. `batch_quirk`: a sentence if the published network depends on batch-mates and this one keeps it.
    """
    network.eval()
    globals()["_" + check.replace(" ", "_")](
        network,
        size=size,
        odd=odd,
        silent=silent,
        ignores=ignores,
        tolerance=tolerance,
        batch_quirk=batch_quirk,
        opset=opset,
    )


@torch.no_grad()
def _shape(network, size, **_):
    for batch in (1, 2):
        logits = network(*click_inputs(batch, *size))
        assert logits.shape == (batch, 1, *size) and torch.isfinite(logits).all()
        assert logits.std() > 0, "the answer is flat: nothing can be learned about the network from it"


@torch.no_grad()
def _odd_size(network, odd, **_):
    logits = network(*click_inputs(1, *odd))
    assert logits.shape == (1, 1, *odd) and torch.isfinite(logits).all()


def _backward(network, size, silent, **_):
    network.zero_grad()
    network(*click_inputs(2, *size)).square().mean().backward()
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    without = [n for n, p in named if (p.grad is None or not p.grad.any()) and not any(part in n for part in silent)]
    assert not without, f"no gradient reaches {without[:5]}"
    assert all(torch.isfinite(p.grad).all() for _, p in named if p.grad is not None)
    network.zero_grad()


@torch.no_grad()
def _batch(network, size, tolerance, batch_quirk, **_):
    inputs = click_inputs(3, *size)
    together = network(*inputs)
    alone = torch.cat([network(*(part[i : i + 1] for part in inputs)) for i in range(3)])
    same = torch.allclose(alone, together, atol=tolerance)
    assert same == (batch_quirk is None), f"differs by {(alone - together).abs().max():.2g}; quirk: {batch_quirk}"


@torch.no_grad()
def _determinism(network, size, **_):
    assert torch.equal(network(*click_inputs(1, *size)), network(*click_inputs(1, *size)))


@torch.no_grad()
def _padding(network, size, tolerance, **_):
    """Empty slots, and the order in which clicks of one sign stand, change nothing."""
    image, previous, points = click_inputs(1, *size)
    wider = torch.full((1, 10, 3), -1.0)
    wider[:, 1:4], wider[:, 5:8] = points[:, :3].flip(1), points[:, 3:]
    assert torch.allclose(network(image, previous, wider), network(image, previous, points), atol=tolerance)


@torch.no_grad()
def _inputs_matter(network, size, ignores, **_):
    given, other = click_inputs(1, *size), click_inputs(1, *size, seed=1)
    answer = network(*given)
    for i, name in enumerate(INPUTS):
        changed = network(*given[:i], other[i], *given[i + 1 :])
        assert name in ignores or not torch.equal(answer, changed), f"{name} does not matter"
    points = given[2]
    mirrored = torch.cat([points[:, 3:], points[:, :3]], dim=1)
    assert not torch.equal(answer, network(*given[:2], mirrored)), "the sign of a click does not matter"


@torch.no_grad()
def _cached(network, size, tolerance, **_):
    """One encoding answers any number of clicks, as the predictor uses it; an answer leaves the encoding as it was."""
    image, previous, points = click_inputs(1, *size)
    encoded = network.encode(image)
    first = network.answer(encoded, previous, points)
    network.answer(encoded, *click_inputs(1, *size, seed=1)[1:])
    assert torch.equal(first, network.answer(encoded, previous, points))
    assert torch.allclose(first, network(image, previous, points), atol=tolerance)


def _bfloat16(network, size, **_):
    """Taught one mask, the network draws it again in bfloat16 arithmetic: IoU of the two masks at least 0.99.

    Untrained, logits are a constant and a whisper, which says nothing about rounding.
    """
    network = copy.deepcopy(network).eval()
    rows, cols = (torch.arange(side)[:, None] / side - 0.5 for side in size)
    truth = ((rows / 0.3) ** 2 + (cols.T / 0.38) ** 2 < 1).float()[None, None]
    image, _, points = click_inputs(1, *size)
    image = 0.25 * image + 0.6 * truth
    points[:, 0, :2], points[:, 1] = torch.tensor([size[0] / 2, size[1] / 2]), -1.0
    points[:, 3, :2] = 3.0
    inputs = (image, 0.2 + 0.5 * truth, points)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=3e-3)
    for _step in range(150):
        logits = network(*inputs)
        if _iou(logits > 0, truth > 0) > 0.95:
            break
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(logits, truth).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
    with torch.inference_mode():
        exact = network(*inputs)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = network(*inputs)
    assert _iou(exact > 0, truth > 0) > 0.9, "one mask could not be learned: nothing is known about rounding"
    assert not torch.equal(exact, rough.float()), "the arithmetic was not bfloat16"
    assert _iou(exact > 0, rough > 0) >= 0.99, f"IoU {_iou(exact > 0, rough > 0):.4f}"


def _iou(a, b):
    return float((a & b).sum() / (a | b).sum().clamp(min=1))


@torch.no_grad()
def _export(network, size, tolerance, opset, **_):
    """The ONNX file answers as the network does, on other inputs than the traced ones."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns about every shape that is fixed on purpose
        torch.onnx.export(
            network, click_inputs(1, *size), file, input_names=list(INPUTS), opset_version=opset, dynamo=False
        )
    session = onnx_runtime().InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    inputs = click_inputs(1, *size, seed=1)
    known = {value.name for value in session.get_inputs()}
    (answer,) = session.run(None, {n: v.numpy() for n, v in zip(INPUTS, inputs, strict=True) if n in known})
    assert torch.allclose(torch.from_numpy(answer), network(*inputs), atol=max(tolerance, 1e-3))
