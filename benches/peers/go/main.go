// franz-go and sarama; the first word is the client. Arguments as in ../src/lib.rs.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
)

type args struct {
	latency, idempotent                bool
	bootstrap, compression             string
	topics                             []string
	records, size, partitions, perTopic int
	payloads                           [][]byte
}

func parse(a []string) args {
	number := func(at int) int { n, err := strconv.Atoi(a[at]); check(err); return n }
	p := args{latency: a[0] == "latency", bootstrap: a[1], records: number(3), size: number(4),
		partitions: number(5), compression: a[7], idempotent: a[8] == "true"}
	for n := 0; n < number(6); n++ {
		p.topics = append(p.topics, fmt.Sprintf("%s-%d", a[2], n))
	}
	p.perTopic = p.partitions / len(p.topics)
	for n := uint64(0); n < 64; n++ {
		seed := n*0x9e3779b97f4a7c15 | 1
		text := strings.Builder{}
		text.WriteString("{")
		for text.Len() < p.size {
			seed ^= seed << 13
			seed ^= seed >> 7
			seed ^= seed << 17
			fmt.Fprintf(&text, `"id":%d,"event":"page_view","country":"DE","ok":true,`, seed)
		}
		p.payloads = append(p.payloads, []byte(text.String()[:p.size]))
	}
	return p
}

func (p args) place(n int) (string, int32) {
	turn := n % p.partitions
	return p.topics[turn/p.perTopic], int32(turn % p.perTopic)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func cpu() float64 {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

func report(fields map[string]any) {
	line, err := json.Marshal(fields)
	check(err)
	fmt.Println(string(line))
}

func (p args) flood(started time.Time, cpu0 float64, failed int64) {
	seconds := time.Since(started).Seconds()
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	report(map[string]any{"records_per_s": float64(p.records) / seconds, "cpu_us": (cpu() - cpu0) * 1e6 / float64(p.records),
		"rss_mb": float64(u.Maxrss) / 1024, "failed": failed, "seconds": seconds})
}

func latencies(times []time.Duration) {
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	at := func(part float64) float64 { return float64(times[int(float64(len(times)-1)*part)].Nanoseconds()) / 1e3 }
	report(map[string]any{"p50_us": at(0.5), "p99_us": at(0.99), "failed": 0})
}

func main() {
	p := parse(os.Args[2:])
	if os.Args[1] == "franz-go" {
		franz(p)
	} else {
		saramaFlood(p)
	}
}

func franz(p args) {
	codec := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}[p.compression]
	linger := 5 * time.Millisecond
	if p.latency {
		linger = 0
	}
	opts := []kgo.Opt{kgo.SeedBrokers(p.bootstrap), kgo.ProducerLinger(linger), kgo.ProducerBatchCompression(codec),
		kgo.MaxBufferedRecords(100_000), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks())}
	if !p.idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(5))
	}
	cl, err := kgo.NewClient(opts...)
	check(err)
	ctx := context.Background()
	record := func(n int) *kgo.Record {
		topic, partition := p.place(n)
		return &kgo.Record{Topic: topic, Partition: partition, Value: p.payloads[n%64]}
	}
	for n := 0; n < p.partitions; n++ {
		check(cl.ProduceSync(ctx, record(n)).FirstErr())
	}
	if p.latency {
		times := make([]time.Duration, 0, p.records)
		for n := 0; n < p.records; n++ {
			started := time.Now()
			check(cl.ProduceSync(ctx, record(n)).FirstErr())
			times = append(times, time.Since(started))
		}
		latencies(times)
		return
	}
	var failed atomic.Int64
	cpu0, started := cpu(), time.Now()
	for n := 0; n < p.records; n++ {
		cl.Produce(ctx, record(n), func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Add(1)
			}
		})
	}
	check(cl.Flush(ctx))
	p.flood(started, cpu0, failed.Load())
}

func saramaFlood(p args) {
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Compression = map[string]sarama.CompressionCodec{"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
		"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}[p.compression]
	c.Net.MaxOpenRequests = 5
	if p.idempotent {
		c.Producer.Idempotent = true
		c.Net.MaxOpenRequests = 1
	}
	message := func(n int) *sarama.ProducerMessage {
		topic, partition := p.place(n)
		return &sarama.ProducerMessage{Topic: topic, Partition: partition, Value: sarama.ByteEncoder(p.payloads[n%64])}
	}
	if p.latency {
		producer, err := sarama.NewSyncProducer([]string{p.bootstrap}, c)
		check(err)
		times := make([]time.Duration, 0, p.records)
		for n := 0; n < p.records; n++ {
			started := time.Now()
			_, _, err := producer.SendMessage(message(n))
			check(err)
			times = append(times, time.Since(started))
		}
		latencies(times)
		return
	}
	c.Producer.Flush.Frequency = 5 * time.Millisecond
	producer, err := sarama.NewAsyncProducer([]string{p.bootstrap}, c)
	check(err)
	drain := func(count int) chan int64 {
		done := make(chan int64)
		go func() {
			var failed int64
			for n := 0; n < count; n++ {
				select {
				case <-producer.Successes():
				case <-producer.Errors():
					failed++
				}
			}
			done <- failed
		}()
		return done
	}
	warm := drain(p.partitions)
	for n := 0; n < p.partitions; n++ {
		producer.Input() <- message(n)
	}
	<-warm
	cpu0, started := cpu(), time.Now()
	done := drain(p.records)
	for n := 0; n < p.records; n++ {
		producer.Input() <- message(n)
	}
	p.flood(started, cpu0, <-done)
}
