"""The folder of the project, for the commands that use its files when the package runs from a checkout."""

from pathlib import Path
from typing import Final

# of an installed package it is site-packages, and holds none of the project's other files
ROOT: Final = Path(__file__).parents[2]
