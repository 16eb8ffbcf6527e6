from make_sources import inria

from terraclick.datasets.catalogue import declaration_of

NAME, EXPECTED = "toy", {"train": (6, 18), "test": (3, 9)}


def make(folder):
    inria(folder)


def test_it_is_known():
    assert declaration_of("toy").classes[1] == "building"
