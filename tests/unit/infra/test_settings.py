from pathlib import Path

import pytest

from infra.settings import GATHER_MS, Secret, Settings, SettingsError, load


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no watchkeeper.toml of the developer's


def test_without_any_source_the_defaults_hold() -> None:
    assert load({"PATH": "/bin"}) == Settings()


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text('prefix = "from-file"\npartitions = 12\n[gather_ms]\njoiner = 5\n')
    settings = load({"WATCHKEEPER_CONFIG": str(file), "WATCHKEEPER_PREFIX": "from-environment"})
    assert (settings.prefix, settings.partitions, settings.batch_rows) == ("from-environment", 12, 5000)
    assert settings.gather_ms == {**GATHER_MS, "joiner": 5}


def test_standby_is_all_or_none_and_nothing_else() -> None:
    assert [load({"WATCHKEEPER_STANDBY": word}).standby for word in ("none", "all")] == [False, True]
    with pytest.raises(SettingsError, match="WATCHKEEPER_STANDBY is 'some': use none or all"):
        load({"WATCHKEEPER_STANDBY": "some"})


def test_a_file_in_the_working_directory_is_read_without_being_named(tmp_path: Path) -> None:
    (tmp_path / "watchkeeper.toml").write_text('home = "elsewhere"')
    assert load({}).artifacts == Path("elsewhere/artifacts")


def test_a_file_named_by_the_caller_comes_before_the_one_named_by_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("replication = 3")
    assert load({"WATCHKEEPER_CONFIG": "/nowhere.toml"}, file=file).replication == 3


def test_properties_of_librdkafka_pass_through_from_both_sources(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('brokers = "one:9092"\n[kafka]\nsecurity.protocol = "SASL_SSL"\n"socket.keepalive.enable" = true\n')
    settings = load({"WATCHKEEPER_KAFKA_SASL_USERNAME": "wk"}, file=file)
    assert settings.kafka_config() == {
        "bootstrap.servers": "one:9092",
        "security.protocol": "SASL_SSL",
        "socket.keepalive.enable": "true",
        "sasl.username": "wk",
    }


def test_secrets_come_from_files_and_lose_the_newline_that_editors_add(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://:pass@cache/0\n")
    (tmp_path / "password").write_text("hunter2\n")
    settings = load(
        {
            "WATCHKEEPER_REDIS_URL_FILE": str(tmp_path / "url"),
            "WATCHKEEPER_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "password"),
        }
    )
    assert settings.redis_address() == "redis://:pass@cache/0"
    assert settings.kafka["sasl.password"] == "hunter2"


def test_a_property_that_ends_in_file_and_is_no_secret_is_passed_on_as_it_is() -> None:
    name = "WATCHKEEPER_KAFKA_SASL_OAUTHBEARER_ASSERTION_JWT_TEMPLATE_FILE"
    assert load({name: "/x"}).kafka == {"sasl.oauthbearer.assertion.jwt.template.file": "/x"}


def test_repr_shows_no_secret() -> None:
    settings = load(
        {
            "WATCHKEEPER_REDIS_URL": "redis://:hunter1@cache/0",
            "WATCHKEEPER_KAFKA_SASL_PASSWORD": "hunter2",
            "WATCHKEEPER_KAFKA_SSL_KEY_PEM": "hunter3",
            "WATCHKEEPER_KAFKA_SASL_USERNAME": "shown",
            "WATCHKEEPER_BROKERS": "one:9092",
        }
    )
    assert "hunter" not in repr(settings)
    assert "hunter" not in repr(settings.kafka_config())
    assert "hunter" not in repr(settings.redis_address())
    assert "shown" in repr(settings)


def test_a_secret_is_a_string_where_it_is_needed() -> None:
    assert "".join([Secret("a"), "b"]) == "ab"


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"WATCHKEEPER_BROKER": "x"}, "WATCHKEEPER_BROKER is not a setting; did you mean WATCHKEEPER_BROKERS?"),
        ({"WATCHKEEPER_GATHER_MS_SCORRER": "1"}, "did you mean WATCHKEEPER_GATHER_MS_SCORER?"),
        ({"WATCHKEEPER_QQQ": "x"}, "WATCHKEEPER_QQQ is not a setting; known are WATCHKEEPER_ARTIFACTS, "),
        ({"WATCHKEEPER_PREFIX_FILE": "x"}, "WATCHKEEPER_PREFIX_FILE is not a setting"),
        ({"WATCHKEEPER_PARTITIONS": "0"}, "WATCHKEEPER_PARTITIONS is '0': use a whole number from 1 on."),
        ({"WATCHKEEPER_BATCH_ROWS": "1e3"}, "WATCHKEEPER_BATCH_ROWS is '1e3'"),
        ({"WATCHKEEPER_PARTITIONS": "²"}, "WATCHKEEPER_PARTITIONS is"),
        ({"WATCHKEEPER_PREFIX": "no spaces"}, "WATCHKEEPER_PREFIX is 'no spaces'"),
        ({"WATCHKEEPER_KAFKA_BOOTSTRAP_SERVERS": "x"}, "set by WATCHKEEPER_BROKERS"),
        ({"WATCHKEEPER_KAFKA_ISOLATION_LEVEL": "x"}, "isolation.level is the engine's"),
        ({"WATCHKEEPER_REDIS_URL": "a", "WATCHKEEPER_REDIS_URL_FILE": "b"}, "are set: keep one"),
        ({"WATCHKEEPER_REDIS_URL_FILE": "/nowhere"}, "WATCHKEEPER_REDIS_URL_FILE names a file that cannot be read"),
        ({"WATCHKEEPER_CONFIG": "/nowhere.toml"}, "The settings file /nowhere.toml cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as error:
        load(environ)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("partition = 3", "partition in mine.toml is not a setting; did you mean partitions in mine.toml?"),
        ("brokers = ['a', 'b']", "The setting brokers is neither text nor a number."),
        ("not toml", "The settings file mine.toml cannot be read"),
    ],
)
def test_a_mistake_in_the_file_is_found_too(content: str, sentence: str) -> None:
    Path("mine.toml").write_text(content)
    with pytest.raises(SettingsError) as error:
        load({}, file=Path("mine.toml"))
    assert sentence in str(error.value)


def test_names_that_the_local_stack_reads_are_known() -> None:
    assert load({"WATCHKEEPER_JAVA": "/usr/bin/java", "WATCHKEEPER_KAFKA_HEAP": "1g"}) == Settings()


def test_without_servers_and_without_a_local_stack_the_way_out_is_named() -> None:
    with pytest.raises(SettingsError, match="watchkeeper up"):
        Settings().kafka_config()
    with pytest.raises(SettingsError, match="WATCHKEEPER_REDIS_URL"):
        Settings().redis_address()
