"""Inputs with the traits of publicly reported problems give the right value, or say the reason."""

import collections
import re

import numpy as np
import pytest

from tests.conftest import shared
from video2emg.core import emg
from video2emg.core.errors import UserError
from video2emg.data import check
from video2emg.data.datasets.recordings.load import load_clip
from video2emg.data.datasets.recordings.table import read_table

RMS = (0.045, 0.18)  # of the two channels of most EMG files, mV
# Folder → (Hz, unit, first sample of the last channel).
EMG = {
    "01_trigno_discover_two_sensors": (1259.2593, "mV", 0.00676),
    "01b_trigno_discover_as_offered": (1259.2593, "mV", 0.00676),
    "02_trigno_discover_time_series": (1000, "mV", 0.00905),
    "02b_trigno_discover_as_offered": (1000, "mV", 0.00905),
    "03_noraxon_mr4_activity_column": (2000, "uV", 3.962),
    "03b_noraxon_txt_comma_units": (1500, "uV", 5.499),
    "03c_noraxon_mr4_activity_first_row_only": (2000, "uV", 3.962),
    "05_openbci_raw_txt": (250, "uV", 7.2482),
    "06_opensignals_txt": (1000, "adc", 33040),
    "08_time_rounded_to_ms": (2000, "mV", 0.00401),
    "09_pandas_default_header": (1000, "mV", 0.009054),
    "09b_numbered_header": (1000, "mV", 0.004119),
    "10_edf_mixed_units": (1000, "mV", 0.00906),
    "13_edf_latin1_micro": (1000, "uV", 9.064),
    "14_space_separated": (1000, "mV", 0.009054),
    "15_quoted_decimal_comma": (1000, "mV", 0.009054),
    "16b_unit_spelled_out": (1000, "uV", 0.00905),
    "22_acc_x_taken_for_time": (1000, "mV", 0.00905),
    "22b_increasing_x_taken_for_time": (1000, "mV", 0.00905),
    "23_timestamp_ms_column": (1000, "mV", 0.00905),
    "26_biopac_mat": (2000, "mV", 0.00396),
    "27_parquet_with_time_column": (2000, "mV", 0.00396),
    "28b_vicon_csv_two_sections": (1000, "mV", 0.00905),
}
REFUSED = {
    "08b_excel_scientific_time": "lost their digits",
    "11_edf_duplicate_labels": "2 channels are called 'EMG'",
    "12_edf_plus_discontinuous": "discontinuous: after 3 s it goes on at 12 s",
    "16_unit_contradiction": "emg_unit: mV, but emg.csv says V",
    "20_c3d_subject_prefix": "no channel 'head_x'; it has 'Anna:head_x'",
    "24_arduino_serial_monitor": "its lines look like '10:00:00",
    "28_qualisys_mat_struct": "'trial01' is a structure or a cell",
    "33_raw_h264_no_timestamps": "have no times",
    "36_cut_off_faststart": "cut off",
    "36b_cut_off_mkv": "cut off",
    "37_slow_motion_video_rate_ignored": "video_rate is 240 Hz, but the video says 30",
    "70_yaml_duplicate_key": "line 7: 'end' is there twice; first in line 6",
    "72_csv_duplicate_column": "column 'start' is there twice",
    "73_channel_named_twice": "'A' is there twice",
}
POSES = {
    "20b_c3d_subject_prefix_mapped": 60,
    "52_trc_zeros_for_missing": 40,
    "52b_trc_plain_with_trailing_tab": 60,
    "52c_trc_times_with_three_decimals": 60,
    "53_trc_one_tab_between_names": 60,
    "53b_trc_spaces_for_tabs": 60,
    "54_pose_csv_joint_x": 60,
    "54b_pose_csv_no_time": 60,
    "54c_pose_csv_mm_unit": 60,
}
FOUND = {
    "17_mvc_smaller_than_trial": "reaches 27.5 times the maximal",
    "17b_mvc_in_other_unit": "reaches 0.02% of the maximal",
    "25_hum_in_harmonics_only": "most at 150, 250 Hz, which a notch at 50 Hz leaves",
    "29_time_in_ms_without_unit": r"are its times in ms\?",
    "51b_keypoint_jump_between_people": "are they another's",
    "54d_pose_in_mm_without_saying": r"are they in mm\?",
}
# Folder → number of frames, time of the last.
FILMS = {
    "30_unpadded_frame_names": (30, 2.9),
    "31_gap_in_frame_numbers": (20, 2.9),
    "32_appledouble": (10, 0.9),
    "32b_appledouble_openpose": (4, 0.3),
    "33b_raw_h264_with_video_rate": (20, 1.9),
    "38_grey_16_bit_png": (10, 0.9),
    "38b_grey_12_bit_in_16": (10, 0.9),
    "50_alphapose_image_ids": (7, 0.6),
    "51_openpose_null_person": (4, 0.3),
}


def clip_of(folder, number=0):
    return load_clip(read_table(shared(f"cases/{folder}"))[number])


@pytest.mark.parametrize("folder", EMG)
def test_emg(folder):
    rate, unit, first = EMG[folder]
    clip = clip_of(folder)
    assert clip.emg_rate == pytest.approx(rate, rel=1e-6) and clip.emg_unit == unit
    assert clip.emg[0, -1] == pytest.approx(first, abs=1e-5 if abs(first) < 1 else 1e-3)


def test_channels_of_other_units_are_converted():
    np.testing.assert_allclose(clip_of("10_edf_mixed_units").emg.std(0), RMS, rtol=0.01)


def test_a_recording_that_starts_late():
    assert clip_of("13b_edf_plus_starts_late").emg_start == 0.5


@pytest.mark.parametrize("folder", REFUSED)
def test_refused(folder):
    with pytest.raises(UserError, match=REFUSED[folder]) as caught:
        clip_of(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", POSES)
def test_poses(folder):
    clip = clip_of(folder)
    assert len(clip.pose) == POSES[folder] and np.isfinite(clip.pose).all()
    assert np.diff(clip.pose_time).min() == pytest.approx(1 / 60, rel=1e-4)
    assert np.ptp(clip.pose, axis=1)[:, 2].mean() == pytest.approx(1.6, abs=0.1)


@pytest.mark.parametrize("folder", FOUND)
def test_found_by_check_data(folder):
    messages = [finding.message for finding in check.check_clip(clip_of(folder))]
    assert any(re.search(FOUND[folder], message) for message in messages), messages


@pytest.mark.parametrize("folder", FILMS)
def test_films(folder):
    count, last = FILMS[folder]
    clip = clip_of(folder)
    assert len(clip.frames) == count and clip.frame_time[-1] == pytest.approx(last)


def test_subjects_in_other_units_share_one_reference():
    clips = [clip_of("18_subjects_in_other_units", i) for i in range(6)]
    envelopes = [(clip, emg.clip_envelope(clip)) for clip in clips]
    people = {clip.subject for clip in clips}
    reference = emg.Normalisation.fit("train", envelopes, people)
    for clip, envelope in envelopes:
        peaks = (envelope / reference.scale(clip)).max(0)
        np.testing.assert_allclose(peaks, [0.3, 1.0], rtol=0.35)


def test_every_container_but_webp_is_read():
    problems = collections.Counter()
    for number in range(len(read_table(shared("cases/39_odd_containers")))):
        try:
            assert len(clip_of("39_odd_containers", number).frames) == 10
        except UserError as error:
            problems[str(error).partition(": ")[0].rpartition("/")[2]] += 1
    assert problems == {"v.webp": 1}
