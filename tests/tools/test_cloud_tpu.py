"""The TPU's life against a `gcloud` of our own on the PATH, which writes down what it is asked."""

import os
import pathlib
import shlex
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

# Answers from files: `states` (one line per describe) and `statuses` (one per run of launch.py).
GCLOUD = """#!/usr/bin/env bash
here=$(dirname "$0")
printf '%s\\n' "$*" >> "$here/calls"
next() { head -n1 "$here/$1"; if [ "$(wc -l < "$here/$1")" -gt 1 ]; then sed -i 1d "$here/$1"; fi; }
case "$*" in
  *describe*) next states ;;
  *launch.py*) echo "worker 0: training"; exit "$(next statuses)" ;;
  *queued-resources\\ create*) exit "$(next creates)" ;;
esac
"""


@pytest.fixture
def cloud(tmp_path):
    """Runs the tool with given answers; returns what it did and all calls of gcloud."""

    def run(*flags, states="ACTIVE", statuses="0", creates="0"):
        for name, text in (("states", states), ("statuses", statuses), ("creates", creates)):
            (tmp_path / name).write_text("\n".join(text.split()) + "\n")
        (tmp_path / "gcloud").write_text(GCLOUD)
        (tmp_path / "gcloud").chmod(0o755)
        (tmp_path / "calls").write_text("")
        command = [
            sys.executable,
            "tools/cloud_tpu.py",
            "--name",
            "t",
            "--project",
            "p",
            "--zone",
            "z",
            "--poll_s",
            "0",
            *flags,
            "--",
            "--config",
            "c.py",
            "--workdir",
            "bucket/r",
        ]
        env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env)
        calls = (tmp_path / "calls").read_text().splitlines()
        return done, calls

    return run


def verbs(calls):
    """create, describe, scp, install, run, delete, as they came; describes left out."""
    names = {
        "create": " create ",
        "scp": " scp ",
        "run": "launch.py",
        "ssh": " ssh ",
        "delete": " delete ",
    }
    found = [next((n for n, mark in names.items() if mark in call), None) for call in calls]
    return [name for name in found if name]


def test_a_run_from_creation_to_deletion(cloud):
    done, calls = cloud("--bucket", "b", states="ACCEPTED PROVISIONING ACTIVE")
    assert done.returncode == 0, done.stderr
    assert verbs(calls) == ["create", "scp", "ssh", "run", "delete"]
    assert calls[0] == (
        "compute tpus queued-resources create t --node-id=t --accelerator-type=v5litepod-16 "
        "--runtime-version=v2-alpha-tpuv5-lite --project=p --zone=z"
    )
    run = next(call for call in calls if "launch.py" in call)
    assert "--worker=all" in run and "exec python launch.py --config c.py" in run
    assert any("gcsfuse b bucket" in call for call in calls)
    assert "worker 0: training" in done.stdout


def test_a_preempted_tpu_is_replaced_and_the_run_goes_on(cloud):
    done, calls = cloud("--spot", states="ACTIVE SUSPENDED ACTIVE", statuses="255 0")
    assert done.returncode == 0, done.stderr
    once = ["create", "scp", "ssh", "run", "delete"]
    assert verbs(calls) == once + once and "--spot" in calls[0]


def test_a_run_that_was_asked_to_stop_on_a_tpu_that_stays_is_continued_there(cloud):
    done, calls = cloud(statuses="75 0")
    assert done.returncode == 0
    assert verbs(calls) == ["create", "scp", "ssh", "run", "run", "delete"]


def test_a_mistake_of_the_run_is_not_repeated_and_the_tpu_not_kept(cloud):
    done, calls = cloud(statuses="2")
    assert done.returncode == 2
    assert verbs(calls) == ["create", "scp", "ssh", "run", "delete"]
    done, calls = cloud("--keep", statuses="2")
    assert "delete" not in verbs(calls)


def test_a_tpu_that_cannot_be_had_is_said_and_given_back(cloud):
    done, calls = cloud("--restarts", "1", states="FAILED")
    assert done.returncode == 1 and "ended as FAILED" in done.stderr
    assert verbs(calls) == ["create", "delete"] * 2
    done, _ = cloud("--commit", "nosuchcommit")
    assert done.returncode == 1 and "no commit nosuchcommit" in done.stderr


def test_a_dry_run_prints_every_command_and_calls_none(cloud):
    done, calls = cloud("--dry_run", "--type", "v5p-128", "--bucket", "b")
    assert done.returncode == 0 and not calls
    lines = [line.removeprefix("+ ") for line in done.stdout.splitlines()]
    assert all(shlex.split(line)[0] in ("git", "gcloud") for line in lines)
    assert verbs(lines) == ["create", "scp", "ssh", "run", "delete"]
    assert "--runtime-version=v2-alpha-tpuv5 " in lines[1]
