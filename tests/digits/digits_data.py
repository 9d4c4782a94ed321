"""scikit-learn's handwritten digits, split once for the data set and the model alike.

The first 64 images are held out: the task asks about them, and the model never trains on them.
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
"""Images as rows of 64 amounts of ink each, as the model sees them."""


def held_out() -> tuple[Inks, list[int]]:
    """The images that the task asks about, and their labels."""
    digits = load_digits()
    return digits.data[:HELD_OUT], [int(label) for label in digits.target[:HELD_OUT]]


def training() -> tuple[Inks, list[int]]:
    """Every other image, and their labels."""
    digits = load_digits()
    return digits.data[HELD_OUT:], [int(label) for label in digits.target[HELD_OUT:]]


def to_picture(ink: np.ndarray) -> Image.Image:
    """One image as a picture of 64 by 64 pixels in RGB."""
    grey = (ink.reshape(SIDE, SIDE) * GREY_PER_INK).astype(np.uint8)
    size = (SIDE * SCALE, SIDE * SCALE)
    return Image.fromarray(grey).resize(size, Image.Resampling.NEAREST).convert("RGB")


def to_ink(picture: Image.Image) -> np.ndarray:
    """A picture of any size and mode as the 64 amounts of ink that the model knows."""
    # Averaging over boxes undoes `to_picture` exactly, and evens out what JPEG adds.
    small = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64).reshape(SIDE * SIDE) / GREY_PER_INK
