package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// pipes is a listener whose connections are in memory, so that time is the bubble's.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { close(p.closed); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// withConn runs client against the server with the limits of `rapsheet serve`.
func withConn(t *testing.T, client func(t *testing.T, c net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		p := pipes{make(chan net.Conn), make(chan struct{})}
		var working atomic.Int64
		s := newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				if n := working.Add(1); n > 1000 {
					t.Errorf("%d requests at work", n)
				}
				time.Sleep(30 * time.Second)
				working.Add(-1)
				return
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				http.Error(w, "body", http.StatusRequestTimeout)
				return
			}
			fmt.Fprint(w, "ok")
		}))
		s.ErrorLog = log.New(io.Discard, "", 0)
		go s.Serve(p)
		near, far := net.Pipe()
		p.conns <- far
		client(t, near)
		near.Close()
		s.Close()
		time.Sleep(time.Minute) // what the server's connections wait for ends in the bubble
	})
}

// drip sends text a byte a second until the server hangs up, and gives how long that took and what it said.
func drip(c net.Conn, text func(i int) byte) (time.Duration, string) {
	start := time.Now()
	said := make(chan string)
	go func() {
		b, _ := io.ReadAll(c)
		said <- string(b)
	}()
	for i := 0; ; i++ {
		if _, err := c.Write([]byte{text(i)}); err != nil {
			return time.Since(start), <-said
		}
		time.Sleep(time.Second)
	}
}

// F101: a client that sends slowly, too much or nothing holds a connection only so long. Time is synthetic.
func TestSlowClients(t *testing.T) {
	repeat := func(head, body string) func(int) byte {
		return func(i int) byte {
			if i < len(head) {
				return head[i]
			}
			return body[(i-len(head))%len(body)]
		}
	}
	for _, tt := range []struct {
		name, first string
		text        func(int) byte
		within      time.Duration
	}{
		{"headers, a byte a second", "", repeat("GET / HTTP/1.1\r\n", "X: y\r\n"), headerLimit},
		{"a body, a byte a second", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", repeat("", "x"), readLimit},
		{"a body in chunks, a byte a second", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", repeat("", "1\r\nx\r\n"), readLimit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withConn(t, func(t *testing.T, c net.Conn) {
				if _, err := io.WriteString(c, tt.first); err != nil {
					t.Fatal(err)
				}
				if took, said := drip(c, tt.text); took > tt.within+2*time.Second || strings.Contains(said, "200 OK") {
					t.Errorf("%s, %q", took, said)
				}
			})
		})
	}
	t.Run("nothing", func(t *testing.T) {
		withConn(t, func(t *testing.T, c net.Conn) {
			start := time.Now()
			if _, err := c.Read(make([]byte, 1)); err == nil || time.Since(start) > headerLimit+time.Second {
				t.Errorf("%v after %s", err, time.Since(start))
			}
		})
	})
	t.Run("nothing more", func(t *testing.T) {
		withConn(t, func(t *testing.T, c net.Conn) {
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(c)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			start := time.Now()
			if _, err := r.ReadByte(); err == nil || res.StatusCode != 200 || time.Since(start) > idleLimit+time.Second {
				t.Errorf("%d, %v after %s", res.StatusCode, err, time.Since(start))
			}
		})
	})
}

// F97, F101: headers that are too large or are not one request are refused before any handler.
func TestHeaderLimits(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"large":                      {"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", headerBytes+8<<10) + "\r\n\r\n", "431"},
		"many":                       {"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", headerBytes/4) + "\r\n", "431"},
		"a long path":                {"GET /" + strings.Repeat("x", headerBytes+8<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", "431"},
		"no host":                    {"GET / HTTP/1.1\r\n\r\n", "400"},
		"two hosts":                  {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"},
		"two lengths":                {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "400"},
		"a length that is none":      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400"},
		"another encoding of bodies": {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "501"},
		"a name with a space":        {"GET / HTTP/1.1\r\nHost: x\r\nX y: z\r\n\r\n", "400"},
		"NUL":                        {"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", "400"},
		"no HTTP":                    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"},
	} {
		t.Run(name, func(t *testing.T) {
			withConn(t, func(t *testing.T, c net.Conn) {
				go io.WriteString(c, tt.text)
				line, err := bufio.NewReader(c).ReadString('\n')
				if err != nil || !strings.Contains(line, " "+tt.want+" ") {
					t.Errorf("%q, %v; want %s", line, err, tt.want)
				}
			})
		})
	}
}

// F101: HTTP/2 without TLS. A client that opens streams and resets them at once, while handlers are at work, or never ends its headers, is
// hung up on, and few of its requests are worked on (package net/http's limits, which Protocols must not take away).
func TestHTTP2Abuse(t *testing.T) {
	var buf bytes.Buffer
	enc := hpack.NewEncoder(&buf)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/slow"}, {":authority", "x"}} {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			t.Fatal(err)
		}
	}
	// A field of the static table each time: the block is small, what it stands for grows.
	more := bytes.Repeat([]byte{0x80 | 16}, 1024)
	for name, abuse := range map[string]func(f *http2.Framer, i uint32) error{
		"rapid reset": func(f *http2.Framer, i uint32) error {
			err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: buf.Bytes(), EndHeaders: true, EndStream: true})
			return errors.Join(err, f.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
		},
		"headers without an end": func(f *http2.Framer, i uint32) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: buf.Bytes()})
			}
			return f.WriteContinuation(1, false, more)
		},
	} {
		t.Run(name, func(t *testing.T) {
			withConn(t, func(t *testing.T, c net.Conn) {
				go io.Copy(io.Discard, c)
				if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
					t.Fatal(err)
				}
				f := http2.NewFramer(c, nil)
				err := f.WriteSettings()
				sent := uint32(0)
				for ; sent < 100_000 && err == nil; sent++ {
					if sent%100 == 0 {
						time.Sleep(10 * time.Millisecond) // the server hangs up a moment after it has said so
					}
					err = abuse(f, sent)
				}
				if err == nil || sent < 2 {
					t.Errorf("%v after %d", err, sent)
				}
			})
		})
	}
}
