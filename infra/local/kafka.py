"""One Kafka broker, its own controller, tuned for a small machine: ready in 2 to 3 s, about 240 MB.

Every setting was needed or measured: `broker_config` says what for.
"""

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.local import jars, java, places, processes
from infra.local.errors import StackError
from infra.local.plan import Plan

NAME = "kafka"
READY_S, FORMAT_S = 60.0, 60.0
LOGGING = Path(__file__).with_name("log4j2.properties")
# 4 MiB, the largest record a topic may hold, plus what Kafka adds to a batch
MESSAGE_MAX_BYTES = 4 * 2**20 + 64 * 2**10


def broker_config(plan: Plan, folder: Path) -> str:
    """The `server.properties` of a node that is broker and controller in one."""
    return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{plan.controller_port}
listeners=PLAINTEXT://127.0.0.1:{plan.kafka_port},CONTROLLER://127.0.0.1:{plan.controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{plan.kafka_port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/data

# there is one node: no topic can have more copies
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
default.replication.factor=1
min.insync.replicas=1

# fifty partitions for each of the internal topics are for large clusters; here they cost memory and start-up time
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
num.partitions=4
log.cleaner.dedupe.buffer.size=4194304
log.index.size.max.bytes=1048576

# topics have a layout that `topics` creates and workers check: a misspelt name must not become a topic
auto.create.topics.enable=false
message.max.bytes={MESSAGE_MAX_BYTES}

# a transaction whose worker died holds up readers until its timeout and the next sweep (10 s by default)
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# after a week at rest (the default) a role would not know any more where it stood
offsets.retention.minutes=5256000
# the first worker of a group need not wait 3 s for others
group.initial.rebalance.delay.ms=0
# a broker killed and started again is let in when its old session has ended (9 s by default)
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


def start(state: Path, plan: Plan, *, report: Callable[[str], None]) -> None:
    """Start the broker unless it runs, and wait until it answers."""
    began = time.monotonic()
    if processes.alive(state, NAME) is not None:
        _wait(plan, child=None)
        return
    config = _format(state / NAME, plan)
    main = [f"-Dlog4j2.configurationFile={LOGGING}", "-cp", jars.class_path(), "kafka.Kafka", str(config)]
    crash = f"-XX:ErrorFile={state}/kafka-crash-%p.log"  # else it lands in the user's working directory
    _wait(plan, processes.spawn(state, NAME, [*java.command(), java.heap(), crash, *main]))
    report(f"kafka: ready in {time.monotonic() - began:.1f} s on {plan.bootstrap}")


def _format(folder: Path, plan: Plan) -> Path:
    """Write the configuration (ports may have moved) and, once, the cluster ID into the data folder."""
    places.make_private(folder)
    config = folder / "server.properties"
    places.write_private(config, broker_config(plan, folder))
    if not (folder / "data/meta.properties").exists():
        tool = ["kafka.tools.StorageTool", "format", "--cluster-id", plan.cluster_id, "--config", str(config)]
        command = [*java.command(), "-cp", jars.class_path(), *tool]
        said = subprocess.run(command, capture_output=True, text=True, timeout=FORMAT_S, check=False)
        if said.returncode:
            raise StackError(f"Kafka's storage cannot be formatted:\n  {(said.stdout + said.stderr)[-600:]}")
    return config


def _wait(plan: Plan, child: processes.Started | None) -> None:
    """Ready: the broker is in the metadata of *our* cluster. An open port comes 0.1 s too early, or is another's."""
    ends = time.monotonic() + READY_S
    while time.monotonic() < ends:
        if child is not None:
            child.check()
        if _answers(plan):
            return
        time.sleep(0.05)
    raise StackError(f"Kafka is not ready after {READY_S:.0f} s; its log may say why")


def _answers(plan: Plan) -> bool:
    try:
        # spares librdkafka's back-off: it hears of the broker only when the port is open
        socket.create_connection(("127.0.0.1", plan.kafka_port), 0.2).close()
        seen = AdminClient({"bootstrap.servers": plan.bootstrap, "log_level": 0}).list_topics(timeout=1)
    except (OSError, KafkaException):
        return False
    return bool(seen.brokers) and seen.cluster_id == plan.cluster_id
