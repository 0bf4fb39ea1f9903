// SPDX-License-Identifier: Apache-2.0

// A web server with Go's net/http. /hello greets; /echo gives back what it is sent; /take answers with the
// digest of what it is sent; /give/N/SEED gives N bytes that follow from the seed. SIGINT ends it, when
// what is under way is done.
//
//	go_web ADDRESS ...    listens on each
package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

var requests, connections int64

func fail(w http.ResponseWriter, err error) bool {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return err != nil
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if !fail(w, err) {
		w.Write(body)
	}
}

func take(w http.ResponseWriter, r *http.Request) {
	digest := sha256.New()
	bytes, err := io.Copy(digest, r.Body)
	if !fail(w, err) {
		fmt.Fprintf(w, "%d %x\n", bytes, digest.Sum(nil))
	}
}

func give(w http.ResponseWriter, r *http.Request) {
	var count int
	var seed uint32
	_, err := fmt.Sscanf(r.URL.Path, "/give/%d/%d", &count, &seed)
	if fail(w, err) {
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(count))
	data := make([]byte, count)
	for i := range data {
		seed = seed*1664525 + 1013904223
		data[i] = byte(seed >> 24)
	}
	w.Write(data)
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s\n", r.URL.RawQuery)
	})
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/take", take)
	mux.HandleFunc("/give/", give)
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			atomic.AddInt64(&requests, 1)
			mux.ServeHTTP(w, r)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				atomic.AddInt64(&connections, 1)
			}
		}}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT)
	for _, address := range os.Args[1:] {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			panic(err)
		}
		go server.Serve(listener)
		fmt.Println("serving", listener.Addr())
	}
	fmt.Println("ready")
	<-signals
	if err := server.Shutdown(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(requests, "requests on", connections, "connections")
}
