package main

import (
	"errors"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
)

// refusals is what a user is told who may use only `open.>` (CREDS), and whoever presents BAD_CREDS.
func refusals() {
	told := make(chan error, 8)
	onError := nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { told <- err })
	client := value(connect(os.Getenv("CREDS"), onError))
	expect := func(name, text string) {
		err := next(told, text)
		check(errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(strings.ToLower(err.Error()), text), "got %v", err)
		passed(name, err)
	}
	must(client.Publish("closed.door", []byte("knock")))
	expect("publish", `permissions violation for publish to "closed.door"`)
	value(client.SubscribeSync("closed.door"))
	must(client.Flush())
	expect("subscribe", `permissions violation for subscription to "closed.door"`)
	value(client.QueueSubscribeSync("closed.door", "thieves"))
	must(client.Flush())
	expect("queue", `permissions violation for subscription to "closed.door" using queue "thieves"`)
	subscription := value(client.SubscribeSync("open.door"))
	must(client.Publish("open.door", []byte("come in")))
	check(string(value(subscription.NextMsg(patience)).Data) == "come in", "the open door is closed")
	passed("what is allowed still works", "")
	client.Close()
	for name, creds := range map[string]string{"another's seed": os.Getenv("BAD_CREDS"), "no creds": ""} {
		_, err := connect(creds)
		check(errors.Is(err, nats.ErrAuthorization), "%s: %v", name, err)
		passed(name, err)
	}
	_, err := nats.Connect(os.Getenv("NATS_URL"), nats.NoReconnect(), nats.UserCredentials(os.Getenv("CREDS")))
	check(err != nil && strings.Contains(err.Error(), "certificate"), "an unknown authority: %v", err)
	passed("a certificate of an unknown authority is not trusted", err)
}
