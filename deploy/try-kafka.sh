#!/bin/sh
# UNTRIED: written for a real broker, and not run yet. The tests of the project use the mock cluster of librdkafka.
#
# Starts Kafka in Docker, writes N messages, kills `motet stream in` by kill -9 in the middle, restarts broker and
# reader, and compares the store with what was written. Needs docker, python3 and motet[streams].
#   deploy/try-kafka.sh [N]
set -eu
count=${1:-20000}
folder=$(mktemp -d)
name=motet-try-kafka
kafka() { docker exec -i "$name" "/opt/kafka/bin/$@"; }
trap 'docker rm -f "$name" >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT

docker run -d --name "$name" -p 127.0.0.1:9092:9092 apache/kafka:3.9.0 >/dev/null
until kafka kafka-topics.sh --bootstrap-server localhost:9092 --list >/dev/null 2>&1; do sleep 1; done
for topic in clicks clicks.dead events; do
  kafka kafka-topics.sh --bootstrap-server localhost:9092 --create --topic "$topic" --partitions 3
done
python3 - "$count" <<'PYTHON' | kafka kafka-console-producer.sh --bootstrap-server localhost:9092 --topic clicks
import json, sys
for k in range(int(sys.argv[1])):
    print(json.dumps({"type": "click", "user": f"u{k % 97}", "item": f"i{k}"}))
print("no json")
PYTHON

store=$folder/store.sqlite
python3 -c "import sys; from motet.service.store import Store; Store(sys.argv[1]).close()" "$store"
read_topic() { exec motet stream in --store "$store" --from "kafka://localhost:9092/clicks?group=try" "$@"; }

(read_topic --batch 50) & reader=$!
sleep 5
kill -9 "$reader"
(read_topic --batch 50) & reader=$!
sleep 3
docker stop "$name" >/dev/null   # the reader says that it waits
sleep 5
docker start "$name" >/dev/null
sleep 20
kill "$reader"; wait "$reader"
(read_topic --once)
motet stream out --store "$store" --to kafka://localhost:9092/events --once

python3 - "$store" "$count" <<'PYTHON'
import sys
from collections import Counter
from motet.service.store import Store
with Store(sys.argv[1]) as store:
    found, last = Counter(), 0
    while events := store.events.after(last, 10_000):
        found.update(event.item for event in events)
        last = events[-1].seq
wanted = Counter(f"i{k}" for k in range(int(sys.argv[2])))
print(f"{sum(found.values()):,} events, {(wanted - found).total():,} lost, {(found - wanted).total():,} twice")
sys.exit(found != wanted)
PYTHON
echo "dead letters (1 expected, more only after a kill):"
kafka kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic clicks.dead --from-beginning --timeout-ms 5000
