"""scikit-learn's handwritten digits, with one split shared by the data set and the model.

The first 64 images are held out: they are the task's questions, and are not used for training.
"""

from typing import TypeAlias

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

HELD_OUT = 64
SIDE = 8
SCALE = 8
# The data counts ink from 0 to 16. Grey levels are whole numbers, so 15 for each loses nothing.
GREY_PER_INK = 15

Inks: TypeAlias = np.ndarray
"""Images as rows of 64 amounts of ink each, the model's input format."""


def held_out() -> tuple[Inks, list[int]]:
    """Return the images of the task, and their labels."""
    digits = load_digits()
    return digits.data[:HELD_OUT], [int(label) for label in digits.target[:HELD_OUT]]


def training() -> tuple[Inks, list[int]]:
    """Return all other images, and their labels."""
    digits = load_digits()
    return digits.data[HELD_OUT:], [int(label) for label in digits.target[HELD_OUT:]]


def to_picture(ink: np.ndarray) -> Image.Image:
    """Return one image as an RGB picture of 64 by 64 pixels."""
    grey = (ink.reshape(SIDE, SIDE) * GREY_PER_INK).astype(np.uint8)
    size = (SIDE * SCALE, SIDE * SCALE)
    return Image.fromarray(grey).resize(size, Image.Resampling.NEAREST).convert("RGB")


def to_ink(picture: Image.Image) -> np.ndarray:
    """Return a picture of any size and mode as the model's 64 amounts of ink."""
    # Averaging over boxes inverts `to_picture` exactly, and smooths JPEG artifacts.
    small = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64).reshape(SIDE * SIDE) / GREY_PER_INK
