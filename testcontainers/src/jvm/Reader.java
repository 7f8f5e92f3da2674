import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Prints every record of a topic: partition, offset, timestamp, key, value, headers; contents in Base64, null as '-'. */
public class Reader {
    static String show(byte[] bytes) {
        return bytes == null ? "-" : "=" + Base64.getEncoder().encodeToString(bytes);
    }

    public static void main(String[] args) {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("enable.auto.commit", "false");
        p.put("isolation.level", "read_committed");
        StringBuilder out = new StringBuilder();
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (PartitionInfo info : consumer.partitionsFor(args[1])) {
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
        System.out.print(out);
        System.out.flush();
    }
}
