"""Losses against recorded values of the published code, and their treatment of ignored pixels."""

import numpy as np
import pytest

from terraclick.errors import BadConfig

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.train.losses import dice_loss, iterative_click_loss, normalized_focal_loss  # noqa: E402


@pytest.mark.parametrize(("case", "alpha", "detach"), [("c0", 0.5, True), ("c1", 0.25, True), ("c2", 0.5, False)])
def test_parity_nfl_loss(case, alpha, detach, shared):
    stored = np.load(shared / "parity" / "nfl_loss.npz")
    logits = torch.from_numpy(stored[f"{case}_logits"][:, 0]).requires_grad_()
    label = torch.from_numpy(stored[f"{case}_label"][:, 0])
    loss = normalized_focal_loss(logits, (label == 1).float(), label >= 0, alpha, detach=detach)
    loss.mean().backward()
    assert np.allclose(loss.detach().numpy(), stored[f"{case}_loss"], atol=1e-5)
    assert np.allclose(logits.grad.numpy(), stored[f"{case}_grad_of_mean"][:, 0], atol=1e-5)


@pytest.mark.parametrize("loss", [normalized_focal_loss, dice_loss])
def test_ignored_pixels_might_as_well_not_be_there(loss):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 8, 10, generator=generator)
    truth = (torch.rand(2, 8, 10, generator=generator) > 0.6).float()
    valid = torch.ones(2, 8, 10, dtype=torch.bool)
    valid[:, :, 7:] = False
    kept = loss(logits[:, :, :7], truth[:, :, :7], valid[:, :, :7])
    assert torch.allclose(loss(logits, truth, valid), kept, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", [normalized_focal_loss, dice_loss])
@pytest.mark.parametrize("level", [-40.0, 0.0, 40.0])
def test_losses_stay_finite(loss, level):
    logits = torch.full((1, 4, 4), level, requires_grad=True)
    for truth in (torch.zeros(1, 4, 4), torch.ones(1, 4, 4)):
        for valid in (torch.zeros(1, 4, 4, dtype=torch.bool), torch.ones(1, 4, 4, dtype=torch.bool)):
            value = loss(logits, truth, valid)
            (gradient,) = torch.autograd.grad(value.sum(), logits)
            assert torch.isfinite(value).all() and torch.isfinite(gradient).all()


def test_dice_lies_between_nought_and_one_and_falls_with_agreement():
    truth = torch.zeros(1, 16, 16)
    truth[:, 4:12, 4:12] = 1
    valid = torch.ones(1, 16, 16, dtype=torch.bool)
    good, unsure, bad = (float(dice_loss((2 * truth - 1) * gain, truth, valid)) for gain in (9.0, 0.0, -9.0))
    assert 0 <= good < 0.01 < unsure < bad <= 1


def test_later_clicks_weigh_more():
    steps = [torch.tensor([1.0, 10.0]), torch.tensor([2.0, 0.0]), torch.tensor([1.0, 1.0])]
    assert iterative_click_loss(steps).tolist() == [8.0, 13.0]
    assert iterative_click_loss(steps[:1]).tolist() == [1.0, 10.0]
    with pytest.raises(BadConfig, match="one weight for each step"):
        iterative_click_loss([*steps, steps[0]])
