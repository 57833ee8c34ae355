"""What is wrong with a record has one declared answer (docs/bad-input.md); neighbours are unharmed."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from confluent_kafka import Producer

from schemas.partitioner import partitions_of
from schemas.request_schema import request_contract
from schemas.topics import Topic
from tests.streams.chain_scene import Chain, start
from tests.unit.schemas.examples import avro

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.stack import Stack

YEAR_MS = 365 * 86_400_000


@pytest.fixture(scope="module")
def chain(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    chain = start(stack, tmp_path_factory.mktemp("bad"))
    yield chain
    chain.fleet.stop()


UNREADABLE = {
    "no format at all": b"\x17\x00\x01garbage",
    "broken JSON": b'{"deployment": "loans", "association_id": ',
    "two objects in one value": b'{"deployment": "loans"},{"deployment": "loans"}',
    "an unknown schema id": b"\x00\x7f\xff\xff\xff" + b"\x02a" * 20,
    "only a frame": b"\x00",
    "nothing": b"",
    "JSON that is no request": b"{}",
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_becomes_one_dead_letter(chain: Chain, case: str) -> None:
    key = f"dead {case}"
    chain.send(Topic.REQUESTS, key, UNREADABLE[case])
    chain.ask(f"after {case}")
    (letter,) = chain.dead_letters(key.encode(), len(UNREADABLE[case]))
    assert letter.value == UNREADABLE[case]
    assert letter.topic == "requests"
    (neighbour,) = chain.predictions(f"after {case}")
    assert neighbour["error_kind"] is None


def test_a_request_without_a_key_is_a_dead_letter(chain: Chain) -> None:
    body = json.dumps(chain.request("keyless")).encode()
    chain.send(Topic.REQUESTS, None, body)
    (letter,) = chain.dead_letters(None, len(body))
    assert letter.reason == "no key"


def test_a_key_of_two_kilobytes_is_a_dead_letter(chain: Chain) -> None:
    key = "k" * 2048
    body = json.dumps(chain.request(key)).encode()
    chain.send(Topic.REQUESTS, key, body)
    (letter,) = chain.dead_letters(key.encode(), len(body))
    assert letter.reason == "key too long"


def test_a_value_of_two_megabytes_is_a_dead_letter_of_64_kilobytes(chain: Chain) -> None:
    body = b'{"deployment": "loans", "x": "' + b"x" * (2 << 20) + b'"}'
    chain.send(Topic.REQUESTS, "huge", body)
    (letter,) = chain.dead_letters(b"huge", len(body))
    assert (letter.reason, len(letter.value)) == ("too large", 64 << 10)


def test_a_truncated_value_does_not_shift_its_neighbours(chain: Chain) -> None:
    deployment = chain.views().deployments()["loans"]
    contract = request_contract(deployment)
    cut = avro(contract, chain.request("cut"))[:-9]
    chain.send(Topic.REQUESTS, "whole-1", avro(contract, chain.request("whole-1")))
    chain.send(Topic.REQUESTS, "cut", cut)
    chain.send(Topic.REQUESTS, "whole-2", avro(contract, chain.request("whole-2")))
    assert len(chain.dead_letters(b"cut", len(cut))) == 1
    assert [row["error_kind"] for row in chain.predictions("whole-1", "whole-2")] == [None, None]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "absent": ({"features": {"amount": "absent"}}, "missing_feature"),
    "null": ({"features": {"amount": None}}, "missing_feature"),
    "mistyped": ({"features": {"amount": "much"}}, "wrong_type"),
    "infinite": ({"features": {"amount": 1e999}}, "not_finite"),
    "unknown": ({"deployment": "nobody"}, "unknown_deployment"),
    "past": ({"timestamp": -2 * YEAR_MS}, "bad_time"),
    "future": ({"timestamp": +2 * YEAR_MS}, "bad_time"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_scored_is_one_typed_data_error(chain: Chain, case: str) -> None:
    changed, code = REFUSED[case]
    changed = dict(changed)
    if "timestamp" in changed:
        changed["timestamp"] += chain.now_ms
    body = json.dumps(chain.request(f"bad {case}", **changed)).replace("Infinity", "1e999").encode()
    chain.send(Topic.REQUESTS, f"bad {case}", body)
    chain.ask(f"beside {case}")
    (answer,) = chain.predictions(f"bad {case}")
    assert (answer["error_kind"], answer["error_code"]) == ("data", code)
    assert answer["error_message"]
    assert answer["value"] is None
    (neighbour,) = chain.predictions(f"beside {case}")
    assert neighbour["error_kind"] is None


def test_a_key_that_is_not_the_association_id_is_a_data_error(chain: Chain) -> None:
    chain.send(Topic.REQUESTS, "the key", chain.request("another id"))

    def found() -> list[dict[str, Any]] | None:
        answers = chain.frame(Topic.PREDICTIONS).filter(pl.col("error_code") == "key_mismatch")
        return answers.to_dicts() or None

    assert len(chain.wait(found)) == 1


@pytest.mark.parametrize(
    "features", [{"age": None}, {"age": "absent"}, {"shoe_size": 44}], ids=["null", "absent", "extra"]
)
def test_missing_where_it_may_be_and_extra_features_are_scored(chain: Chain, features: dict[str, Any]) -> None:
    name = f"fine {next(iter(features.items()))}"
    chain.send(Topic.REQUESTS, name, chain.request(name, features=features))
    (answer,) = chain.predictions(name)
    assert answer["error_kind"] is None
    assert 0 < answer["value"] < 1


def test_a_number_that_is_none_is_refused_where_one_must_be_and_missing_where_it_may(chain: Chain) -> None:
    contract = request_contract(chain.views().deployments()["loans"])  # JSON has no NaN
    for name, feature in (("nan required", "amount"), ("nan nullable", "age")):
        body = avro(contract, chain.request(name, features={feature: float("nan")}))
        chain.send(Topic.REQUESTS, name, body)
    refused, scored = (chain.predictions(name)[0] for name in ("nan required", "nan nullable"))
    assert (refused["error_kind"], refused["error_code"], refused["value"]) == ("data", "missing_feature", None)
    assert scored["error_kind"] is None
    chain.send(Topic.REQUESTS, "null", avro(contract, chain.request("null", features={"age": None})))
    assert scored["value"] == chain.predictions("null")[0]["value"]


def test_another_partitioner_is_joined_all_the_same(chain: Chain) -> None:
    ids = [f"elsewhere-{number}" for number in range(30)]
    careless = Producer(chain.connection.config | {"partitioner": "consistent_random"})
    for one in ids:
        chain.send(Topic.REQUESTS, one, chain.request(one), producer=careless)
        actual = {"deployment": "loans", "association_id": one, "timestamp": chain.now_ms + 5, "value": "yes"}
        chain.send(Topic.ACTUALS, one, actual, producer=careless)
    count = chain.connection.layout.partitions
    right = dict(zip(ids, partitions_of([one.encode() for one in ids], count).tolist(), strict=True))
    astray = [
        m for m in chain.read(Topic.ACTUALS) if m.partition() != right.get((m.key() or b"").decode(), m.partition())
    ]
    assert astray, "the test means nothing if all keys are where they belong"

    def joined() -> bool:
        told = chain.frame(Topic.OUTCOMES).filter(pl.col("association_id").is_in(ids))
        matched = told.filter(pl.col("kind") == "matched")
        rejoined = told.filter(pl.col("kind") == "withdrawn")  # to be matched again, with one model more
        assert set(matched["label"]) <= {"yes"}
        assert set(rejoined["reason"]) <= {"rejoined"}
        models = [int(frame["predictions"].list.len().sum()) for frame in (matched, rejoined)]
        return models[0] - models[1] == 3 * len(ids)

    chain.wait(joined)  # all three models, at once or as they come
    assert "partitioner" in (chain.logs / "joiner-1.log").read_text()


def test_a_stream_with_ten_per_cent_poison_is_answered_record_for_record(chain: Chain) -> None:
    rng = random.Random(11)
    good, bad = [], []
    for number in range(2_000):
        name = f"poison-{number}"
        if rng.random() < 0.1:
            bad.append(name)
            body = rng.randbytes(rng.randint(1, 200))
            chain.producer.produce(chain.connection.layout.name(Topic.REQUESTS), b"\x01" + body, name)
        else:
            good.append(name)
            chain.producer.produce(chain.connection.layout.name(Topic.REQUESTS), json.dumps(chain.request(name)), name)
    chain.producer.flush(30)
    answers = chain.predictions(*good)
    assert {row["error_kind"] for row in answers} == {None}
    chain.predictions(*good, topic=Topic.SHADOW_PREDICTIONS, each=2)

    def letters() -> list[bytes] | None:
        keys = [letter.key for letter in chain.letters() if letter.key and letter.key.startswith(b"poison-")]
        return keys if len(keys) >= len(bad) else None

    assert sorted(chain.wait(letters)) == sorted(name.encode() for name in bad)


def test_nothing_was_restarted(chain: Chain) -> None:
    assert chain.exits() == {}
