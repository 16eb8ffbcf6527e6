"""Join the two pictures of `make demo` to the one at the top of the README.

make demo && .venv/bin/python dev/readme_picture.py out/demo.png out/demo_roads.png docs/images/demo.jpg
"""

import sys

import cv2
import numpy as np

HEIGHT = 640

parts = [cv2.imread(name) for name in sys.argv[1:-1]]
sizes = [(round(part.shape[1] * HEIGHT / part.shape[0]), HEIGHT) for part in parts]
scaled = [cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part, size in zip(parts, sizes, strict=True)]
gap = np.full((HEIGHT, 8, 3), 255, np.uint8)
joined = np.hstack([scaled[0], *(piece for part in scaled[1:] for piece in (gap, part))])
cv2.imwrite(sys.argv[-1], joined, [cv2.IMWRITE_JPEG_QUALITY, 88])
