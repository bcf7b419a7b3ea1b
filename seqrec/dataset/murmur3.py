"""Spark's partition hash, backwards: a key for each partition, so that each gets exactly one."""

WORD = 0xFFFFFFFF
SEED = 42  # Spark's


def key_of_partition(partition: int) -> int:
    """The int that `repartition(n, column)` sends to the partition, for any n above it.

    Spark takes the Murmur3 hash (x86, 32 bits) of the int modulo n. For 4 bytes every step of that hash can be undone, so that
    exactly one int has the partition's number as its hash. Source: Appleby's MurmurHash3_x86_32, which Spark's Murmur3_x86_32
    ports.

    >>> key_of_partition(0), key_of_partition(1)
    (-1693959553, -1910889132)
    """
    hashed = _undo_shift(partition, 16)
    hashed = _undo_shift(_undo_product(hashed, 0xC2B2AE35), 13)
    hashed = _undo_shift(_undo_product(hashed, 0x85EBCA6B), 16)
    mixed = _undo_product((hashed ^ 4) - 0xE6546B64, 5)
    scrambled = _rotate_right(mixed, 13) ^ SEED
    key = _undo_product(_rotate_right(_undo_product(scrambled, 0x1B873593), 15), 0xCC9E2D51)
    return key - (WORD + 1) if key > WORD // 2 else key


def _undo_shift(word: int, by: int) -> int:
    """The x of word = x ^ (x >> by)."""
    found = word
    for _ in range(32 // by):
        found = word ^ (found >> by)
    return found


def _undo_product(word: int, factor: int) -> int:
    """The x of word = x * factor, modulo 2^32."""
    return word * pow(factor, -1, WORD + 1) & WORD


def _rotate_right(word: int, by: int) -> int:
    return (word >> by | word << (32 - by)) & WORD
