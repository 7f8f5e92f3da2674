import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;

/**
 * Prints requests as Apache Kafka 4.4.0 writes them, header and body in hexadecimal: {@code name,version,bytes}.
 *
 * <pre>java -cp kafka-clients-4.4.0.jar:slf4j-api-1.7.36.jar Golden.java > requests.csv</pre>
 */
class Golden {
    public static void main(String[] args) {
        for (short version = 0; version <= 4; version++) {
            var asked = new ApiVersionsRequestData();
            if (version >= 3) {
                asked.setClientSoftwareName("shop").setClientSoftwareVersion("1.2");
            }
            print(ApiKeys.API_VERSIONS, version, asked);
        }
        for (short version = 4; version <= 13; version++) {
            var topic = new MetadataRequestData.MetadataRequestTopic().setName("orders");
            print(ApiKeys.METADATA, version,
                new MetadataRequestData().setTopics(List.of(topic)).setAllowAutoTopicCreation(true));
        }
        for (short version = 0; version <= 6; version++) {
            print(ApiKeys.INIT_PRODUCER_ID, version,
                new InitProducerIdRequestData().setTransactionalId(null).setTransactionTimeoutMs(Integer.MAX_VALUE));
        }
        print(ApiKeys.SASL_HANDSHAKE, (short) 1, new SaslHandshakeRequestData().setMechanism("PLAIN"));
        for (short version = 0; version <= 2; version++) {
            print(ApiKeys.SASL_AUTHENTICATE, version,
                new SaslAuthenticateRequestData().setAuthBytes(new byte[] {0, 'u', 0, 'p'}));
        }
        for (short version = 3; version <= 13; version++) {
            var partition = new ProduceRequestData.PartitionProduceData().setIndex(7).setRecords(batch());
            var topic = new ProduceRequestData.TopicProduceData().setPartitionData(List.of(partition));
            topic = version >= 13 ? topic.setTopicId(new Uuid(1, 99)) : topic.setName("orders");
            var topics = new ProduceRequestData.TopicProduceDataCollection();
            topics.add(topic);
            print(ApiKeys.PRODUCE, version,
                new ProduceRequestData().setAcks((short) -1).setTimeoutMs(30_000).setTopicData(topics));
        }
    }

    static MemoryRecords batch() {
        var builder = MemoryRecords.builder(ByteBuffer.allocate(512), RecordBatch.MAGIC_VALUE_V2, Compression.NONE,
            TimestampType.CREATE_TIME, 0, RecordBatch.NO_TIMESTAMP, 1_000, (short) 3, 5, false,
            RecordBatch.NO_PARTITION_LEADER_EPOCH);
        var headers = new Header[] {new RecordHeader("h", "x".getBytes()), new RecordHeader("n", (byte[]) null)};
        builder.append(1_700_000_000_000L, "key".getBytes(), "value".getBytes(), headers);
        builder.append(1_700_000_000_250L, (byte[]) null, (byte[]) null, new Header[0]);
        return builder.build();
    }

    static void print(ApiKeys api, short version, ApiMessage body) {
        var header = new RequestHeaderData()
            .setRequestApiKey(api.id).setRequestApiVersion(version).setCorrelationId(7).setClientId("us");
        var bytes = HexFormat.of();
        System.out.println(api.name + "," + version + ","
            + bytes.formatHex(MessageUtil.toByteBufferAccessor(header, api.requestHeaderVersion(version)).buffer().array())
            + bytes.formatHex(MessageUtil.toByteBufferAccessor(body, version).buffer().array()));
    }
}
