"""Makes the README's pictures in docs/pictures/, of what the commands draw and write; needs the extra `video`, and a browser.

python docs/make_pictures.py                    where.png of a model trained on the sample; page.png of the demo clips
python docs/make_pictures.py --work=DIR         keeps what the commands make there, and goes on from it
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

DOCS = pathlib.Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from tests.timelines import browser  # noqa: E402

PICTURES = DOCS / "pictures"
SIZE = 1100, 860  # of the page's window
CLIP = "demo_12"  # of the demo clips: two classes


def command(folder, *words):
    """Runs `yt8m WORDS` in a folder."""
    print(f"yt8m {' '.join(words)}", flush=True)
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent)}
    subprocess.run([sys.executable, "-m", "yt8m.cli.app", *words], cwd=folder, env=environment, check=True)


def make_where(work):
    """docs/pictures/where.png: what training on the sample draws at its end."""
    if not (work / "run" / "where.png").exists():
        command(work, "train", "--model=MultiAttentionModel", "--train_dir=run")
    shutil.copyfile(work / "run" / "where.png", PICTURES / "where.png")


def make_page(work):
    """docs/pictures/page.png: the timeline of a demo clip in a browser, after a click on an interval."""
    if not (work / "features" / "timelines").exists():
        command(work, "features", "--demo", "--output_dir=features")
        how = ("--model=FrameLevelLogisticModel", "--max_steps=300", "--batch_size=16")
        command(work, "train", "--segment_labels", "--flagfile=features/dataset.flags", "--train_dir=features/model", *how)
        data = ("--input_data_pattern=features/*.tfrecord", "--output_dir=features/timelines")
        command(work, "timeline", "--train_dir=features/model", *data)
    (page,) = (work / "features" / "timelines").glob(f"{CLIP}.html")
    with tempfile.TemporaryDirectory() as profile:
        opened = browser.Browser(profile)
        try:
            opened.ask("Emulation.setDeviceMetricsOverride", width=SIZE[0], height=SIZE[1], deviceScaleFactor=1, mobile=False)
            opened.open(f"file://{urllib.parse.quote(str(page.resolve()))}")
            opened.until("document.querySelector('video').readyState > 1 && document.querySelector('.interval') !== null")
            opened.click(".interval")
            begin = opened.value("document.querySelector('video').currentTime")
            opened.until(f"document.querySelector('video').currentTime > {begin} + 2")  # by then its pictures are there
            opened.value("document.querySelector('video').pause()")
            opened.value("window.scrollTo(0, 0)")
            opened.picture(PICTURES / "page.png", *SIZE)
        finally:
            opened.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", help="folder for what the commands make; nothing given: one that is removed")
    work = parser.parse_args().work
    if browser.PROGRAM is None:
        sys.exit(browser.WHY_NOT)
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(work or temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        make_where(folder)
        make_page(folder)


if __name__ == "__main__":
    main()
