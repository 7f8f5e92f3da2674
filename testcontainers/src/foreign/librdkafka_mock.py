"""librdkafka's mock cluster, as users of confluent-kafka test with it: prints its brokers, and ends with its standard
input."""
import sys

from confluent_kafka import Producer

producer = Producer({"test.mock.num.brokers": int(sys.argv[1]), "bootstrap.servers": "unused"})
brokers = producer.list_topics(timeout=30).brokers.values()
for topic in sys.argv[2:]:
    producer.list_topics(topic, timeout=30)  # creates it
print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
sys.stdin.read()
