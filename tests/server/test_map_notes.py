"""What is to be known of an image stands on the map, not only in the terminal."""

import cv2
import numpy as np
from map_driver import at_the_map


def test_notes_on_an_image_are_shown_as_text(tmp_path):
    image = np.random.default_rng(0).integers(1, 255, (300, 400, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    image[:, :150] = 0
    cv2.imwritemulti(str(tmp_path / "b.tif"), [image, image])
    with at_the_map(tmp_path, tmp_path / "b.tif", tmp_path / "a.png") as driver:
        notes = driver.page.locator(".where .notes")
        assert notes.locator("summary").inner_text() == "2 notes"
        assert not notes.locator("p").first.is_visible()
        notes.locator("summary").click()
        said = notes.locator("p").all_inner_texts()
        assert "2 pictures" in said[0] and "--page" in said[0] and said[0].startswith("It ")
        assert "--nodata 0" in said[1]
        driver.page.screenshot(path=str(tmp_path / "notes.png"))
        driver.page.get_by_label("Image", exact=True).select_option("a")
        driver.settle()
        assert not notes.is_visible()
