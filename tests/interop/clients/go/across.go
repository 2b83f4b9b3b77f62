package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
)

// across asks, as CREDS, for `shop.order`, which ANSWERS, a user of another account, offers as `order.place`; and hears
// under `shop.prices.*` what that one publishes under `prices.*`. BUYER is the key of its own account.
func across() {
	buyer, seller := value(connect(os.Getenv("CREDS"))), value(connect(os.Getenv("ANSWERS")))
	orders := value(seller.SubscribeSync("order.place"))
	must(seller.Flush())
	inbox := value(buyer.SubscribeSync(buyer.NewInbox()))
	must(buyer.PublishRequest("shop.order", inbox.Subject, []byte("an apple")))
	asked := value(orders.NextMsg(patience))
	check(asked.Subject == "order.place" && asked.Reply != inbox.Subject, "asked as %v", asked)
	must(asked.Respond([]byte("taken")))
	must(asked.Respond([]byte("taken twice")))
	answer := value(inbox.NextMsg(patience))
	check(answer.Subject == inbox.Subject && string(answer.Data) == "taken", "answered with %v", answer)
	passed("a request reaches the service and its answer the requester", "")
	var info struct{ Acc string }
	must(json.Unmarshal([]byte(asked.Header.Get("Nats-Request-Info")), &info))
	check(info.Acc != "" && info.Acc == os.Getenv("BUYER"), "asked by %q", info.Acc)
	passed("the service is told which account asks", "")
	must(seller.Flush())
	must(buyer.Flush())
	pending, _, err := inbox.Pending()
	must(err)
	check(pending == 0, "a second answer came")
	passed("a single answer is all there is", "")
	must(orders.Unsubscribe())
	must(seller.Flush())
	_, err = buyer.Request("shop.order", nil, patience)
	check(errors.Is(err, nats.ErrNoResponders), "nobody is there, and: %v", err)
	passed("no responders across accounts", err)
	prices := value(buyer.SubscribeSync("shop.prices.*"))
	must(buyer.Flush())
	must(seller.Publish("prices.apple", []byte("three")))
	heard := value(prices.NextMsg(patience))
	check(heard.Subject == "shop.prices.apple" && string(heard.Data) == "three", "heard %v", heard)
	passed("a stream arrives under the importer's subject", fmt.Sprint(heard.Subject))
}
