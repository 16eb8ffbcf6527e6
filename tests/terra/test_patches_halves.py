"""Features kept in half precision are the same numbers in single precision."""

import numpy as np

from terraclick.terra.patches import PatchFeatures, to_single


def test_every_finite_half_is_the_same_number():
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    single = to_single(halves)
    assert single.dtype == np.float32 and np.array_equal(single, halves.astype(np.float32))
    assert np.array_equal(np.signbit(single), np.signbit(halves))


def test_features_come_back_as_they_were_kept():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(4, 6, 6)).astype(np.float32)[:, ::-1] for _ in range(4)]
    kept = PatchFeatures(*arrays).stored()
    ready = kept.ready()
    for name in ("tokens", "shallow", "principal", "colour"):
        assert np.array_equal(getattr(ready, name), getattr(kept, name).astype(np.float32))
