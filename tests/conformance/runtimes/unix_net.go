// SPDX-License-Identifier: Apache-2.0

// Go's net on AF_UNIX, whose poller waits with edge-triggered epoll: an HTTP server with many clients,
// RPC on an abstract name, datagrams, packets, files in messages, deadlines, half-close.
//
//	unix_net STATUS    all cases, then ends with STATUS
//
// Every line depends on the program alone, so a run on Linux prints the same.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/rpc"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func bytesOf(seed, count int) []byte {
	data := make([]byte, count)
	for i := range data {
		seed = seed*1103515245 + 12345
		data[i] = byte(seed >> 16)
	}
	return data
}

// The server answers with the digest of what it was sent.
func webServer() {
	listener, err := net.Listen("unix", "web.sock")
	must(err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		must(err)
		fmt.Fprintf(w, "%s %d %x", r.URL.Path, len(body), sha256.Sum256(body))
	})}
	go server.Serve(listener)
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", "web.sock")
		}}}
	var group sync.WaitGroup
	var right sync.Map
	for worker := 0; worker < 8; worker++ {
		group.Add(1)
		go func(worker int) {
			defer group.Done()
			for i := 0; i < 5; i++ {
				body := bytesOf(worker*100+i, 1+worker*i*4000)
				answer, err := client.Post("http://guest/"+strconv.Itoa(worker), "", bytes.NewReader(body))
				must(err)
				text, err := io.ReadAll(answer.Body)
				must(err)
				answer.Body.Close()
				wanted := fmt.Sprintf("/%d %d %x", worker, len(body), sha256.Sum256(body))
				right.Store(worker*100+i, string(text) == wanted)
			}
		}(worker)
	}
	group.Wait()
	count := 0
	right.Range(func(_, is any) bool {
		if is.(bool) {
			count++
		}
		return true
	})
	must(server.Close())
	_, err = os.Stat("web.sock")
	fmt.Println("web:", count, "right answers, path gone:", errors.Is(err, os.ErrNotExist))
}

type Adder struct{}

func (Adder) Add(pair [2]int, sum *int) error {
	*sum = pair[0] + pair[1]
	return nil
}

func remoteCalls() {
	name := "@atoll-unix-net-" + strconv.Itoa(os.Getpid())
	listener, err := net.Listen("unix", name)
	must(err)
	server := rpc.NewServer()
	must(server.Register(Adder{}))
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go server.ServeConn(connection)
		}
	}()
	client, err := rpc.Dial("unix", name)
	must(err)
	total := 0
	for i := 0; i < 200; i++ {
		var sum int
		must(client.Call("Adder.Add", [2]int{i, 1000}, &sum))
		total += sum
	}
	must(client.Close())
	must(listener.Close())
	_, err = net.Dial("unix", name)
	fmt.Println("rpc:", total, "refused later:", errors.Is(err, syscall.ECONNREFUSED))
}

func datagrams() {
	address := func(name string) *net.UnixAddr { return &net.UnixAddr{Name: name, Net: "unixgram"} }
	server, err := net.ListenUnixgram("unixgram", address("server.sock"))
	must(err)
	client, err := net.DialUnix("unixgram", address("client.sock"), address("server.sock"))
	must(err)
	go func() {
		buffer := make([]byte, 2000)
		for {
			count, from, err := server.ReadFromUnix(buffer)
			if err != nil {
				return
			}
			_, err = server.WriteToUnix(bytes.ToUpper(buffer[:count]), from)
			must(err)
		}
	}()
	buffer := make([]byte, 2000)
	same := 0
	for i := 0; i < 100; i++ {
		text := []byte(fmt.Sprintf("message %d", i))
		_, err := client.Write(text)
		must(err)
		count, err := client.Read(buffer)
		must(err)
		if bytes.Equal(buffer[:count], bytes.ToUpper(text)) {
			same++
		}
	}
	must(server.Close())
	_, err = client.Write([]byte("late"))
	fmt.Println("datagrams:", same, "refused later:", errors.Is(err, syscall.ECONNREFUSED))
	must(client.Close())
}

func pairOf(kind int) (*net.UnixConn, *net.UnixConn) {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, kind|syscall.SOCK_CLOEXEC, 0)
	must(err)
	var connections [2]*net.UnixConn
	for i, end := range ends {
		file := os.NewFile(uintptr(end), "end")
		connection, err := net.FileConn(file)
		must(err)
		must(file.Close())
		connections[i] = connection.(*net.UnixConn)
	}
	return connections[0], connections[1]
}

func filesInMessages() {
	one, other := pairOf(syscall.SOCK_SEQPACKET)
	reader, writer, err := os.Pipe()
	must(err)
	_, _, err = one.WriteMsgUnix([]byte("take this"), syscall.UnixRights(int(writer.Fd())), nil)
	must(err)
	must(writer.Close())
	text, control := make([]byte, 100), make([]byte, 100)
	count, controlCount, _, _, err := other.ReadMsgUnix(text, control)
	must(err)
	messages, err := syscall.ParseSocketControlMessage(control[:controlCount])
	must(err)
	descriptors, err := syscall.ParseUnixRights(&messages[0])
	must(err)
	sent := os.NewFile(uintptr(descriptors[0]), "sent")
	_, err = sent.WriteString("through the sent file")
	must(err)
	must(sent.Close())
	got, err := io.ReadAll(reader)
	must(err)
	fmt.Printf("files: %s: %s\n", text[:count], got)
	must(one.Close())
	must(other.Close())
}

func deadlinesAndEnds() {
	one, other := pairOf(syscall.SOCK_STREAM)
	must(one.SetReadDeadline(time.Now().Add(20 * time.Millisecond)))
	_, err := one.Read(make([]byte, 1))
	fmt.Println("deadline:", errors.Is(err, os.ErrDeadlineExceeded))
	data := bytesOf(7, 3000000)
	go func() {
		_, err := other.Write(data)
		must(err)
		must(other.CloseWrite())
	}()
	must(one.SetReadDeadline(time.Time{}))
	got, err := io.ReadAll(one)
	must(err)
	_, err = one.Write([]byte("back"))
	must(err)
	back := make([]byte, 4)
	_, err = io.ReadFull(other, back)
	must(err)
	must(other.Close())
	_, err = one.Write([]byte("x"))
	fmt.Println("half-close:", bytes.Equal(got, data), string(back), errors.Is(err, syscall.EPIPE))
	must(one.Close())
}

func main() {
	status, err := strconv.Atoi(os.Args[1])
	must(err)
	webServer()
	remoteCalls()
	datagrams()
	filesInMessages()
	deadlinesAndEnds()
	_, err = net.Listen("unixpacket", "/none/such")
	fmt.Println("nowhere:", errors.Is(err, syscall.ENOENT))
	os.Exit(status)
}
