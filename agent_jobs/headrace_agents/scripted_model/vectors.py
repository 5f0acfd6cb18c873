"""Vectors of texts, by their words: the same in every process, near for texts that share words."""

from __future__ import annotations

import math
import re
from hashlib import blake2b


def vector(text: str, dimensions: int) -> list[float]:
    """Of length 1. Each word adds 1 or -1 to one number, as its hash says (feature hashing, Weinberger 2009);
    what cancels out, or has no words, lies along the first axis."""
    numbers = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()):
        drawn = int.from_bytes(blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest())
        numbers[(drawn >> 1) % dimensions] += 1 if drawn & 1 else -1
    length = math.sqrt(sum(number * number for number in numbers))
    if length == 0:
        return [1.0] + [0.0] * (dimensions - 1)
    return [number / length for number in numbers]
