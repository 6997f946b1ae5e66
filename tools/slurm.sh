#!/usr/bin/env bash
# One run on a SLURM cluster; JAX finds the other tasks by itself. From the repository's root:
#   sbatch --nodes 2 --gpus-per-node 8 --time 24:00:00 tools/slurm.sh --config configs/v2emg.py:base --workdir runs/base
# One task per node, which uses all of its GPUs. SLURM warns 120 s before time is up; the run then
# saves and ends with status 75, and the job is queued again.
#SBATCH --job-name=video2emg
#SBATCH --ntasks-per-node=1
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail
. "${VENV:-.venv}/bin/activate"
srun --kill-on-bad-exit=0 python launch.py "$@"
status=$?
if [ "$status" -eq 75 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
