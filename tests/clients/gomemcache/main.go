// gomemcache: always sends gets; drops the connection on anything it did not expect.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

var held, failed int

func that(claim string, seen, expected interface{}) {
	if fmt.Sprint(seen) == fmt.Sprint(expected) {
		held++
		return
	}
	failed++
	fmt.Printf("gomemcache: %s: expected %v, got %v\n", claim, expected, seen)
}

func main() {
	m := memcache.New(os.Args[1] + ":" + os.Args[2])
	m.Timeout = 10 * time.Second

	value := func(key string) string {
		item, err := m.Get(key)
		if err != nil {
			return err.Error()
		}
		return string(item.Value)
	}
	that("set", m.Set(&memcache.Item{Key: "a", Value: []byte("1"), Flags: 7, Expiration: 60}), nil)
	item, err := m.Get("a")
	that("get", err, nil)
	if err == nil {
		that("value and flags", fmt.Sprint(string(item.Value), " ", item.Flags), "1 7")
	}
	_, err = m.Get("none")
	that("get of a miss", err, memcache.ErrCacheMiss)
	that("add of an existing key", m.Add(&memcache.Item{Key: "a", Value: []byte("2")}), memcache.ErrNotStored)
	that("add", m.Add(&memcache.Item{Key: "b", Value: []byte("2")}), nil)
	that("replace of a missing key", m.Replace(&memcache.Item{Key: "none", Value: []byte("2")}), memcache.ErrNotStored)
	that("replace", m.Replace(&memcache.Item{Key: "b", Value: []byte("3")}), nil)

	item, err = m.Get("a")
	that("get before cas", err, nil)
	if err == nil {
		item.Value = []byte("cas")
		that("cas", m.CompareAndSwap(item), nil)
		that("cas with a stale unique", m.CompareAndSwap(item), memcache.ErrCASConflict)
	}
	that("get after cas", value("a"), "cas")

	var keys []string
	for n := 0; n < 100; n++ {
		key := fmt.Sprint("k", n)
		keys = append(keys, key)
		that("set "+key, m.Set(&memcache.Item{Key: key, Value: []byte(key)}), nil)
	}
	items, err := m.GetMulti(append(keys, "none"))
	that("get of many", err, nil)
	that("as many as were set", len(items), 100)
	for key, item := range items {
		that("value of "+key, string(item.Value), key)
	}

	that("set of a number", m.Set(&memcache.Item{Key: "n", Value: []byte("5")}), nil)
	up, err := m.Increment("n", 3)
	that("increment", fmt.Sprint(up, err), "8 <nil>")
	down, err := m.Decrement("n", 100)
	that("decrement", fmt.Sprint(down, err), "0 <nil>")
	_, err = m.Increment("nothing", 1)
	that("increment of a missing key", err, memcache.ErrCacheMiss)
	_, err = m.Increment("a", 1)
	that("increment of a word", err != nil && strings.Contains(err.Error(), "non-numeric"), true)

	blob := bytes.Repeat([]byte{0, '\r', '\n', 255}, 100000)
	that("set of 400,000 bytes", m.Set(&memcache.Item{Key: "blob", Value: blob}), nil)
	that("get of 400,000 bytes", value("blob") == string(blob), true)
	that("a value that is too large", m.Set(&memcache.Item{Key: "big", Value: make([]byte, 1<<20)}) != nil, true)
	that("the client goes on after it", value("b"), "3")
	that("delete", m.Delete("a"), nil)
	that("delete of a missing key", m.Delete("a"), memcache.ErrCacheMiss)

	done := make(chan string)
	for worker := 0; worker < 8; worker++ {
		go func(worker int) {
			for n := 0; n < 200; n++ {
				key, want := fmt.Sprint("w", worker, "-", n%10), fmt.Sprint(worker, "/", n)
				if err := m.Set(&memcache.Item{Key: key, Value: []byte(want)}); err != nil {
					done <- err.Error()
					return
				}
				if got := value(key); got != want {
					done <- fmt.Sprintf("%s: set %s, got %s", key, want, got)
					return
				}
			}
			done <- "ok"
		}(worker)
	}
	for worker := 0; worker < 8; worker++ {
		that("eight workers at once", <-done, "ok")
	}

	fmt.Printf("gomemcache: %d held, %d failed\n", held, failed)
	if failed > 0 || held == 0 {
		os.Exit(1)
	}
}
