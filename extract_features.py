"""Turns video and sound files into YouTube-8M records: `yt8m features` under the name that the starter's extractor suggests.

python extract_features.py --demo                                          makes clips, and features of them
python extract_features.py --input_videos=clips/ --output_dir=features/    a folder, a glob or a CSV file with labels
python extract_features.py --help                                          all flags
"""

from yt8m.cli import app

if __name__ == "__main__":
    app.run("features")
