#!/usr/bin/env python3
"""Search, batches and builds from Python beside the wheels of usearch and hnswlib, on the same vectors, one thread.

    pip install numpy usearch hnswlib, and the wheel edgeweave
    python bindings.py [--vectors FILE.npy | --count 20000 --dim 128] [--queries 10000] [--rounds 5]

With --rust target/release/bindings --library target/release/libedgeweave.so the same searches by Rust and by C are told too.

What Python costs beside the search itself is told apart: one search of an index of one vector, where nothing is
searched. Prints lines of JSON; every figure is the best of the rounds, all libraries take turns within a round.
"""
import argparse
import json
import pathlib
import platform
import subprocess
import tempfile
import time

import numpy as np


def neighbours(found, truth):
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), truth.tolist())]))


class Edgeweave:
    name = "edgeweave"

    def __init__(self, dim):
        from edgeweave.ruvector import Index

        # Graphs over floats, as the others have.
        self.index = Index(dim, metric="l2", kind="hnsw", quantization="none", links=16, build_effort=128)

    def add(self, ids, vectors):
        self.index.upsert_batch(ids, vectors)

    def search(self, query, k, effort):
        return self.index.search(query, k, effort=effort)

    def batch(self, queries, k, effort):
        return self.index.search_batch(queries, k, effort=effort)[0]


class Usearch:
    name = "usearch"

    def __init__(self, dim):
        from usearch.index import Index

        self.index = Index(ndim=dim, metric="l2sq", dtype="f32", connectivity=16, expansion_add=128)

    def add(self, ids, vectors):
        self.index.add(ids, vectors, threads=1)

    def search(self, query, k, effort):
        self.index.expansion_search = effort
        return self.index.search(query, k)

    def batch(self, queries, k, effort):
        self.index.expansion_search = effort
        return self.index.search(queries, k, threads=1).keys


class Hnswlib:
    name = "hnswlib"

    def __init__(self, dim):
        import hnswlib

        self.index = hnswlib.Index(space="l2", dim=dim)
        self.index.set_num_threads(1)

    def add(self, ids, vectors):
        self.index.init_index(max_elements=max(len(ids), 2), M=16, ef_construction=128)
        self.index.add_items(vectors, ids)

    def search(self, query, k, effort):
        self.index.set_ef(effort)
        return self.index.knn_query(query, k)

    def batch(self, queries, k, effort):
        self.index.set_ef(effort)
        return self.index.knn_query(queries, k)[0]


def best(work, rounds):
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--effort", type=int, default=96)
    parser.add_argument("--rust", help="the bench `bindings` of benches/, for Rust and C beside Python")
    parser.add_argument("--library", help="libedgeweave.so, for it")
    args = parser.parse_args()
    random = np.random.default_rng(1)
    if args.vectors:
        everything = np.ascontiguousarray(np.load(args.vectors), dtype=np.float32)
        base, queries = everything[args.queries :], everything[: args.queries]
    else:
        centres = random.standard_normal((100, args.dim), dtype=np.float32)
        everything = centres[random.integers(0, 100, args.count + args.queries)]
        everything = everything + 0.5 * random.standard_normal(everything.shape, dtype=np.float32)
        base, queries = np.ascontiguousarray(everything[args.queries :]), np.ascontiguousarray(everything[: args.queries])
    ids = np.arange(len(base), dtype=np.uint64)
    squares = (base**2).sum(1)
    checked = queries[:500]
    truth = np.argsort(squares[None, :] - 2 * checked @ base.T, axis=1)[:, :10]

    def tell(**line):
        print(json.dumps(line), flush=True)

    tell(machine=platform.processor() or platform.machine(), python=platform.python_version(), vectors=len(base),
         dim=base.shape[1], queries=len(queries), k=10, effort=args.effort, threads=1)
    # Python alone: an index of one vector, so that nothing is searched.
    for kind in (Edgeweave, Usearch, Hnswlib):
        library = kind(base.shape[1])
        library.add(ids[:1], base[:1])
        calls = 20_000
        seconds = best(lambda: [library.search(queries[0], 1, 10) for _ in range(calls)], args.rounds)
        tell(library=library.name, what="one call", nanoseconds=round(seconds / calls * 1e9))
    libraries = []
    for kind in (Edgeweave, Usearch, Hnswlib):
        library = kind(base.shape[1])
        begin = time.perf_counter()
        library.add(ids, base)
        tell(library=library.name, what="build", seconds=round(time.perf_counter() - begin, 3))
        libraries.append(library)
    single, batch = {}, {}
    for _ in range(args.rounds):
        for library in libraries:
            some = queries[:2000]
            seconds = best(lambda: [library.search(query, 10, args.effort) for query in some], 1)
            single[library.name] = min(seconds / len(some), single.get(library.name, 1e9))
            seconds = best(lambda: library.batch(queries, 10, args.effort), 1)
            batch[library.name] = min(seconds / len(queries), batch.get(library.name, 1e9))
    if args.rust:
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "vectors"
            file.write_bytes(queries.tobytes() + base.tobytes())
            more = ["--vectors", file, "--dim", base.shape[1], "--queries", len(queries)]
            more += ["--effort", args.effort, "--rounds", args.rounds]
            subprocess.run([args.rust, args.library, *map(str, more)], check=True)
    for library in libraries:
        recall = neighbours(library.batch(checked, 10, args.effort), truth)
        tell(library=library.name, what="search", recall=round(recall, 4),
             microseconds_single=round(single[library.name] * 1e6, 2),
             microseconds_batch=round(batch[library.name] * 1e6, 2))


if __name__ == "__main__":
    main()
