#!/usr/bin/env python3
"""hnswlib, faiss and usearch on the files of the `vectors` bench: the same sweep, the same lines.

    pip install numpy hnswlib faiss-cpu usearch
    python vectors.py --base FILE.npy --queries FILE.npy [--k 10] [--metric cosine|dot|l2]
                      [--engines hnswlib,faiss-hnsw,faiss-sq8,faiss-flat,usearch] [--core 0]

One thread on one pinned core. Recall counts rows as near as the k-th within rounding as found. Query
loops run in Python, one query a call, so every engine pays the same call overhead; `overhead_us` says
how much of a figure that is.
"""
import argparse
import json
import os
import tempfile
import time

import numpy as np

EFFORTS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024]


def load(path, limit):
    rows = np.load(path, mmap_mode="r")
    if rows.ndim != 2 or rows.dtype not in (np.float16, np.float32):
        raise SystemExit(f"{path}: {rows.dtype} of shape {rows.shape}, wanted float16 or float32 of (n, dim)")
    return np.ascontiguousarray(rows[:limit], dtype=np.float32)


def normalised(rows):
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def distances(base, queries, metric):
    if metric == "l2":
        return (base ** 2).sum(1)[None, :] - 2 * queries @ base.T + (queries ** 2).sum(1)[:, None]
    return -(queries @ base.T)


def neighbours(base, queries, k, metric):
    """For each query the set of rows that are as near as the k-th."""
    good = []
    for start in range(0, len(queries), 64):
        for row in distances(base, queries[start:start + 64], metric):
            kth = np.partition(row, k - 1)[k - 1]
            scale = 1 if metric == "cosine" else abs(kth)
            good.append(set(np.flatnonzero(row <= kth + 1e-5 * scale).tolist()))
    return good


class Hnswlib:
    kind, quantization = "hnsw", "none"

    def __init__(self, dim, metric, links, build_effort):
        import hnswlib
        self.index = hnswlib.Index({"cosine": "ip", "dot": "ip", "l2": "l2"}[metric], dim)
        self.index.set_num_threads(1)
        self.links, self.build_effort = links, build_effort

    def build(self, base):
        self.index.init_index(len(base), M=self.links, ef_construction=self.build_effort, random_seed=1)
        self.index.add_items(base, num_threads=1)

    def effort(self, effort):
        self.index.set_ef(effort)

    def search(self, query, k):
        return self.index.knn_query(query, k, num_threads=1)[0][0]

    def save(self, path):
        self.index.save_index(path)


class Faiss:
    def __init__(self, factory, kind, quantization, dim, metric, links, build_effort):
        import faiss
        faiss.omp_set_num_threads(1)
        measure = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        self.faiss, self.kind, self.quantization = faiss, kind, quantization
        self.index = faiss.index_factory(dim, factory.format(links=links), measure)
        if kind == "hnsw":
            self.index.hnsw.efConstruction = build_effort

    def build(self, base):
        self.index.train(base)
        self.index.add(base)

    def effort(self, effort):
        if self.kind == "hnsw":
            self.index.hnsw.efSearch = effort

    def search(self, query, k):
        return self.index.search(query[None, :], k)[1][0]

    def save(self, path):
        self.faiss.write_index(self.index, path)


class Usearch:
    kind, quantization = "hnsw", "int8"

    def __init__(self, dim, metric, links, build_effort):
        from usearch.index import Index
        names = {"cosine": "cos", "dot": "ip", "l2": "l2sq"}
        self.index = Index(ndim=dim, metric=names[metric], dtype="i8", connectivity=links,
                           expansion_add=build_effort, expansion_search=10)

    def build(self, base):
        self.index.add(np.arange(len(base)), base, threads=1)

    def effort(self, effort):
        self.index.expansion_search = effort

    def search(self, query, k):
        return self.index.search(query, k, threads=1).keys

    def save(self, path):
        self.index.save(path)


ENGINES = {
    "hnswlib": lambda *a: Hnswlib(*a),
    "faiss-hnsw": lambda *a: Faiss("HNSW{links},Flat", "hnsw", "none", *a),
    "faiss-sq8": lambda *a: Faiss("HNSW{links},SQ8", "hnsw", "int8", *a),
    "faiss-flat": lambda *a: Faiss("Flat", "exact", "none", *a),
    "usearch": lambda *a: Usearch(*a),
}


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(name, base, queries, good, options):
    engine = ENGINES[name](base.shape[1], options.metric, options.links, options.build_effort)
    before = resident()
    begun = time.perf_counter()
    engine.build(base)
    took = time.perf_counter() - begun
    grown = resident() - before
    for effort in EFFORTS:
        if effort < options.k and engine.kind != "exact":
            continue
        engine.effort(effort)
        found = [engine.search(query, options.k) for query in queries]
        recall = sum(len(good[at].intersection(map(int, ids))) for at, ids in enumerate(found))
        passes = []
        for _ in range(3):
            each = np.empty(len(queries))
            for at, query in enumerate(queries):
                start = time.perf_counter()
                engine.search(query, options.k)
                each[at] = time.perf_counter() - start
            passes.append(each)
        each = sorted(passes, key=np.sum)[1]
        recall = min(recall / (options.k * len(queries)), 1.0)
        print(json.dumps({
            "engine": name, "kind": engine.kind, "quantization": engine.quantization, "effort": effort,
            "recall": round(recall, 4), "p50_us": round(np.percentile(each, 50) * 1e6, 1),
            "p99_us": round(np.percentile(each, 99) * 1e6, 1), "qps": round(len(each) / each.sum()),
        }), flush=True)
        if recall >= 0.9995 or engine.kind == "exact":
            break
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "index")
        engine.save(path)
        size = os.path.getsize(path)
    print(json.dumps({
        "engine": name, "kind": engine.kind, "quantization": engine.quantization,
        "build_per_s": round(len(base) / took), "file_mb": round(size / 1e6, 1),
        "resident_mb": round(grown / 1e6, 1),
    }), flush=True)


def overhead():
    """What a call from Python costs at least: an exact search among ten rows."""
    import faiss
    index = faiss.IndexFlatL2(8)
    rows = np.zeros((10, 8), np.float32)
    index.add(rows)
    each = []
    for _ in range(2000):
        start = time.perf_counter()
        index.search(rows[:1], 1)
        each.append(time.perf_counter() - start)
    return round(float(np.median(each)) * 1e6, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True)
    parser.add_argument("--queries", required=True)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--metric", choices=["cosine", "dot", "l2"], default="cosine")
    parser.add_argument("--engines", default="hnswlib,faiss-hnsw,faiss-sq8,usearch")
    parser.add_argument("--links", type=int, default=16)
    parser.add_argument("--build-effort", type=int, default=128)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--queries-max", type=int, default=1000)
    parser.add_argument("--core", type=int, default=0)
    options = parser.parse_args()
    unknown = set(options.engines.split(",")) - set(ENGINES)
    if unknown:
        raise SystemExit(f"no such engine: {', '.join(sorted(unknown))}; there are {', '.join(ENGINES)}")
    base, queries = load(options.base, options.limit), load(options.queries, options.queries_max)
    if options.metric == "cosine":
        base, queries = normalised(base), normalised(queries)
    options.k = min(options.k, len(base))
    good = neighbours(base, queries, options.k, options.metric)
    os.sched_setaffinity(0, {options.core})
    print(json.dumps({"conditions": {"vectors": len(base), "dim": base.shape[1], "queries": len(queries),
                                     "k": options.k, "metric": options.metric, "core": options.core,
                                     "overhead_us": overhead()}}), flush=True)
    for name in options.engines.split(","):
        measure(name, base, queries, good, options)


if __name__ == "__main__":
    main()
