#!/usr/bin/env python3
"""Windows of the command beside DuckDB on random streams with disorder.

Needs the wheel `duckdb` and the command: cargo build -p edgeweave-midstream --features cli
Usage: windows.py [path of the command] [streams]
"""

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb

# A multiple of all slides, so that windows begin alike; late enough to be milliseconds.
EPOCH = 3500 * 285_714_286
# Name, rule, and the same in SQL over `events(ms, key, value)`, `ms` in milliseconds.
COLUMNS = "COUNT(*) AS events, SUM(value) AS total, AVG(value) AS mean, MIN(value) AS least, MAX(value) AS most, STDDEV(value) AS spread, COUNT(DISTINCT value) AS different"
HOPS = """
SELECT key, b AS first, b + {size} AS last, {columns} FROM events, range(-4 * {slide}, 21000, {slide}) AS t(b)
WHERE b > ms - {size} AND b <= ms GROUP BY key, b
"""
SESSIONS = """
WITH marked AS (SELECT *, CASE WHEN ms - LAG(ms) OVER w <= {gap} THEN 0 ELSE 1 END AS begins FROM events WINDOW w AS (PARTITION BY key ORDER BY ms)),
numbered AS (SELECT *, SUM(begins) OVER (PARTITION BY key ORDER BY ms ROWS UNBOUNDED PRECEDING) AS session FROM marked)
SELECT key, MIN(ms) AS first, MAX(ms) + {gap} AS last, {columns} FROM numbered GROUP BY key, session
"""
# A window for each event is told with the event: those at its time that came before it are in, later ones are not.
EACH = """
SELECT a.key, MIN(b.ms) AS first, a.ms AS last, {columns}
FROM events a JOIN events b ON a.key = b.key AND b.ms BETWEEN a.ms - {size} AND a.ms AND (b.ms < a.ms OR b.n <= a.n)
GROUP BY a.key, a.ms, a.n
"""
CASES = [
    ("tumbling", "TUMBLING WINDOW 700 MS", HOPS.format(size=700, slide=700, columns=COLUMNS)),
    ("sliding", "SLIDING WINDOW 900 MS SLIDE 250 MS", HOPS.format(size=900, slide=250, columns=COLUMNS)),
    ("gaps", "SLIDING WINDOW 200 MS SLIDE 500 MS", HOPS.format(size=200, slide=500, columns=COLUMNS)),
    ("session", "SESSION WINDOW GAP 120 MS", SESSIONS.format(gap=120, columns=COLUMNS)),
    ("each", "SLIDING WINDOW 400 MS", EACH.format(size=400, columns=COLUMNS.replace("value", "b.value"))),
]


def rows(seed):
    draw = random.Random(seed)
    found = []
    for n in range(draw.randint(1, 400)):
        at = draw.randint(0, 20_000)
        found.append((at, f"k{draw.randint(0, 4)}", draw.randint(-50, 50) / 4))
    found.sort()
    # Each row comes at most 500 ms after its turn.
    found = [row for _, row in sorted((row[0] + draw.randint(0, 500), row) for row in found)]
    return [(at, key, value, n) for n, (at, key, value) in enumerate(found)]


def told(command, folder, rule, table):
    rules, data = folder / "rules", folder / "rows.csv"
    rules.write_text(f"SELECT {COLUMNS} FROM rows GROUP BY key WITHIN {rule}")
    # The last row is far behind, so that all windows are over.
    lines = [f"{EPOCH + at},{key},{value}" for at, key, value, _ in table] + [f"{EPOCH + 10**6},end,0"]
    data.write_text("at,key,value\n" + "\n".join(lines) + "\n")
    run = [command, "run", "--json", "--rules", rules, "--input", data, "--time", "at", "--disorder", "0.5"]
    output = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    found = [json.loads(line) for line in output.splitlines()[:-1]]
    return [
        (one["key"], one["first"] - EPOCH, one["last"] - EPOCH, *one["found"]["row"]["columns"].values())
        for one in found
        if one["key"] != "end"
    ]


def alike(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= 1e-9 * max(1.0, abs(a))
    return a == b


def main():
    command = sys.argv[1] if len(sys.argv) > 1 else "target/debug/midstream"
    streams = int(sys.argv[2]) if len(sys.argv) > 2 else 40
    compared = 0
    for seed in range(streams):
        table = rows(seed)
        base = duckdb.connect()
        base.execute("CREATE TABLE events(ms BIGINT, key VARCHAR, value DOUBLE, n BIGINT)")
        base.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", table)
        for name, rule, query in CASES:
            with tempfile.TemporaryDirectory() as folder:
                ours = sorted(told(command, Path(folder), rule, table), key=repr)
            theirs = sorted(base.execute(query).fetchall(), key=repr)
            # Ties in time are told in order of arrival; as sets of rows they are the same.
            same = len(ours) == len(theirs) and all(
                all(map(alike, a, b)) for a, b in zip(sorted(ours, key=lambda r: r[:4]), sorted(theirs, key=lambda r: r[:4]))
            )
            if not same:
                extra = [row for row in ours if row not in theirs][:3]
                missing = [row for row in theirs if row not in ours][:3]
                sys.exit(f"stream {seed}, {name}: {len(ours)} rows, DuckDB {len(theirs)}\n{extra}\n{missing}")
            compared += len(ours)
    print(f"{compared} windows of {streams} streams are as DuckDB {duckdb.__version__} computes them")


main()
