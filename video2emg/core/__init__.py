"""The basic types: clips, batches, EMG, skeletons, names, files, errors. No jax."""
