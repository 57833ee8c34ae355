"""A real Kafka broker and a real Redis on a machine that has neither Java nor Docker.

Both listen on loopback only, without TLS: for the demo, for development and for tests, never for production. All that a
stack writes (data, logs, pids, ports, the Redis password) is in one folder that only its owner can read.
"""
