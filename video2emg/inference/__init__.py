"""From a video file to EMG, score and feedback with a trained model; see docs/predict.md."""
