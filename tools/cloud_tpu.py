"""One run on a Cloud TPU, from the queued resource to its deletion.

    python tools/cloud_tpu.py --name v2emg --project P --zone us-west4-a --type v5litepod-16 \
        --bucket my-bucket -- --config configs/v2emg.py:base --workdir bucket/runs/base

creates the TPU, ships the committed code to every worker, installs, runs `launch.py` with what
follows `--` on all workers and shows their output. A TPU that is preempted is deleted and asked for
again, and the same command resumes. At the end, however it comes, the TPU is deleted (`--keep`
leaves it). `--dry_run` prints every command and runs none. Needs the gcloud command, signed in.

Results must outlive the TPU: `--bucket` is mounted as `bucket/` on every worker by gcsfuse. It must
be a bucket with a hierarchical namespace, where renaming a folder is one step; a checkpoint that is
seen half-written otherwise. Exit status: that of the run; 1 if the TPU could not be had.
"""

import argparse
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

STOPPED = 75  # launch.py's status after a signal: saved, to be continued
GONE = ("SUSPENDED", "SUSPENDING", "FAILED", "DELETING", "")
RUNTIMES = {"v5litepod": "v2-alpha-tpuv5-lite", "v5p": "v2-alpha-tpuv5", "v6e": "v2-alpha-tpuv6e"}


class Tpu:
    """One queued resource and the node of the same name."""

    def __init__(self, args: argparse.Namespace):
        """Nothing is created yet."""
        self._args = args
        self._where = [f"--project={args.project}", f"--zone={args.zone}"]

    def _gcloud(self, *words: str, quiet: bool = False) -> subprocess.CompletedProcess:
        command = ["gcloud", "compute", "tpus", *words, *self._where]
        return call(command, self._args.dry_run, quiet)

    def create(self) -> None:
        """Asks for the TPU and waits until it is there."""
        args = self._args
        done = self._gcloud(
            "queued-resources",
            "create",
            args.name,
            f"--node-id={args.name}",
            f"--accelerator-type={args.type}",
            f"--runtime-version={args.runtime}",
            *(["--spot"] if args.spot else []),
        )
        if done.returncode:
            raise CloudError("gcloud could not ask for the TPU; its message is above")
        while (state := self.state()) != "ACTIVE":
            if state in GONE:
                raise CloudError(f"the request for the TPU ended as {state or 'unknown'}")
            print(f"waiting for the TPU: {state}", file=sys.stderr, flush=True)
            time.sleep(args.poll_s)

    def state(self) -> str:
        """Of the queued resource; ACTIVE while it can be used."""
        done = self._gcloud(
            "queued-resources",
            "describe",
            self._args.name,
            "--format=value(state.state)",
            quiet=True,
        )
        return "ACTIVE" if self._args.dry_run else done.stdout.strip()

    def install(self, archive: pathlib.Path) -> None:
        """Ships the code to all workers and makes the environment there."""
        name = self._args.name
        shipped = self._gcloud(
            "tpu-vm", "scp", str(archive), f"{name}:video2emg.tar.gz", "--worker=all"
        )
        steps = [
            "mkdir -p video2emg && tar -xzf video2emg.tar.gz -C video2emg && cd video2emg",
            "python3.11 -m venv .venv || (sudo apt-get -q update && sudo apt-get -qy install "
            "python3.11-venv && python3.11 -m venv .venv)",
            '.venv/bin/pip install -q -r requirements.txt "jax[tpu]<0.13"',
        ]
        if self._args.bucket:
            steps.append(
                f"mkdir -p bucket && (mountpoint -q bucket || gcsfuse {self._args.bucket} bucket)"
            )
        if shipped.returncode or self.run(" && ".join(steps)):
            raise CloudError("the code could not be installed on the workers")

    def run(self, command: str) -> int:
        """A shell command on all workers; shows their output, returns the status."""
        return self._gcloud(
            "tpu-vm", "ssh", self._args.name, "--worker=all", f"--command={command}"
        ).returncode

    def delete(self) -> None:
        """Gives the TPU back."""
        self._gcloud("queued-resources", "delete", self._args.name, "--force", "--quiet")


class CloudError(Exception):
    """What ends the attempt, in one line."""


def call(command: Sequence[str], dry_run: bool, quiet: bool = False) -> subprocess.CompletedProcess:
    """Runs a command, or only prints it."""
    if dry_run or not quiet:
        print("+", shlex.join(command), file=sys.stdout if dry_run else sys.stderr, flush=True)
    if dry_run:
        return subprocess.CompletedProcess(command, 0, "", "")
    return subprocess.run(command, capture_output=quiet, text=True)


def launch(args: argparse.Namespace) -> int:
    """Runs to the end through preemptions; returns the run's status."""
    tpu = Tpu(args)
    command = shlex.join(["python", "launch.py", *args.launch])
    # The shell becomes the run, so that signals reach it.
    command = f"cd video2emg && . .venv/bin/activate && exec {command}"
    with tempfile.TemporaryDirectory() as folder:
        archive = pathlib.Path(folder) / "video2emg.tar.gz"
        packed = call(
            ["git", "archive", "--format=tar.gz", "-o", str(archive), args.commit], args.dry_run
        )
        if packed.returncode:
            raise CloudError(f"git knows no commit {args.commit}")
        for attempt in range(args.restarts + 1):
            try:
                tpu.create()
                tpu.install(archive)
                status = tpu.run(command)
                while status == STOPPED and tpu.state() == "ACTIVE":
                    status = tpu.run(command)
                if status == 0 or tpu.state() == "ACTIVE":
                    return status
            except CloudError:
                # What failed because the TPU went away is tried again; anything else is not.
                if tpu.state() == "ACTIVE" or attempt == args.restarts:
                    raise
            finally:
                if not args.keep:
                    tpu.delete()
            print(f"the TPU went away; asking again ({attempt + 1})", file=sys.stderr, flush=True)
    raise CloudError(f"the TPU went away {args.restarts + 1} times")


def main(argv: Sequence[str] | None = None) -> int:
    """Parses, launches."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", required=True, help="of the TPU")
    parser.add_argument("--project", required=True)
    parser.add_argument("--zone", required=True)
    parser.add_argument("--type", default="v5litepod-16", help="e.g. v5litepod-16, v5p-128")
    parser.add_argument("--runtime", default="", help="VM image; known for v5e, v5p, v6e")
    parser.add_argument("--spot", action="store_true", help="cheaper, may be preempted")
    parser.add_argument("--bucket", default="", help="Cloud Storage bucket to mount as bucket/")
    parser.add_argument("--commit", default="HEAD", help="of the code to ship")
    parser.add_argument("--restarts", type=int, default=20, help="after preemptions")
    parser.add_argument("--poll_s", type=float, default=30.0)
    parser.add_argument("--keep", action="store_true", help="do not delete the TPU at the end")
    parser.add_argument("--dry_run", action="store_true", help="print the commands, run none")
    parser.add_argument("launch", nargs="+", help="after --: arguments of launch.py")
    args = parser.parse_args(argv)
    args.runtime = args.runtime or RUNTIMES.get(args.type.split("-")[0], "")
    if not args.runtime:
        parser.error(f"--runtime: none known for --type {args.type}")
    try:
        return launch(args)
    except CloudError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
