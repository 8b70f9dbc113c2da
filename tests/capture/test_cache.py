import threading
import time
from dataclasses import dataclass

import pytest

from sfumato.capture.cache import ByteCache, default_cache_bytes


@dataclass
class Block:
    num_bytes: int


def test_the_least_recently_used_value_is_evicted_first():
    cache = ByteCache(100)
    a = cache.get("a", lambda: Block(40))
    cache.get("b", lambda: Block(40))
    assert cache.get("a", lambda: Block(40)) is a
    cache.get("c", lambda: Block(40))
    assert cache.num_bytes == 80
    assert cache.get("a", lambda: pytest.fail("a was used last and must be kept")) is a
    made = []
    cache.get("b", lambda: made.append(1) or Block(40))
    assert made == [1]


def test_a_value_larger_than_the_cache_is_returned_but_not_kept():
    cache = ByteCache(10)
    small = cache.get("small", lambda: Block(5))
    assert cache.get("large", lambda: Block(50)).num_bytes == 50
    assert cache.num_bytes == 5 and cache.get("small", lambda: None) is small


def test_concurrent_requests_compute_a_value_once():
    cache, made, values = ByteCache(100), [], []

    def make():
        made.append(1)
        time.sleep(0.05)
        return Block(1)

    threads = [threading.Thread(target=lambda: values.append(cache.get("k", make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1] and len({id(value) for value in values}) == 1


def test_errors_are_not_cached():
    cache = ByteCache(100)

    def broken():
        raise OSError("gone")

    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            cache.get("k", broken)
    assert cache.get("k", lambda: Block(1)).num_bytes == 1


def test_reading_ahead_computes_values_and_defers_errors():
    cache, done = ByteCache(100), threading.Event()

    def broken():
        raise OSError("gone")

    def last():
        done.set()
        return Block(2)

    cache.read_ahead([("bad", broken), ("good", last)])
    assert done.wait(5.0)
    assert cache.get("good", last).num_bytes == 2
    with pytest.raises(OSError, match="gone"):
        cache.get("bad", broken)


def test_the_default_size_is_a_fraction_of_the_memory():
    assert 128 << 20 <= default_cache_bytes() < 1 << 40
