"""EMG while the video comes in: what the model says of the past, as soon as it can be said."""

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
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import video2emg
from tests.inference.test_predict import audio_only, files_of, moving
from video2emg.core.errors import UserError
from video2emg.data.readers import film, live
from video2emg.inference.output import video
from video2emg.inference.run import open_run
from video2emg.inference.stream import EMGStream

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def opened(causal_dir):
    return open_run(causal_dir)


def stream_of(times):
    for n, taken in enumerate(times):
        yield live.Arrival(float(n), float(taken), lambda n=n: n)


@settings(deadline=None)
@given(fps=st.floats(5, 120), rate=st.sampled_from([5.0, 10.0, 12.5]))
def test_every_instant_gets_the_nearest_frame_at_once(fps, rate):
    times = np.arange(0, 4, 1 / fps)
    beats = list(live.on_beat(stream_of(times), rate, 10.0))
    assert [beat.number for beat in beats] == list(range(len(beats)))
    assert beats[0].anew and not any(beat.anew for beat in beats[1:])
    for beat in beats[1:]:
        off = abs(times[beat.look()] - beat.number / rate)
        assert off <= max(0.5 / fps, 0) + 1e-5 or fps < rate
        if fps >= rate:
            assert off <= np.abs(times - beat.number / rate).min() + 1e-5
            assert beat.at == beat.look()  # said when that frame came, not a frame later


def test_gaps_are_filled_and_pauses_begin_anew():
    times = [0.0, 0.2, 0.4, 1.0, 1.2, 9.0, 9.2]
    beats = list(live.on_beat(stream_of(times), 5.0, 4.0))
    assert [b.number for b in beats] == [0, 1, 2, 3, 4, 5, 6, 45, 46]
    assert [b.look() for b in beats] == [0, 1, 2, 2, 2, 3, 4, 5, 6]
    assert [b.number for b in beats if b.anew] == [0, 45]


@pytest.mark.parametrize("workdir", ["causal_dir", "late_dir"])
def test_what_is_said_live_is_what_the_model_says_of_the_whole(workdir, test_split, tmp_path,
                                                              request):  # fmt: skip
    workdir = request.getfixturevalue(workdir)
    clip = test_split[0]
    path = files_of(clip, tmp_path)[0].partition("=")[2]
    stream = EMGStream(open_run(workdir), clip.action)
    moments = list(stream.follow(path))
    assert [len(m.emg) for m in moments[:3]] == ([10] * 3 if stream.late == 0 else [0, 0, 10])
    whole = video2emg.load(workdir).predict(f"{clip.views[0]}={path}", action=clip.action)
    said = np.concatenate([moment.emg for moment in moments])
    n = min(len(said), len(whole.emg))
    assert n >= len(whole.emg) - 10 and stream.muscles == whole.muscles
    n -= 10 * stream.late  # what a late model says of the end depends on which frame is the last
    np.testing.assert_allclose(said[:n], whole.emg[:n], atol=1e-5)
    np.testing.assert_allclose(np.concatenate([m.time for m in moments])[:n], whole.time[:n])
    assert np.ptp(said, axis=0).min() > 0
    assert all(0 < moment.latency < 60 for moment in moments)


def test_only_the_last_window_counts(opened):
    """Whatever came before it: after a window of the same frames, the same is said."""
    rng = np.random.default_rng(0)
    size, length = opened.window.size, len(opened.window.frame_time)
    frames = rng.integers(0, 255, (length, size, size, 3)).astype(np.uint8)
    said = []
    for before in (0, 5):
        stream = EMGStream(opened)
        for _ in range(before):
            stream.push(rng.integers(0, 255, (size, size, 3)).astype(np.uint8))
        said.append([stream.push(frame)[0] for frame in frames])
    np.testing.assert_allclose(said[0][-1], said[1][-1], atol=1e-6)
    assert np.abs(said[0][0] - said[1][0]).max() > 1e-6


def test_what_a_late_model_owes_is_said_before_a_pause_and_at_the_end(late_dir, monkeypatch):
    stream = EMGStream(open_run(late_dir))
    size, window = stream._run.window.size, stream._run.window.seconds
    rng = np.random.default_rng(0)
    look = [Image.fromarray(rng.integers(0, 255, (size, size, 3)).astype(np.uint8))
            for _ in range(9)]  # fmt: skip
    times = [0.0, 0.2, 0.4, 0.6, 0.8, window + 2, window + 2.2, window + 2.4]
    arrivals = [live.Arrival(time.perf_counter(), t, lambda n=n: look[n])
                for n, t in enumerate(times)]  # fmt: skip
    monkeypatch.setattr(live, "arrivals", lambda source: iter(arrivals))
    said = list(stream.follow("camera"))
    assert [len(m.emg) for m in said] == [0, 0, 10, 10, 10, 20, 0, 0, 10, 20]
    instants = np.concatenate([m.time for m in said])
    expected = np.concatenate([np.arange(50), np.arange(30) + 50 * (window + 2)]) / 50
    np.testing.assert_allclose(instants, expected, atol=1e-9)
    # A pause forgets: what is said after it is what is said of these frames alone.
    monkeypatch.setattr(live, "arrivals", lambda source: iter(arrivals[5:]))
    alone = np.concatenate([m.emg for m in stream.follow("camera")])
    np.testing.assert_allclose(np.concatenate([m.emg for m in said])[50:], alone, atol=1e-6)


def transport_stream(count=50, rate=10.0):
    """A film in a container that can be read as it comes."""
    memory = io.BytesIO()
    with av.open(memory, "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=int(rate))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.max_b_frames = 0
        for n, (_, picture) in enumerate(moving(count, rate=rate)):
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


def started(run, camera, *flags, **pipes):
    command = [sys.executable, "launch.py", "predict", "--run", str(run), "--camera", camera]
    return subprocess.Popen(
        [*command, *map(str, flags)], cwd=ROOT, env=os.environ | {"JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **pipes,
    )  # fmt: skip


def test_rows_come_out_of_a_pipe_while_it_is_still_open(causal_dir, tmp_path):
    process = started(causal_dir, "-", "--out", tmp_path / "out", stdin=subprocess.PIPE)
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
    told = process.stderr.read().decode()
    assert process.wait(60) == 0 and done.wait(10), told
    assert early > 0  # before the pipe was closed
    rows = [json.loads(line) for line in lines]
    times = [row["time_s"] for row in rows]
    np.testing.assert_allclose(np.diff(times), 0.02, atol=1e-6)
    assert times[0] == 0 and times[-1] == pytest.approx(4.98, abs=0.25)
    assert "from arrival to EMG" in told
    with (tmp_path / "out" / "emg.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(rows) and set(table[0]) == set(rows[0])
    muscle = next(name for name in rows[0] if name.startswith("left_"))
    assert [float(row[muscle]) for row in table] == [row[muscle] for row in rows]


def test_a_reader_that_leaves_and_ctrl_c_end_it_quietly(causal_dir, tmp_path):
    (tmp_path / "v.ts").write_bytes(transport_stream(200))
    process = started(causal_dir, str(tmp_path / "v.ts"))
    assert json.loads(process.stdout.readline())["time_s"] == 0
    process.stdout.close()
    told = process.stderr.read().decode()
    assert process.wait(60) == 0 and "rror" not in told, told
    process = started(causal_dir, "-", stdin=subprocess.PIPE)
    process.stdin.write(transport_stream())
    process.stdin.flush()
    process.stdout.readline()
    # Somebody must read on, or it waits for room in the pipe and not for packets.
    threading.Thread(target=process.stdout.read, daemon=True).start()
    told = []
    listener = threading.Thread(target=lambda: told.append(process.stderr.read()), daemon=True)
    listener.start()
    # The signal is heeded when the next packet comes; one that comes in the midst of a library's
    # callback is lost, as it is to anybody, who then presses Ctrl-C again.
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
    said = b"".join(told).decode()
    assert process.wait(60) == 0 and "stopped" in said and "Traceback" not in said, said


def test_a_film_served_as_if_it_were_live(opened):
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
        stream = EMGStream(opened)
        moments = []
        for moment in stream.follow(f"http://127.0.0.1:{server.server_port}/live.ts"):
            moments.append((moment, time.perf_counter()))
        with pytest.raises(UserError, match=r"lost after 2\.\d s"):
            list(live.arrivals(f"http://127.0.0.1:{server.server_port}/broken.ts"))
    finally:
        server.shutdown()
    assert len(moments) == pytest.approx(15, abs=1)
    assert moments[0][1] < sent[19]  # spoken before all was sent
    times = np.concatenate([moment.time for moment, _ in moments])
    np.testing.assert_allclose(np.diff(times), 0.02, atol=1e-6)


def test_an_empty_room_is_not_in_domain_live(opened, empty_room):
    stream = EMGStream(opened)
    size = opened.window.size
    said = [stream.push(film.fit(Image.fromarray(frame), size)) for frame in empty_room]
    assert not any(inside for _, inside in said[5:])


def test_what_cannot_be_followed_costs_one_line(opened, run_dir, tmp_path):
    with pytest.raises(UserError, match="looks ahead"):
        EMGStream(open_run(run_dir))
    with pytest.raises(UserError, match="--action 'swimming'"):
        EMGStream(opened, "swimming")
    with pytest.raises(UserError, match="knows the views"):
        EMGStream(opened, view="above")
    audio_only(tmp_path / "audio.mp4")
    (tmp_path / "text.ts").write_text("not a video")
    for source, says in {
        str(tmp_path / "audio.mp4"): "no video stream",
        str(tmp_path / "text.ts"): "cannot be read",
        str(tmp_path / "missing.mp4"): "no such file",
        "rtsp://127.0.0.1:9/none": "cannot be read",
    }.items():
        with pytest.raises(UserError, match=says) as caught:
            next(live.arrivals(source))
        assert source in str(caught.value) and "\n" not in str(caught.value)
    # An index at the end cannot be read from a pipe.
    video.write(tmp_path / "v.mp4", moving(), rate=10.0)
    assert len(list(itertools.islice(live.arrivals(str(tmp_path / "v.mp4")), 5))) == 5
