"""A shop whose true personas are known: data to try the segmentation on, and a judge of its segment ids."""

from typing import Final

# the name of its segmentation, whose defs.yaml the package brings
DEMO: Final = "shop"
