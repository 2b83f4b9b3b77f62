package main

import (
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

// reconnect stays connected while its broker is stopped and started again by whoever reads what it prints.
func reconnect() {
	lost, back := make(chan error, 8), make(chan struct{}, 8)
	client := value(connect(os.Getenv("CREDS"),
		func(options *nats.Options) error { options.AllowReconnect = true; return nil },
		nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { lost <- err }),
		nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }),
	))
	subscription := value(client.SubscribeSync("go.news"))
	workers := value(client.QueueSubscribeSync("go.jobs", "workers"))
	must(client.Publish("go.news", []byte("before")))
	check(string(value(subscription.NextMsg(patience)).Data) == "before", "nothing before")
	passed("connected", "")
	next(lost, "the end of the connection")
	// What is published meanwhile is kept by the client, and sent once it is back.
	must(client.Publish("go.news", []byte("meanwhile")))
	passed("disconnected", "")
	select {
	case <-back:
	case <-time.After(30 * time.Second):
		fail("the connection never came back")
	}
	passed("reconnected", fmt.Sprint(client.Stats().Reconnects))
	check(string(value(subscription.NextMsg(patience)).Data) == "meanwhile", "what was kept did not come")
	must(client.Publish("go.jobs", []byte("a job")))
	check(string(value(workers.NextMsg(patience)).Data) == "a job", "no job")
	passed("subscriptions are there again", "")
	must(client.Drain())
}
