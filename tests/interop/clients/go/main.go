// What applications do with the Go client; prints one JSON line for each thing that worked.
//
// Usage: go-client core | refusals | across | reconnect | shares | version
// Environment: NATS_URL, NATS_CA, CREDS, and BAD_CREDS, ANSWERS or BUYER for the programs that say so.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

// How long anything may take that must happen.
const patience = 10 * time.Second

func main() {
	programs := map[string]func(){"core": core, "refusals": refusals, "across": across, "reconnect": reconnect, "shares": shares}
	if len(os.Args) != 2 {
		fail("one of core, refusals, across, reconnect, shares, version must be named")
	}
	if os.Args[1] == "version" {
		fmt.Println("nats.go " + nats.Version)
		return
	}
	program := programs[os.Args[1]]
	if program == nil {
		fail("no program is called %q", os.Args[1])
	}
	// Whatever hangs is a failure, too.
	time.AfterFunc(50*time.Second, func() { fail("not done in time") })
	program()
}

// passed reports one thing that worked.
func passed(name string, detail any) {
	line, err := json.Marshal(struct {
		Passed string `json:"passed"`
		Detail string `json:"detail"`
	}{name, fmt.Sprint(detail)})
	must(err)
	fmt.Println(string(line))
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

// value is what a call returned that must not fail.
func value[T any](result T, err error) T {
	must(err)
	return result
}

func check(holds bool, format string, arguments ...any) {
	if !holds {
		fail(format, arguments...)
	}
}

// connect connects as the user of a creds file, over TLS with the authority of the scenario.
func connect(creds string, more ...nats.Option) (*nats.Conn, error) {
	options := append([]nats.Option{nats.RootCAs(os.Getenv("NATS_CA")), nats.NoReconnect()}, more...)
	if creds != "" {
		options = append(options, nats.UserCredentials(creds))
	}
	return nats.Connect(os.Getenv("NATS_URL"), options...)
}

// next is what comes next on a channel.
func next[T any](channel <-chan T, what string) T {
	select {
	case got := <-channel:
		return got
	case <-time.After(patience):
		fail("never came: %s", what)
		panic("not reached")
	}
}
