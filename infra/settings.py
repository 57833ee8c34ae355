"""What an installation decides: where Kafka and Redis are, names, sizes, secrets.

Three sources, the later wins: defaults, a TOML file, the environment. All use one vocabulary: `redis_url` in the file
is `WATCHKEEPER_REDIS_URL` in the environment, `kafka.sasl.password` is `WATCHKEEPER_KAFKA_SASL_PASSWORD`,
`gather_ms.scorer` is `WATCHKEEPER_GATHER_MS_SCORER`. The file is the one that `WATCHKEEPER_CONFIG` names, or
`watchkeeper.toml` in the working directory if it is there.

- A name that is not known is an error, not silence: a misspelt setting would be a default in production.
- A secret can come from a file, as orchestrators mount them: `WATCHKEEPER_REDIS_URL_FILE` names it, and so does
  `WATCHKEEPER_KAFKA_SASL_PASSWORD_FILE`.
- No secret is shown by `repr`.
- Properties of librdkafka that exactly-once processing rests on belong to the engine and are refused.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from infra.local import stack

PREFIX: Final = "WATCHKEEPER_"
CONFIG: Final = "WATCHKEEPER_CONFIG"
DEFAULT_FILE: Final = Path("watchkeeper.toml")

# the scorer answers at once; the others gather, or five roles committing at once would slow it down
GATHER_MS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "scorer": 0,
        "shadow": 100,
        "joiner": 100,
        "observer": 100,
        "evaluator": 100,
        "governor": 100,
        "notifier": 100,
        "projector": 100,
    }
)
PLAIN: Final = (
    *("HOME", "BROKERS", "REDIS_URL", "PREFIX", "PARTITIONS", "REPLICATION", "ARTIFACTS", "BATCH_ROWS"),
    "STANDBY",
)
STANDBY: Final = ("none", "all")
# read where they are used: by `load` itself and by the local stack
ENVIRONMENT_ONLY: Final = frozenset({"CONFIG", "JAVA", "KAFKA_HEAP", "FAIL_POINT"})
# exactly-once processing rests on these, so that they are the engine's (ARCHITECTURE.md, section 2)
OWNED: Final = frozenset(
    {
        "auto.offset.reset",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "enable.partition.eof",
        "group.id",
        "group.instance.id",
        "isolation.level",
        "partition.assignment.strategy",
        "partitioner",
        "transactional.id",
        "transaction.timeout.ms",
    }
)
SECRET_WORDS: Final = frozenset({"password", "secret", "passphrase", "pem", "token"})
SECRET_PROPERTIES: Final = frozenset({"sasl.oauthbearer.config"})
# leaves room for topic, "-changelog" and version below Kafka's 249 characters
PREFIX_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


class SettingsError(ValueError):
    """A setting is wrong; the message is a sentence that names it."""


class NotRunningError(SettingsError):
    """No servers are set, so that the local stack is meant, and it does not run."""


class Secret(str):
    """A string that `repr` does not show; use it as any string where it is needed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


NOTHING: Final = Secret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One installation. `load` makes it; tests make it by hand.

    `brokers` and `redis_url` are empty when the local stack in `home` is meant. `kafka` has further librdkafka
    properties (the secret ones as `Secret`). `gather_ms` is how long each role gathers records for a batch,
    `batch_rows` how many at most. With `standby` each worker keeps a copy of the tables of its whole role.
    `replication` is the number of copies that topics are created with.
    """

    home: Path = Path(".watchkeeper")
    brokers: str = ""
    redis_url: Secret = NOTHING
    prefix: str = "watchkeeper"
    partitions: int = 6
    replication: int = 1
    artifacts: Path = Path(".watchkeeper/artifacts")
    kafka: Mapping[str, str] = field(default_factory=dict)
    gather_ms: Mapping[str, int] = field(default_factory=lambda: GATHER_MS)
    batch_rows: int = 5000
    standby: bool = False

    def kafka_config(self) -> dict[str, str]:
        """What every librdkafka client shares; `NotRunningError` when the local stack is meant and does not run."""
        return {**self.kafka, "bootstrap.servers": self.brokers or self._local().kafka}

    def redis_address(self) -> Secret:
        """A `redis://` address with its password; `NotRunningError` when the local stack is meant and does not run."""
        return self.redis_url or Secret(self._local().redis_url)

    def _local(self) -> stack.Stack:
        if (running := stack.find(self.home)) is None:
            raise NotRunningError(
                f"No local stack runs in {self.home}: start it with `watchkeeper up`, "
                "or name your servers in WATCHKEEPER_BROKERS and WATCHKEEPER_REDIS_URL."
            )
        return running


def load(environ: Mapping[str, str], *, file: Path | None = None) -> Settings:
    """Read the settings. `file` (from a command-line option) comes before WATCHKEEPER_CONFIG.

    Raises `SettingsError`: an unknown or doubly given name, a value out of its range, a file that cannot be read.
    """
    given = _from_file(_config_file(environ, file)) | _from_environment(environ)
    home = Path(given.get("HOME") or ".watchkeeper")
    return Settings(
        home=home,
        brokers=given.get("BROKERS", ""),
        redis_url=Secret(given.get("REDIS_URL", "")),
        prefix=_prefix(given.get("PREFIX") or "watchkeeper"),
        partitions=_whole(given, "PARTITIONS", default=6, least=1),
        replication=_whole(given, "REPLICATION", default=1, least=1),
        artifacts=Path(given.get("ARTIFACTS") or home / "artifacts"),
        kafka=MappingProxyType(dict(_kafka_properties(given))),
        gather_ms=MappingProxyType(
            {
                role: _whole(given, f"GATHER_MS_{role.upper()}", default=usual, least=0)
                for role, usual in GATHER_MS.items()
            }
        ),
        batch_rows=_whole(given, "BATCH_ROWS", default=5000, least=1),
        standby=_standby(given.get("STANDBY") or STANDBY[0]),
    )


def is_secret(kafka_property: str) -> bool:
    """Whether the value of a librdkafka property must not be shown.

    >>> is_secret("sasl.password"), is_secret("ssl.ca.location")
    (True, False)
    """
    return kafka_property in SECRET_PROPERTIES or not SECRET_WORDS.isdisjoint(kafka_property.split("."))


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    ours = {name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX)}
    for_settings = {name: value for name, value in ours.items() if name not in ENVIRONMENT_ONLY}
    return _checked(for_settings, shown=lambda name: PREFIX + name)


def _from_file(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"The settings file {file} cannot be read: {error}.") from error
    given = {path.replace(".", "_").upper(): value for path, value in _flat(content)}
    return _checked(given, shown=lambda name: f"{name.lower()} in {file}")


def _config_file(environ: Mapping[str, str], file: Path | None) -> Path | None:
    if file is None and environ.get(CONFIG):
        return Path(environ[CONFIG])
    return file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)


def _checked(given: Mapping[str, str], *, shown: Callable[[str], str]) -> dict[str, str]:
    """Every name is known, and secrets that are in files are read."""
    checked: dict[str, str] = {}
    for name, value in given.items():
        plain = name.removesuffix("_FILE")
        from_file = plain != name and _may_be_file(plain)
        if not from_file and not _known(name):
            raise SettingsError(_unknown(name, shown))
        if from_file and plain in given:
            raise SettingsError(f"Both {shown(plain)} and {shown(name)} are set: keep one.")
        checked[plain if from_file else name] = _secret_file(shown(name), value) if from_file else value
    return checked


def _known(name: str) -> bool:
    return name in PLAIN or name in _gather_names() or name.startswith("KAFKA_")


def _may_be_file(name: str) -> bool:
    """Only secrets: some properties of librdkafka end in "file" themselves."""
    return name == "REDIS_URL" or (name.startswith("KAFKA_") and is_secret(_property(name)))


def _unknown(name: str, shown: Callable[[str], str]) -> str:
    known = [*PLAIN, *_gather_names(), "REDIS_URL_FILE", *sorted(ENVIRONMENT_ONLY)]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {shown(near[0])}?" if near else f"known are {', '.join(map(shown, sorted(PLAIN)))}."
    return f"{shown(name)} is not a setting; {hint}"


def _gather_names() -> list[str]:
    return [f"GATHER_MS_{role.upper()}" for role in GATHER_MS]


def _secret_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{name} names a file that cannot be read: {error}.") from error


def _kafka_properties(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        if not name.startswith("KAFKA_"):
            continue
        kafka_property = _property(name)
        if kafka_property == "bootstrap.servers":
            raise SettingsError(f"Kafka's servers are set by {PREFIX}BROKERS, not as a property of librdkafka.")
        if kafka_property in OWNED:
            raise SettingsError(
                f"The Kafka property {kafka_property} is the engine's: exactly-once processing rests on it."
            )
        yield kafka_property, Secret(value) if is_secret(kafka_property) else value


def _property(name: str) -> str:
    return name.removeprefix("KAFKA_").replace("_", ".").lower()


def _prefix(value: str) -> str:
    if not PREFIX_PATTERN.fullmatch(value):
        raise SettingsError(
            f"{PREFIX}PREFIX is {value!r}: use up to 100 of a-z, 0-9, dot, hyphen, underscore; a letter or digit first."
        )
    return value


def _standby(value: str) -> bool:
    if value not in STANDBY:
        raise SettingsError(f"{PREFIX}STANDBY is {value!r}: use {' or '.join(STANDBY)}.")
    return value == STANDBY[1]


def _whole(given: Mapping[str, str], name: str, *, default: int, least: int) -> int:
    text = given.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise SettingsError(f"{PREFIX}{name} is {text!r}: use a whole number from {least} on.")
    return int(text)


def _flat(table: Mapping[str, object], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        match value:
            case dict():
                yield from _flat(value, f"{path}{key}.")
            case bool():
                yield path + key, str(value).lower()
            case str() | int() | float():
                yield path + key, str(value)
            case _:
                raise SettingsError(f"The setting {path}{key} is neither text nor a number.")
