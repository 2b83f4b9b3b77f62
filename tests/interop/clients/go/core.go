package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// core is what every application uses.
func core() {
	client := value(connect(os.Getenv("CREDS")))
	second := value(connect(os.Getenv("CREDS")))
	state, err := client.TLSConnectionState()
	must(err)
	check(state.HandshakeComplete && client.HeadersSupported(), "TLS and headers")
	passed("connect", fmt.Sprintf("TLS %x, max_payload %d", state.Version, client.MaxPayload()))
	publishAndSubscribe(client)
	requestAndReply(client)
	noResponders(client)
	queueGroup(client, second)
	limitedSubscription(client)
	second.Close()
	drain(client)
}

func publishAndSubscribe(client *nats.Conn) {
	subscription := value(client.SubscribeSync("go.*"))
	must(client.Publish("go.one", []byte("\x00\xffbytes")))
	message := value(subscription.NextMsg(patience))
	check(message.Subject == "go.one" && string(message.Data) == "\x00\xffbytes", "got %v", message)
	passed("publish and subscribe", "")
	sent := nats.NewMsg("go.two")
	sent.Data = []byte("body")
	sent.Header.Add("Kind", "weather")
	sent.Header.Add("Kind", "sunny")
	sent.Header.Set("Empty", "")
	must(client.PublishMsg(sent))
	message = value(subscription.NextMsg(patience))
	kinds := message.Header.Values("Kind")
	check(len(kinds) == 2 && kinds[1] == "sunny" && string(message.Data) == "body", "got %v", message.Header)
	passed("headers", message.Header)
	must(subscription.Unsubscribe())
}

func requestAndReply(client *nats.Conn) {
	value(client.Subscribe("go.service", func(message *nats.Msg) {
		must(message.Respond(append([]byte("answer to "), message.Data...)))
	}))
	reply := value(client.Request("go.service", []byte("question"), patience))
	check(string(reply.Data) == "answer to question", "got %q", reply.Data)
	passed("request and reply", "")
	var all sync.WaitGroup
	for number := range 50 {
		all.Go(func() {
			question := fmt.Sprint(number)
			reply := value(client.Request("go.service", []byte(question), patience))
			check(string(reply.Data) == "answer to "+question, "got %q", reply.Data)
		})
	}
	all.Wait()
	passed("requests side by side", 50)
}

func noResponders(client *nats.Conn) {
	_, err := client.Request("go.nobody", nil, patience)
	check(errors.Is(err, nats.ErrNoResponders), "nobody is there, and: %v", err)
	passed("no responders", err)
	silent := value(client.SubscribeSync("go.silent"))
	_, err = client.Request("go.silent", nil, 300*time.Millisecond)
	check(errors.Is(err, nats.ErrTimeout), "nobody answers, and: %v", err)
	passed("a silent responder is a timeout", "")
	must(silent.Unsubscribe())
}

func queueGroup(first, second *nats.Conn) {
	var counts [2]atomic.Int32
	arrived := make(chan struct{}, 200)
	for index, client := range []*nats.Conn{first, second} {
		value(client.QueueSubscribe("go.jobs", "workers", func(*nats.Msg) {
			counts[index].Add(1)
			arrived <- struct{}{}
		}))
		must(client.Flush())
	}
	for range 100 {
		must(first.Publish("go.jobs", []byte("job")))
	}
	for range 100 {
		next(arrived, "a job")
	}
	// A round trip on both connections: a message sent twice would have arrived by now.
	must(first.Flush())
	must(second.Flush())
	check(len(arrived) == 0 && counts[0].Load() > 0 && counts[1].Load() > 0, "shares: %v", &counts)
	passed("queue group", fmt.Sprint(counts[0].Load(), " and ", counts[1].Load()))
}

func limitedSubscription(client *nats.Conn) {
	subscription := value(client.SubscribeSync("go.few"))
	must(subscription.AutoUnsubscribe(2))
	for number := range 5 {
		must(client.Publish("go.few", []byte(fmt.Sprint(number))))
	}
	must(client.Flush())
	for number := range 2 {
		check(string(value(subscription.NextMsg(patience)).Data) == fmt.Sprint(number), "not in order")
	}
	_, err := subscription.NextMsg(patience)
	check(errors.Is(err, nats.ErrMaxMessages) || errors.Is(err, nats.ErrBadSubscription), "a third: %v", err)
	passed("unsubscribe after a number of messages", "")
}

func drain(client *nats.Conn) {
	closed := make(chan struct{})
	client.SetClosedHandler(func(*nats.Conn) { close(closed) })
	var done atomic.Int32
	value(client.Subscribe("go.last", func(*nats.Msg) {
		time.Sleep(time.Millisecond)
		done.Add(1)
	}))
	for range 20 {
		must(client.Publish("go.last", nil))
	}
	must(client.Drain())
	next(closed, "the close")
	check(done.Load() == 20, "%d were handled", done.Load())
	passed("drain", "20 messages handled before the close")
}
