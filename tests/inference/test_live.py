"""EMG while the video is being received."""

import contextlib
import csv
import http.server
import io
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import video2emg
from tests.inference.conftest import moving_square, write_audio_only, write_videos
from video2emg.core.errors import UserError
from video2emg.data.readers import live
from video2emg.data.video import letterbox
from video2emg.inference import run as run_lib
from video2emg.inference.output import video
from video2emg.inference.video_stream import VideoStream

ROOT = pathlib.Path(__file__).parents[2]


def open_run(workdir):
    """The run that all tests share, see conftest."""
    return run_lib.open_run(workdir)


@pytest.fixture(scope="module")
def causal_run(causal_dir):
    return open_run(causal_dir)


def live_frames_at(times):
    for n, taken in enumerate(times):
        yield live.LiveFrame(float(n), float(taken), lambda n=n: n)


@given(fps=st.floats(5, 120), rate=st.sampled_from([5.0, 10.0, 12.5]))
def test_every_instant_gets_the_nearest_frame_without_delay(fps, rate):
    times = np.arange(0, 4, 1 / fps)
    frames = list(live.frames_on_clock(live_frames_at(times), rate, 10.0))
    assert [frame.number for frame in frames] == list(range(len(frames)))
    assert frames[0].restart and not any(frame.restart for frame in frames[1:])
    for frame in frames[1:]:
        distance = abs(times[frame.decode()] - frame.number / rate)
        assert distance <= max(0.5 / fps, 0) + 1e-5 or fps < rate
        if fps >= rate:
            assert distance <= np.abs(times - frame.number / rate).min() + 1e-5
            # As soon as that frame came, not one frame later.
            assert frame.received == frame.decode()


def test_gaps_are_filled_and_pauses_start_anew():
    times = [0.0, 0.2, 0.4, 1.0, 1.2, 9.0, 9.2]
    frames = list(live.frames_on_clock(live_frames_at(times), 5.0, 4.0))
    assert [b.number for b in frames] == [0, 1, 2, 3, 4, 5, 6, 45, 46]
    assert [b.decode() for b in frames] == [0, 1, 2, 2, 2, 3, 4, 5, 6]
    assert [b.number for b in frames if b.restart] == [0, 45]


@pytest.mark.parametrize("workdir", ["causal_dir", "late_dir"])
def test_streamed_emg_equals_that_of_the_whole_video(workdir, test_split, tmp_path, request):
    workdir = request.getfixturevalue(workdir)
    clip = test_split[0]
    path = write_videos(clip, tmp_path)[0].partition("=")[2]
    stream = VideoStream(open_run(workdir), clip.action)
    updates = list(stream.follow(path))
    lengths = [10] * 3 if stream.lookahead_frames == 0 else [0, 0, 10]
    assert [len(update.emg) for update in updates[:3]] == lengths
    whole = video2emg.load(workdir).predict(f"{clip.views[0]}={path}", action=clip.action)
    emg = np.concatenate([update.emg for update in updates])
    time_s = np.concatenate([update.time for update in updates])
    n = min(len(emg), len(whole.emg))
    assert n >= len(whole.emg) - 10 and stream.muscles == whole.muscles
    n -= 10 * stream.lookahead_frames  # these samples depend on which frame is the last
    np.testing.assert_allclose(emg[:n], whole.emg[:n], atol=1e-5)
    np.testing.assert_allclose(time_s[:n], whole.time[:n])
    assert np.ptp(emg, axis=0).min() > 0
    assert all(0 < update.latency < 60 for update in updates)


def test_only_the_last_window_counts(causal_run):
    """After a window of the same frames, the EMG is the same, whatever came before."""
    rng = np.random.default_rng(0)
    size, length = causal_run.window.size, len(causal_run.window.frame_time)
    frames = rng.integers(0, 255, (length, size, size, 3)).astype(np.uint8)
    emg = []
    for frames_before in (0, 5):
        stream = VideoStream(causal_run)
        for _ in range(frames_before):
            stream.push(rng.integers(0, 255, (size, size, 3)).astype(np.uint8))
        emg.append([stream.push(frame)[0] for frame in frames])
    np.testing.assert_allclose(emg[0][-1], emg[1][-1], atol=1e-6)
    assert np.abs(emg[0][0] - emg[1][0]).max() > 1e-6


def test_a_lookahead_is_flushed_before_a_pause_and_at_the_end(late_dir, monkeypatch):
    run = open_run(late_dir)
    stream = VideoStream(run)
    size, window = run.window.size, run.window.seconds
    rng = np.random.default_rng(0)
    pictures = [
        Image.fromarray(rng.integers(0, 255, (size, size, 3)).astype(np.uint8)) for _ in range(9)
    ]
    times = [0.0, 0.2, 0.4, 0.6, 0.8, window + 2, window + 2.2, window + 2.4]
    received = [
        live.LiveFrame(time.perf_counter(), t, lambda n=n: pictures[n]) for n, t in enumerate(times)
    ]
    monkeypatch.setattr(live, "live_frames", lambda source: iter(received))
    updates = list(stream.follow("camera"))
    assert [len(update.emg) for update in updates] == [0, 0, 10, 10, 10, 20, 0, 0, 10, 20]
    time_s = np.concatenate([update.time for update in updates])
    expected = np.concatenate([np.arange(50), np.arange(30) + 50 * (window + 2)]) / 50
    np.testing.assert_allclose(time_s, expected, atol=1e-9)
    # After a pause, the EMG depends on the new frames alone.
    monkeypatch.setattr(live, "live_frames", lambda source: iter(received[5:]))
    alone = np.concatenate([update.emg for update in stream.follow("camera")])
    emg = np.concatenate([update.emg for update in updates])
    np.testing.assert_allclose(emg[50:], alone, atol=1e-6)


def transport_stream(count=50, rate=10.0):
    """A video in a container that can be read as it comes."""
    memory = io.BytesIO()
    with av.open(memory, "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=int(rate))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.max_b_frames = 0
        for n, (_, picture) in enumerate(moving_square(count, rate=rate)):
            frame = av.VideoFrame.from_image(picture)
            frame.pts = n
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return memory.getvalue()


def in_pieces(data, seconds, pieces=20):
    size = len(data) // pieces + 1
    for first in range(0, len(data), size):
        yield data[first : first + size]
        time.sleep(seconds / pieces)


def start_predict(run, camera, *flags, **pipes):
    command = [sys.executable, "launch.py", "predict", "--run", str(run), "--camera", camera]
    return subprocess.Popen(
        [*command, *map(str, flags)],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **pipes,
    )


def test_rows_come_out_of_a_pipe_that_is_still_open(causal_dir, tmp_path):
    process = start_predict(causal_dir, "-", "--out", tmp_path / "out", stdin=subprocess.PIPE)
    lines, done = [], threading.Event()

    def read():
        for line in process.stdout:
            lines.append(line)
        done.set()

    threading.Thread(target=read, daemon=True).start()
    assert any(b"ready" in line for line in process.stderr)
    for piece in in_pieces(transport_stream(), 2.0):
        process.stdin.write(piece)
        process.stdin.flush()
    deadline = time.monotonic() + 60
    while not lines and time.monotonic() < deadline:
        time.sleep(0.05)
    early = len(lines)
    process.stdin.close()
    messages = process.stderr.read().decode()
    assert process.wait(60) == 0 and done.wait(10), messages
    assert early > 0  # before the pipe was closed
    rows = [json.loads(line) for line in lines]
    times = [row["time_s"] for row in rows]
    np.testing.assert_allclose(np.diff(times), 0.02, atol=1e-6)
    assert times[0] == 0 and times[-1] == pytest.approx(4.98, abs=0.25)
    assert "from arrival to EMG" in messages
    with (tmp_path / "out" / "emg.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(rows) and set(table[0]) == set(rows[0])
    muscle = next(name for name in rows[0] if name.startswith("left_"))
    assert [float(row[muscle]) for row in table] == [row[muscle] for row in rows]


def test_a_reader_that_leaves_and_ctrl_c_end_it_quietly(causal_dir, tmp_path):
    (tmp_path / "v.ts").write_bytes(transport_stream(200))
    # Both start at the same time, because starting takes longest.
    left = start_predict(causal_dir, str(tmp_path / "v.ts"))
    stopped = start_predict(causal_dir, "-", stdin=subprocess.PIPE)
    assert json.loads(left.stdout.readline())["time_s"] == 0
    left.stdout.close()
    messages = left.stderr.read().decode()
    assert left.wait(60) == 0 and "rror" not in messages, messages
    assert_ctrl_c_stops(stopped)


def assert_ctrl_c_stops(process):
    """Feeds a process with video and stops it as a user would."""
    process.stdin.write(transport_stream())
    process.stdin.flush()
    process.stdout.readline()
    # Without a reader it would wait for room in the pipe and not for packets.
    threading.Thread(target=process.stdout.read, daemon=True).start()
    messages = []
    listener = threading.Thread(target=lambda: messages.append(process.stderr.read()), daemon=True)
    listener.start()
    # The signal is handled when the next packet comes. A signal during a callback of PyAV is lost;
    # a user would then press Ctrl-C again.
    for _ in range(4):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(transport_stream())
            process.stdin.flush()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
            break
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    listener.join(60)
    text = b"".join(messages).decode()
    assert process.wait(60) == 0 and "stopped" in text and "Traceback" not in text, text


def test_a_video_served_as_if_it_were_live(causal_run):
    data = transport_stream(30)
    sent = []

    class Camera(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(data) * (1 + ("broken" in self.path))))
            self.end_headers()
            for piece in in_pieces(data, 1.5):
                self.wfile.write(piece)
                self.wfile.flush()
                sent.append(time.perf_counter())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        stream = VideoStream(causal_run)
        updates = []
        for update in stream.follow(f"http://127.0.0.1:{server.server_port}/live.ts"):
            updates.append((update, time.perf_counter()))
        with pytest.raises(UserError, match=r"lost after 2\.\d s"):
            list(live.live_frames(f"http://127.0.0.1:{server.server_port}/broken.ts"))
    finally:
        server.shutdown()
    assert len(updates) == pytest.approx(15, abs=1)
    assert updates[0][1] < sent[19]  # before all was sent
    times = np.concatenate([update.time for update, _ in updates])
    np.testing.assert_allclose(np.diff(times), 0.02, atol=1e-6)


def test_an_empty_room_is_not_in_domain(causal_run, empty_room):
    stream = VideoStream(causal_run)
    size = causal_run.window.size
    frames = [letterbox(Image.fromarray(frame), size) for frame in empty_room]
    outputs = [stream.push(np.asarray(frame)) for frame in frames]
    assert not any(in_domain for _, in_domain in outputs[5:])


def test_what_cannot_be_followed_gives_one_line(causal_run, run_dir, tmp_path):
    with pytest.raises(UserError, match="looks ahead"):
        VideoStream(open_run(run_dir))
    with pytest.raises(UserError, match="--action 'swimming'"):
        VideoStream(causal_run, "swimming")
    with pytest.raises(UserError, match="the views of the model are"):
        VideoStream(causal_run, view="above")
    write_audio_only(tmp_path / "audio.mp4")
    (tmp_path / "text.ts").write_text("not a video")
    for source, message in {
        str(tmp_path / "audio.mp4"): "no video stream",
        str(tmp_path / "text.ts"): "cannot be read",
        str(tmp_path / "missing.mp4"): "no such file",
        "rtsp://127.0.0.1:9/none": "cannot be read",
    }.items():
        with pytest.raises(UserError, match=message) as caught:
            next(live.live_frames(source))
        assert source in str(caught.value) and "\n" not in str(caught.value)
    # A file, unlike a pipe, may have its index at the end.
    video.write(tmp_path / "v.mp4", moving_square(), rate=10.0)
    assert len(list(itertools.islice(live.live_frames(str(tmp_path / "v.mp4")), 5))) == 5
