"""The one command of video2emg; `python launch.py --help` lists what it can do.

    python launch.py --config configs/v2emg.py --workdir runs/v2emg            # the main job
    python launch.py --config configs/v2emg.py:debug --workdir runs/debug      # under a minute
    python launch.py --config configs/v2emg.py --workdir runs/seeds --sweep    # all of its sweep()
    python launch.py --config configs/aqa.py --workdir runs/aqa                # judging repetitions
    python launch.py evaluate --run runs/v2emg --split validation
    python launch.py check-data --dataset recordings/default --manual_dir gym --out runs/check
    python launch.py prepare-data --dataset recordings/default --manual_dir gym
    python launch.py graph --graph gymsim --out runs/graph
    python launch.py predict --run runs/v2emg --video squat.mp4 --out runs/squat
    python launch.py predict --run runs/causal --camera 0                      # EMG as it comes
    python launch.py export --run runs/v2emg --out runs/exported
    python launch.py videoqa --dataset gymsim --model graph

Training builds the dataset if it is missing, trains (or resumes), evaluates the model that was best
on validation once on the test subjects, and writes results.json and figures to the workdir. SIGTERM
or Ctrl-C saves the training state and exits with status 75; the same command continues.
"""

import sys

from video2emg.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
