"""audit.merkle against the recursive definition of RFC 9162 2.1, and the published vectors of RFC 6962 trees."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from bot_bottle.audit.merkle import (
    EMPTY,
    WIDTH,
    Edge,
    consistency,
    inclusion,
    leaf_hash,
    node_hash,
    range_root,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(b"%d" % number) for number in range(1500)]


def recursive(leaves: list[bytes]) -> bytes:
    """RFC 9162 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + recursive(leaves[:k]) + recursive(leaves[k:])).digest()


def test_hashes_of_the_certificate_transparency_vectors() -> None:
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert node_hash(leaf_hash(b""), leaf_hash(b"\0")).hex() == (
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    )


def test_every_root_to_300_and_at_the_edges_of_tiles() -> None:
    edge = Edge()
    for size in range(301):
        assert edge.size == size
        assert edge.root() == recursive(LEAVES[:size])
        edge.extend(LEAVES[size : size + 1])
    for size in (511, 512, 513, 767, 768, 1023, 1024, 1500):
        whole = Edge()
        whole.extend(LEAVES[:size])
        assert whole.root() == recursive(LEAVES[:size])


@given(st.lists(st.integers(0, 700), min_size=1, max_size=4))
@settings(max_examples=40)
def test_steps_do_not_matter_and_tiles_hold_what_they_should(steps: list[int]) -> None:
    edge, tiles, leaves = Edge(), {}, [leaf_hash(b"x%d" % n) for n in range(sum(steps))]
    at = 0
    for step in steps:
        for level, index, data in edge.extend(leaves[at : at + step]):
            tiles[level, index] = data
        at += step
    assert edge.root() == recursive(leaves)
    for (level, index), data in tiles.items():
        span = WIDTH**level
        first = index * WIDTH * span
        assert data == b"".join(recursive(leaves[first + i * span : first + (i + 1) * span]) for i in range(WIDTH))
    assert sum(1 for level, _ in tiles if level == 0) == sum(steps) // WIDTH


def test_all_proofs_of_small_trees() -> None:
    source = range_root(LEAVES)
    for size in range(1, 40):
        root = recursive(LEAVES[:size])
        for index in range(size):
            proof = inclusion(index, size, source)
            assert verify_inclusion(LEAVES[index], index, size, proof, root)
            assert not verify_inclusion(LEAVES[index + 1], index, size, proof, root)
            assert not verify_inclusion(LEAVES[index], index, size, [*proof, EMPTY], root)
            assert not verify_inclusion(LEAVES[index], index, size, proof[:-1], root) or size == 1
        for old in range(1, size + 1):
            proof = consistency(old, size, source)
            assert verify_consistency(old, size, recursive(LEAVES[:old]), root, proof)
            assert not verify_consistency(old, size, EMPTY, root, proof)
            assert not verify_consistency(old, size, recursive(LEAVES[:old]), EMPTY, proof)


@given(st.data())
@settings(max_examples=60)
def test_a_changed_proof_or_position_never_verifies(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 1500))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion(index, size, range_root(LEAVES))
    root = recursive(LEAVES[:size])
    position = data.draw(st.integers(0, len(proof) - 1))
    broken = list(proof)
    broken[position] = bytes([broken[position][0] ^ 1]) + broken[position][1:]
    assert verify_inclusion(LEAVES[index], index, size, proof, root)
    assert not verify_inclusion(LEAVES[index], index, size, broken, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index))
    assert not verify_inclusion(LEAVES[index], other, size, proof, root)


@given(st.integers(1, 1500), st.integers(1, 1500), st.data())
@settings(max_examples=60)
def test_consistency_of_any_two_sizes(one: int, two: int, data: st.DataObject) -> None:
    old, new = min(one, two), max(one, two)
    proof = consistency(old, new, range_root(LEAVES))
    roots = recursive(LEAVES[:old]), recursive(LEAVES[:new])
    assert verify_consistency(old, new, *roots, proof)
    if proof:
        position = data.draw(st.integers(0, len(proof) - 1))
        assert not verify_consistency(old, new, *roots, proof[:position] + proof[position + 1 :])
    forked = [*LEAVES[: old - 1], leaf_hash(b"fork"), *LEAVES[old:new]]
    assert not verify_consistency(old, new, roots[0], recursive(forked), proof)


def test_sizes_that_need_no_proof() -> None:
    assert verify_consistency(0, 5, EMPTY, recursive(LEAVES[:5]), [])
    assert not verify_consistency(0, 5, LEAVES[0], recursive(LEAVES[:5]), [])
    assert not verify_consistency(5, 4, EMPTY, EMPTY, [])
    assert verify_consistency(3, 3, EMPTY, EMPTY, [])
