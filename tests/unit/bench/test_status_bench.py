"""The status that does not depend on the sample's size (STATISTICS section 3), in a small form of its bench."""

from tests.bench.cases import status
from tests.bench.options import Options


def test_a_twentieth_of_a_stream_and_all_of_it_hardly_ever_say_opposite_things() -> None:
    found = {row.name: row for row in status.run(Options(scale=200 / status.PAIRS))}
    assert found["status.contradictions"].value <= 0.02  # 4 of 200 pairs; the bench draws 4,000 and allows 1 %
    assert found["status.same"].reached
