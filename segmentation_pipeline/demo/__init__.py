"""The synthetic shop: its true personas are known, so that segments can be held against them."""
