"""One TFDS builder package per source of recordings, and the features they all share."""
