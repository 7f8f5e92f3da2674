import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Prints every record of each topic that a line of its input names: partition, offset, timestamp, key, value, headers;
 * contents in Base64, null as '-'. Then a line "end".
 */
public class Reader {
    static String show(byte[] bytes) {
        return bytes == null ? "-" : "=" + Base64.getEncoder().encodeToString(bytes);
    }

    public static void main(String[] args) throws Exception {
        BufferedReader topics = new BufferedReader(new InputStreamReader(System.in));
        for (String topic; (topic = topics.readLine()) != null; ) {
            System.out.print(read(args[0], topic));
            System.out.println("end");
            System.out.flush();
        }
    }

    static StringBuilder read(String bootstrap, String topic) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("enable.auto.commit", "false");
        p.put("isolation.level", "read_committed");
        StringBuilder out = new StringBuilder();
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (PartitionInfo info : consumer.partitionsFor(topic)) {
                partitions.add(new TopicPartition(info.topic(), info.partition()));
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(at -> consumer.position(at) < ends.get(at))) {
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200))) {
                    out.append(r.partition()).append(' ').append(r.offset()).append(' ').append(r.timestamp())
                        .append(' ').append(show(r.key())).append(' ').append(show(r.value()));
                    for (Header h : r.headers()) {
                        out.append(' ').append(show(h.key().getBytes(java.nio.charset.StandardCharsets.UTF_8)))
                            .append(' ').append(show(h.value()));
                    }
                    out.append('\n');
                }
            }
        }
        return out;
    }
}
