package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// shares makes, as ANSWERS, the bucket CONFIG and the stream ORDERS, and works with them as CREDS, a user of another
// account: the bucket is shared with that one to read and write, of the stream `eu.>` to read.
func shares() {
	app, owner := value(connect(os.Getenv("CREDS"))), value(connect(os.Getenv("ANSWERS")))
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	own := value(jetstream.New(owner))
	bucket(ctx, app, own)
	oldBucket(app)
	orders(ctx, app, own)
}

func bucket(ctx context.Context, app *nats.Conn, own jetstream.JetStream) {
	theirs := value(own.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "CONFIG", History: 3}))
	value(theirs.PutString(ctx, "colour", "red"))
	js := value(jetstream.NewWithAPIPrefix(app, "$JS.CONFIG.API"))
	kv := value(js.KeyValue(ctx, "CONFIG"))
	watch := value(kv.WatchAll(ctx))
	entry := next(watch.Updates(), "the present value")
	check(entry.Key() == "colour" && string(entry.Value()) == "red", "watched %v", entry)
	check(next(watch.Updates(), "the end of what is there") == nil, "more than what is there")
	revision := value(kv.PutString(ctx, "size", "42"))
	entry = next(watch.Updates(), "what is written")
	check(entry.Key() == "size" && entry.Revision() == revision, "watched %v", entry)
	check(string(value(theirs.Get(ctx, "size")).Value()) == "42", "what is written is not there")
	value(kv.Update(ctx, "size", []byte("43"), revision))
	_, err := kv.Update(ctx, "size", []byte("44"), revision)
	check(err != nil, "an old revision was replaced")
	must(kv.Delete(ctx, "colour"))
	next(watch.Updates(), "the new size")
	entry = next(watch.Updates(), "what is deleted")
	check(entry.Key() == "colour" && entry.Operation() == jetstream.KeyValueDelete, "watched %v", entry)
	must(watch.Stop())
	keys := value(kv.Keys(ctx))
	check(len(keys) == 1 && keys[0] == "size", "keys %v", keys)
	passed("a shared bucket is read, watched and written", keys)
	check(js.DeleteKeyValue(ctx, "CONFIG") != nil, "the bucket of another account was deleted")
	_, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "MORE"})
	check(err != nil, "a bucket was made in another account")
	passed("a shared bucket is not deleted, and none is made beside it", err)
}

// oldBucket does so with the library's older way to streams.
func oldBucket(app *nats.Conn) {
	kv := value(value(app.JetStream(nats.APIPrefix("$JS.CONFIG.API"))).KeyValue("CONFIG"))
	watch := value(kv.WatchAll())
	entry := next(watch.Updates(), "a value that is there")
	check(entry != nil, "nothing is there")
	value(kv.PutString("old", "way"))
	for entry == nil || entry.Key() != "old" {
		entry = next(watch.Updates(), "what is written")
	}
	must(watch.Stop())
	passed("a shared bucket by the older interface", entry.Key())
}

func orders(ctx context.Context, app *nats.Conn, own jetstream.JetStream) {
	value(own.CreateStream(ctx, jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"eu.>", "us.>"}}))
	for _, subject := range []string{"eu.de", "us.ny", "eu.fr"} {
		value(own.Publish(ctx, subject, []byte(subject)))
	}
	js := value(jetstream.NewWithAPIPrefix(app, "acme.API"))
	stream := value(js.Stream(ctx, "ORDERS"))
	wanted := jetstream.ConsumerConfig{Durable: "worker", FilterSubject: "eu.>", AckPolicy: jetstream.AckExplicitPolicy}
	consumer := value(stream.CreateOrUpdateConsumer(ctx, wanted))
	messages := make(chan jetstream.Msg, 8)
	consuming := value(consumer.Consume(func(message jetstream.Msg) { messages <- message }))
	defer consuming.Stop()
	for _, subject := range []string{"eu.de", "eu.fr"} {
		message := next(messages, subject)
		check(message.Subject() == subject, "consumed %v", message.Subject())
		must(message.DoubleAck(ctx))
	}
	info := value(value(value(own.Stream(ctx, "ORDERS")).Consumer(ctx, "worker")).Info(ctx))
	check(info.NumAckPending == 0 && info.AckFloor.Stream == 3, "acknowledged up to %v", info.AckFloor)
	passed("a part of a stream is consumed and acknowledged", fmt.Sprint(info.AckFloor.Stream))
	ordered := value(js.OrderedConsumer(ctx, "ORDERS", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"eu.>"}}))
	message := value(ordered.Next())
	check(message.Subject() == "eu.de", "consumed %v", message.Subject())
	passed("an ordered consumer of a part", message.Subject())
	wanted.Durable, wanted.FilterSubject = "other", "us.>"
	_, err := stream.CreateOrUpdateConsumer(ctx, wanted)
	check(err != nil && !errors.Is(err, context.DeadlineExceeded), "another part: %v", err)
	passed("another part is refused", err)
}
