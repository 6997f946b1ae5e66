"""Writes the ranges of muscle lengths of the anatomies in the package.

    python -m analyses.length_ranges

To be run after a change of `physics/anatomies` or of how lengths are computed; a test says when.
"""

from video2emg.core.files import write_text
from video2emg.physics import anatomy as anatomies
from video2emg.physics.anatomy import GROUPS
from video2emg.physics.length_range import KEPT, computed, fingerprint


def text() -> str:
    """The file: each muscle's first and 99th percentile, m, by anatomy."""
    lines = ["# Written by analyses.length_ranges; see physics/length_range.py."]
    for name in anatomies.names():
        anatomy = anatomies.load(name)
        lines.append(f'"{fingerprint(anatomy)}":  # {name}')
        for group in GROUPS:
            ranges = zip(anatomy.group(group), *computed(anatomy, group), strict=True)
            lines += [f"  {muscle}: [{low:.9g}, {high:.9g}]" for muscle, low, high in ranges]
    return "\n".join(lines) + "\n"


def main() -> None:
    write_text(KEPT, text())
    print(KEPT)


if __name__ == "__main__":
    main()
