// franz-go's kfake as a process: prints the addresses of its brokers, and ends with its standard input.
//
//	kfake -brokers 3 -topic events:3 -offer Produce=3-8 -without InitProducerId -sasl user:password
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var topics, offers, without list
	brokers := flag.Int("brokers", 1, "number of brokers")
	sasl := flag.String("sasl", "", "user:password of every mechanism")
	flag.Var(&topics, "topic", "name:partitions")
	flag.Var(&offers, "offer", "an API and its versions, as Produce=3-8")
	flag.Var(&without, "without", "an API that is not offered")
	flag.Parse()

	opts := []kfake.Opt{kfake.NumBrokers(*brokers)}
	for _, topic := range topics {
		name, count, _ := strings.Cut(topic, ":")
		partitions, err := strconv.Atoi(count)
		if err != nil {
			return fmt.Errorf("-topic %s: %w", topic, err)
		}
		opts = append(opts, kfake.SeedTopics(int32(partitions), name))
	}
	if user, password, found := strings.Cut(*sasl, ":"); found {
		opts = append(opts, kfake.EnableSASL())
		for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
			opts = append(opts, kfake.Superuser(mechanism, user, password))
		}
	}
	// What is above the newest version is refused, too.
	edits, newest := map[int16]*[2]int16{}, kversion.Stable()
	for _, offer := range offers {
		name, versions, _ := strings.Cut(offer, "=")
		var edit [2]int16
		if _, err := fmt.Sscanf(versions, "%d-%d", &edit[0], &edit[1]); err != nil {
			return fmt.Errorf("-offer %s: %w", offer, err)
		}
		key, err := keyOf(name)
		if err != nil {
			return err
		}
		edits[key] = &edit
		newest.SetMaxKeyVersion(key, edit[1])
	}
	for _, name := range without {
		key, err := keyOf(name)
		if err != nil {
			return err
		}
		edits[key] = nil
	}
	if len(edits) > 0 {
		opts = append(opts, kfake.MaxVersions(newest))
	}

	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return err
	}
	defer cluster.Close()
	if len(edits) > 0 {
		own, err := versionsOf(cluster.ListenAddrs()[0])
		if err != nil {
			return err
		}
		control(cluster, own, edits)
	}
	fmt.Println(strings.Join(cluster.ListenAddrs(), ","))
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func keyOf(name string) (int16, error) {
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		if strings.EqualFold(kmsg.NameForKey(key), name) {
			return key, nil
		}
	}
	return 0, fmt.Errorf("there is no API %q", name)
}

// What the cluster itself answers to ApiVersions.
func versionsOf(address string) ([]kmsg.ApiVersionsResponseApiKey, error) {
	socket, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	request := kmsg.NewPtrApiVersionsRequest()
	frame := kmsg.NewRequestFormatter().AppendRequest(nil, request, 1)
	if _, err := socket.Write(frame); err != nil {
		return nil, err
	}
	var length uint32
	if err := binary.Read(socket, binary.BigEndian, &length); err != nil {
		return nil, err
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(socket, body); err != nil {
		return nil, err
	}
	answer := request.ResponseKind().(*kmsg.ApiVersionsResponse)
	return answer.ApiKeys, answer.ReadFrom(body[4:])
}

// Has the cluster list other versions.
func control(cluster *kfake.Cluster, own []kmsg.ApiVersionsResponseApiKey, edits map[int16]*[2]int16) {
	var edited []kmsg.ApiVersionsResponseApiKey
	for _, key := range own {
		if edit, found := edits[key.ApiKey]; found {
			if edit == nil {
				continue
			}
			key.MinVersion, key.MaxVersion = edit[0], edit[1]
		}
		edited = append(edited, key)
	}
	versions := kmsg.ApiVersions
	cluster.ControlKey(int16(versions), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		answer := request.ResponseKind().(*kmsg.ApiVersionsResponse)
		for _, key := range edited {
			if key.ApiKey == int16(versions) && answer.Version > key.MaxVersion {
				return nil, nil, false
			}
		}
		answer.ApiKeys = edited
		return answer, nil, true
	})
}
