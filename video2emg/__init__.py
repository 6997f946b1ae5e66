"""Surface EMG and action quality of weight-loaded exercises, seen only through a camera."""
