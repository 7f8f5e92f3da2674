import java.lang.management.ManagementFactory;
import java.util.*;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The Java producer. Arguments as in ../src/lib.rs. */
public class Flood {
    static double cpu() {
        var os = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return os.getProcessCpuTime() / 1e9;
    }

    static double rssMb() throws Exception {
        for (String line : java.nio.file.Files.readAllLines(java.nio.file.Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM")) {
                return Double.parseDouble(line.split("\\s+")[1]) / 1024;
            }
        }
        return 0;
    }

    public static void main(String[] a) throws Exception {
        boolean latency = a[0].equals("latency");
        int records = Integer.parseInt(a[3]), size = Integer.parseInt(a[4]);
        int partitions = Integer.parseInt(a[5]), topics = Integer.parseInt(a[6]), perTopic = partitions / topics;
        // As in the Rust programs: with a codec none comes again within 8 MB.
        int count = 64;
        while (!a[7].equals("none") && count * size < 8_000_000) {
            count *= 2;
        }
        byte[][] payloads = new byte[count][];
        for (int n = 0; n < payloads.length; n++) {
            long seed = n * 0x9e3779b97f4a7c15L | 1;
            StringBuilder text = new StringBuilder("{");
            while (text.length() < size) {
                seed ^= seed << 13;
                seed ^= seed >>> 7;
                seed ^= seed << 17;
                text.append("\"id\":").append(Long.toUnsignedString(seed))
                    .append(",\"event\":\"page_view\",\"country\":\"DE\",\"ok\":true,");
            }
            payloads[n] = text.substring(0, size).getBytes();
        }
        Properties p = new Properties();
        p.put("bootstrap.servers", a[1]);
        p.put("acks", "all");
        p.put("enable.idempotence", a[8]);
        p.put("max.in.flight.requests.per.connection", "5");
        p.put("linger.ms", latency ? "0" : "5");
        p.put("batch.size", "262144");
        p.put("max.request.size", "1048576");
        p.put("buffer.memory", "33554432");
        p.put("compression.type", a[7]);
        String ca = System.getenv("PEERS_CA");
        if (ca != null) {
            p.put("security.protocol", "SSL");
            p.put("ssl.truststore.type", "PEM");
            p.put("ssl.truststore.location", ca);
        }
        java.util.function.IntFunction<ProducerRecord<byte[], byte[]>> record = n -> {
            int turn = n % partitions;
            return new ProducerRecord<>(a[2] + "-" + turn / perTopic, turn % perTopic, null, payloads[n & (payloads.length - 1)]);
        };
        long nanos = (long) (Double.parseDouble(a[9]) * 1e9);
        int threads = Integer.parseInt(a[10]);
        List<KafkaProducer<byte[], byte[]>> producers = new ArrayList<>();
        for (int i = 0; i < Integer.parseInt(a[11]); i++) {
            var producer = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
            for (int n = 0; n < partitions; n++) {
                producer.send(record.apply(n)).get();
            }
            producers.add(producer);
        }
        if (latency) {
            long[] times = new long[records];
            for (int n = 0; n < records; n++) {
                long started = System.nanoTime();
                producers.get(0).send(record.apply(n)).get();
                times[n] = System.nanoTime() - started;
            }
            Arrays.sort(times);
            System.out.printf(Locale.ROOT, "{\"p50_us\":%f,\"p99_us\":%f,\"failed\":0,\"counts\":[%d]}%n",
                times[records / 2] / 1e3, times[(int) ((records - 1) * 0.99)] / 1e3, records);
            return;
        }
        AtomicLong failed = new AtomicLong();
        Callback callback = (metadata, error) -> {
            if (error != null) {
                failed.incrementAndGet();
            }
        };
        double cpu = cpu();
        long started = System.nanoTime();
        long[] counts = new long[threads];
        List<Thread> running = new ArrayList<>();
        for (int t = 0; t < threads; t++) {
            int thread = t;
            var producer = producers.get(t % producers.size());
            running.add(new Thread(() -> {
                int n = 0;
                while (n % 1024 != 0 || System.nanoTime() - started < nanos) {
                    producer.send(record.apply(n++), callback);
                }
                counts[thread] = n;
            }));
        }
        for (Thread thread : running) {
            thread.start();
        }
        for (Thread thread : running) {
            thread.join();
        }
        for (var producer : producers) {
            producer.flush();
        }
        double seconds = (System.nanoTime() - started) / 1e9;
        double sent = Arrays.stream(counts).sum();
        System.out.printf(Locale.ROOT,
            "{\"records_per_s\":%f,\"cpu_us\":%f,\"rss_mb\":%f,\"failed\":%d,\"seconds\":%f,\"counts\":%s}%n",
            sent / seconds, (cpu() - cpu) * 1e6 / sent, rssMb(), failed.get(), seconds, Arrays.toString(counts));
    }
}
