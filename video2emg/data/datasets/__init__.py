"""One package with a TFDS builder per source of recordings, and what they share."""
