"""Python's garbage collector, set for workers."""

import gc


def collector_tune() -> None:
    """Collect less often: call once, when all modules are imported.

    Bulk work makes tens of thousands of objects that live for one batch; with the default
    thresholds the collector walks all modules again and again (5 µs a reading, by bench/ingest.py).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
