import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import edgeweave
from edgeweave.ruvector import Index


def rows(count, dim, seed=1):
    return np.random.default_rng(seed).standard_normal((count, dim), dtype=np.float32)


def exact(base, query, k):
    distances = ((base - query) ** 2).sum(1)
    return np.argsort(distances, kind="stable")[:k]


@pytest.mark.parametrize("quantization", ["none", "f16", "int8", "pq"])
@pytest.mark.parametrize("kind", ["auto", "exact", "hnsw", "ivf"])
def test_neighbours_are_those_of_numpy(kind, quantization):
    base = rows(1500, 16)
    index = Index(16, metric="l2", kind=kind, quantization=quantization, seed=3)
    index.upsert_batch(np.arange(1500, dtype=np.uint64), base)
    queries = rows(50, 16, seed=2)
    ids, scores = index.search_batch(queries, 10, effort=1024)
    assert ids.shape == scores.shape == (50, 10)
    found = sum(len(set(map(int, got)) & set(map(int, exact(base, query, 10)))) for got, query in zip(ids, queries))
    assert found / 500 >= 0.95
    one, _ = index.search(queries[0], 10, effort=1024)
    assert list(one) == list(ids[0])
    assert (np.diff(scores, axis=1) <= 0).all()


def test_payloads_filters_and_deletes():
    index = Index(3)
    base = rows(20, 3)
    index.upsert_batch(np.arange(20, dtype=np.uint64), base, [{"zone": f"barn-{i % 2}", "n": i} for i in range(20)])
    hits = index.hits(base[4], 5, filter="zone == 'barn-0' && n < 10")
    assert hits[0][0] == 4 and hits[0][2] == {"zone": "barn-0", "n": 4}
    assert all(payload["zone"] == "barn-0" for _, _, payload in hits)
    assert index.delete(4) and not index.delete(4)
    assert 4 not in index and 5 in index and len(index) == 19
    vector, payload = index.get(5)
    assert np.allclose(vector, base[5] / np.linalg.norm(base[5]), atol=1e-6) and payload["n"] == 5
    assert index.get(4) is None
    ids, scores = index.search_range(base[5], 0.99)
    assert ids[0] == 5 and scores[0] >= 0.99


def test_a_file_opens_as_it_was(tmp_path):
    path = tmp_path / "barn.index"
    base = rows(100, 8)
    with Index(8, path=path) as index:
        index.upsert_batch(np.arange(100, dtype=np.uint64), base)
        before = index.search(base[7], 3)
    Index.verify(path)
    with Index.open(path) as index:
        after = index.search(base[7], 3)
        assert list(before[0]) == list(after[0]) and list(before[1]) == list(after[1])
        with pytest.raises(edgeweave.StorageError):
            Index.open(path)
    with pytest.raises(edgeweave.ClosedError):
        index.search(base[0], 1)
    index.close()
    damaged = bytearray(path.read_bytes())
    damaged[40] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(edgeweave.CorruptError):
        Index.open(path)


def test_what_makes_no_sense_is_told():
    with pytest.raises(ValueError, match="wanted cosine, dot, l2 or hamming"):
        Index(3, metric="chebyshev")
    with pytest.raises(ValueError, match="dim"):
        Index(0)
    index = Index(3)
    with pytest.raises(ValueError):
        index.upsert(1, np.zeros(3, np.float32))
    with pytest.raises(ValueError):
        index.upsert(1, np.array([1, 2, np.nan], np.float32))
    with pytest.raises(ValueError, match="3"):
        index.search(np.ones(4, np.float32), 1)
    with pytest.raises(ValueError, match="ascontiguousarray"):
        index.search_batch(np.ones((3, 4), np.float32).T[:, :3], 1)
    with pytest.raises(TypeError):
        index.search(np.ones(3, np.float64), 1)
    with pytest.raises(ValueError):
        index.search(np.ones(3, np.float32), 0)
    with pytest.raises(ValueError):
        index.search_batch(np.ones((1, 3), np.float32), 0)
    with pytest.raises(edgeweave.Error):
        index.hits(np.ones(3, np.float32), filter="zone = 'a'")
    assert issubclass(edgeweave.StorageError, OSError)


def test_threads_search_while_one_writes():
    index = Index(16, metric="l2")
    base = rows(500, 16)
    index.upsert_batch(np.arange(500, dtype=np.uint64), base)
    failures = []

    def search():
        for at in range(200):
            ids, scores = index.search(base[at], 1)
            if (ids[0], scores[0]) != (at, 0):
                failures.append(at)

    readers = [threading.Thread(target=search) for _ in range(2)]
    for reader in readers:
        reader.start()
    for at in range(500, 700):
        index.upsert(at, rows(1, 16, seed=at)[0] + 100)
    for reader in readers:
        reader.join()
    assert not failures and len(index) == 700


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.integers(0, 1000)), max_size=40))
def test_any_changes_leave_what_a_dict_holds(changes):
    index, model = Index(4, metric="l2"), {}
    for id, delete, seed in changes:
        if delete:
            assert index.delete(id) == (model.pop(id, None) is not None)
        else:
            model[id] = rows(1, 4, seed)[0]
            index.upsert(id, model[id], {"seed": seed})
    assert len(index) == len(model)
    for id, vector in model.items():
        assert list(index.get(id)[0]) == list(vector)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 70), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_bits_are_found_by_how_many_differ(bits, count, seed):
    random = np.random.default_rng(seed)
    base = random.integers(0, 2, (count, bits), dtype=np.uint8)
    packed = np.packbits(base, axis=1, bitorder="little")
    index = Index(bits, metric="hamming", kind="exact")
    index.upsert_bits(np.arange(count, dtype=np.uint64), packed)
    query = random.integers(0, 2, bits, dtype=np.uint8)
    wanted = np.sort((base != query).sum(axis=1))
    ids, scores = index.search_bits(np.packbits(query, bitorder="little"), 5)
    np.testing.assert_array_equal(-scores, wanted[: len(ids)])
    np.testing.assert_array_equal((base[ids] != query).sum(axis=1), -scores)
    ids, _ = index.search_range_bits(np.packbits(query, bitorder="little"), -float(wanted[0]))
    assert len(ids) == (wanted == wanted[0]).sum()


def test_bits_of_another_shape_are_refused():
    index = Index(9, metric="hamming")
    with pytest.raises(ValueError, match=r"wanted \(n, 2\)"):
        index.upsert_bits(np.zeros(1, dtype=np.uint64), np.zeros((1, 1), dtype=np.uint8))
    with pytest.raises(ValueError):
        index.search_bits(np.zeros(1, dtype=np.uint8))
    with pytest.raises(ValueError):
        Index(8).upsert_bits(np.zeros(1, dtype=np.uint64), np.zeros((1, 1), dtype=np.uint8))
