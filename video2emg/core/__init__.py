"""What everything else speaks of: clips, EMG, skeletons, names, files, errors. No jax."""
