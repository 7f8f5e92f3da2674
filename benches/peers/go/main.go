// franz-go and sarama; the first word is the client. Arguments as in ../src/lib.rs.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
)

type args struct {
	latency, bulk, idempotent           bool
	bootstrap, compression              string
	topics                              []string
	records, size, partitions, perTopic int
	payloads                            [][]byte
	seconds                             time.Duration
	threads, producers                  int
	tls                                 *tls.Config
}

func parse(a []string) args {
	number := func(at int) int { n, err := strconv.Atoi(a[at]); check(err); return n }
	seconds, err := strconv.ParseFloat(a[9], 64)
	check(err)
	p := args{latency: a[0] == "latency", bulk: a[0] == "bulk", seconds: time.Duration(seconds * 1e9),
		threads: number(10), producers: number(11), bootstrap: a[1], records: number(3), size: number(4),
		partitions: number(5), compression: a[7], idempotent: a[8] == "true"}
	if ca := os.Getenv("PEERS_CA"); ca != "" {
		pem, err := os.ReadFile(ca)
		check(err)
		p.tls = &tls.Config{RootCAs: x509.NewCertPool()}
		p.tls.RootCAs.AppendCertsFromPEM(pem)
	}
	for n := 0; n < number(6); n++ {
		p.topics = append(p.topics, fmt.Sprintf("%s-%d", a[2], n))
	}
	p.perTopic = p.partitions / len(p.topics)
	// As in the Rust programs: with a codec none comes again within 8 MB.
	count := uint64(64)
	for p.compression != "none" && count*uint64(p.size) < 8_000_000 {
		count *= 2
	}
	for n := uint64(0); n < count; n++ {
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

// flood runs send in each thread until the time is over; send sends records from a number on, and returns how many.
func (p args) flood(failed *atomic.Int64, send func(thread, from int) int, finish func()) {
	cpu0, started := cpu(), time.Now()
	counts := make([]int, p.threads)
	var running sync.WaitGroup
	for thread := range counts {
		running.Add(1)
		go func() {
			defer running.Done()
			for !p.bulk && counts[thread]%1024 != 0 || time.Since(started) < p.seconds {
				counts[thread] += send(thread, counts[thread])
			}
		}()
	}
	running.Wait()
	finish()
	seconds := time.Since(started).Seconds()
	records := 0
	for _, count := range counts {
		records += count
	}
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	report(map[string]any{"records_per_s": float64(records) / seconds, "cpu_us": (cpu() - cpu0) * 1e6 / float64(records),
		"rss_mb": float64(u.Maxrss) / 1024, "failed": failed.Load(), "seconds": seconds, "counts": counts})
}

// bulkSize is the number of records in one call: a megabyte, at most ten thousand.
func (p args) bulkSize() int {
	return min(1_000_000/p.size, 10_000)
}

func latencies(times []time.Duration) {
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	at := func(part float64) float64 { return float64(times[int(float64(len(times)-1)*part)].Nanoseconds()) / 1e3 }
	report(map[string]any{"p50_us": at(0.5), "p99_us": at(0.99), "failed": 0, "counts": []int{len(times)}})
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
	if p.tls != nil {
		opts = append(opts, kgo.DialTLSConfig(p.tls))
	}
	ctx := context.Background()
	record := func(n int) *kgo.Record {
		topic, partition := p.place(n)
		return &kgo.Record{Topic: topic, Partition: partition, Value: p.payloads[n&(len(p.payloads)-1)]}
	}
	clients := []*kgo.Client{}
	for range p.producers {
		cl, err := kgo.NewClient(opts...)
		check(err)
		for n := 0; n < p.partitions; n++ {
			check(cl.ProduceSync(ctx, record(n)).FirstErr())
		}
		clients = append(clients, cl)
	}
	cl := clients[0]
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
	one := func(thread, from int) int {
		clients[thread%len(clients)].Produce(ctx, record(from), func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Add(1)
			}
		})
		return 1
	}
	many := func(thread, from int) int {
		records := make([]*kgo.Record, p.bulkSize())
		for n := range records {
			records[n] = record(from + n)
		}
		for _, result := range clients[thread%len(clients)].ProduceSync(ctx, records...) {
			if result.Err != nil {
				failed.Add(1)
			}
		}
		return len(records)
	}
	if p.bulk {
		one = many
	}
	p.flood(&failed, one, func() {
		for _, cl := range clients {
			check(cl.Flush(ctx))
		}
	})
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
	if p.tls != nil {
		c.Net.TLS.Enable, c.Net.TLS.Config = true, p.tls
	}
	if p.idempotent {
		c.Producer.Idempotent = true
		c.Net.MaxOpenRequests = 1
	}
	message := func(n int) *sarama.ProducerMessage {
		topic, partition := p.place(n)
		return &sarama.ProducerMessage{Topic: topic, Partition: partition, Value: sarama.ByteEncoder(p.payloads[n&(len(p.payloads)-1)])}
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
	var failed atomic.Int64
	if p.bulk {
		producer, err := sarama.NewSyncProducer([]string{p.bootstrap}, c)
		check(err)
		for n := 0; n < p.partitions; n++ {
			_, _, err := producer.SendMessage(message(n))
			check(err)
		}
		p.flood(&failed, func(_, from int) int {
			messages := make([]*sarama.ProducerMessage, p.bulkSize())
			for n := range messages {
				messages[n] = message(from + n)
			}
			if errs, ok := producer.SendMessages(messages).(sarama.ProducerErrors); ok {
				failed.Add(int64(len(errs)))
			}
			return len(messages)
		}, func() {})
		return
	}
	c.Producer.Flush.Frequency = 5 * time.Millisecond
	producers := []sarama.AsyncProducer{}
	// Counts the answers of every producer.
	var answers sync.WaitGroup
	for range p.producers {
		producer, err := sarama.NewAsyncProducer([]string{p.bootstrap}, c)
		check(err)
		go func() {
			for range producer.Successes() {
				answers.Done()
			}
		}()
		go func() {
			for range producer.Errors() {
				failed.Add(1)
				answers.Done()
			}
		}()
		answers.Add(p.partitions)
		for n := 0; n < p.partitions; n++ {
			producer.Input() <- message(n)
		}
		producers = append(producers, producer)
	}
	answers.Wait()
	p.flood(&failed, func(thread, from int) int {
		answers.Add(1)
		producers[thread%len(producers)].Input() <- message(from)
		return 1
	}, answers.Wait)
}
