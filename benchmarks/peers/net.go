// Go's net and crypto/tls packages, with a goroutine for each connection.
//
//	go build net.go
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"
)

const (
	sinks   = 1000
	message = 64
	kinds   = "kinds: echo, reverse, daytime, tls-echo, udp-echo, fanout SECONDS"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// A plain loop: io.Copy would splice through a pipe, which costs more than it saves here.
func echo(conn net.Conn) {
	defer conn.Close()
	chunk := make([]byte, 64<<10)
	for {
		n, err := conn.Read(chunk)
		if err != nil {
			return
		}
		if _, err := conn.Write(chunk[:n]); err != nil {
			return
		}
	}
}

// The answers to the lines that came at once leave at once.
func reverse(conn net.Conn) {
	defer conn.Close()
	lines, answers := bufio.NewReader(conn), bufio.NewWriter(conn)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return
		}
		line = bytes.TrimRight(line, "\r\n")
		for i, j := 0, len(line)-1; i < j; i, j = i+1, j-1 {
			line[i], line[j] = line[j], line[i]
		}
		answers.Write(line)
		answers.WriteString("\r\n")
		if lines.Buffered() == 0 && answers.Flush() != nil {
			return
		}
	}
}

func daytime(conn net.Conn) {
	defer conn.Close()
	io.WriteString(conn, time.Now().Format("Mon Jan 02 15:04:05 2006\r\n"))
}

func listen() net.Listener {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	return listener
}

// CERTIFICATE names a file that holds the key and the certificate.
func listenTLS() net.Listener {
	file := os.Getenv("CERTIFICATE")
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		log.Fatal("CERTIFICATE: ", err)
	}
	return tls.NewListener(listen(), &tls.Config{Certificates: []tls.Certificate{pair}})
}

func serve(listener net.Listener, answer func(net.Conn)) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go answer(conn)
	}
}

func listenUDP() *net.UDPConn {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		log.Fatal(err)
	}
	return conn
}

func udpEcho() {
	conn := listenUDP()
	fmt.Println(conn.LocalAddr().(*net.UDPAddr).Port)
	datagram := make([]byte, 64<<10)
	for {
		n, peer, err := conn.ReadFromUDPAddrPort(datagram)
		if err == nil {
			_, err = conn.WriteToUDPAddrPort(datagram[:n], peer)
		}
		if err != nil {
			log.Print(err)
		}
	}
}

// The sinks have consecutive ports, the first of which is PORT.
func fanout(seconds float64) {
	first, err := strconv.Atoi(os.Getenv("PORT"))
	if err != nil {
		log.Fatal("PORT: ", err)
	}
	addresses := make([]netip.AddrPort, sinks)
	for i := range addresses {
		addresses[i] = netip.AddrPortFrom(loopback, uint16(first+i))
	}
	conn, datagram := listenUDP(), make([]byte, message)
	sent, began := 0, time.Now()
	for time.Since(began).Seconds() < seconds {
		for _, address := range addresses {
			if _, err := conn.WriteToUDPAddrPort(datagram, address); err != nil {
				log.Fatal(err)
			}
		}
		sent += sinks
	}
	fmt.Printf("%.0f\n", float64(sent)/time.Since(began).Seconds())
}

func main() {
	kind := ""
	if len(os.Args) > 1 {
		kind = os.Args[1]
	}
	switch {
	case kind == "echo":
		serve(listen(), echo)
	case kind == "reverse":
		serve(listen(), reverse)
	case kind == "daytime":
		serve(listen(), daytime)
	case kind == "tls-echo":
		serve(listenTLS(), echo)
	case kind == "udp-echo":
		udpEcho()
	case kind == "fanout" && len(os.Args) == 3:
		seconds, err := strconv.ParseFloat(os.Args[2], 64)
		if err != nil {
			log.Fatal(err)
		}
		fanout(seconds)
	default:
		fmt.Fprintln(os.Stderr, kinds)
		os.Exit(2)
	}
}
