"""What the venue's pages leave open: read as the world has it every row matches, read otherwise the day is not green.

One world, in which every doubt matters, is as everything is assumed; the world that is the other way round, and many
more of both, are read by `make nightly NIGHTLY_ARGS=--doubts`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from recon_pipeline.sandbox.binance import DOUBTS
from recon_pipeline_tests.binance_doubts import READ, SIDES, judge_doubts, world_of, wrong_readings


def test_the_sandbox_and_the_mapping_doubt_the_same_in_the_same_words() -> None:
    assert {name: set(values) for name, values in DOUBTS.items()} == {
        name: set(values) for name, values in READ.items()
    }
    assert all(READ[name][0] == values[0] for name, values in DOUBTS.items())
    assert set(wrong_readings(world_of(SIDES[1]), dict.fromkeys(READ, 1))) == set(READ)


@pytest.mark.postgres
def test_a_doubt_read_wrongly_is_never_green(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    judged, wrong = judge_doubts(8, SIDES[0], tmp_path, database, monkeypatch, symbols_max=250)
    assert wrong == []
    assert judged == set(READ)
