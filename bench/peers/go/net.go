// SPDX-License-Identifier: MIT
//
// The peer Go: its services. Go sets TCP_NODELAY by itself; io.Copy of a file
// to a TCP connection is sendfile.

package main

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
)

const chunk = 65536

var services = map[string]func(at, what string){
	"echo":     func(port, _ string) { serve("tcp", local(port), echo) },
	"relay":    func(port, _ string) { serve("tcp", local(port), echo) },
	"unix":     func(path, _ string) { serve("unix", path, echo) },
	"udp":      udp,
	"tls":      secure,
	"write":    write,
	"sendfile": sendfile,
	"http":     files,
}

func local(port string) string { return "127.0.0.1:" + port }

func accept(listener net.Listener, handle func(net.Conn)) {
	for {
		connection, err := listener.Accept()
		check(err)
		go handle(connection)
	}
}

func serve(network, address string, handle func(net.Conn)) {
	listener, err := net.Listen(network, address)
	check(err)
	accept(listener, handle)
}

func echo(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, chunk)
	for {
		got, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err := connection.Write(buffer[:got]); err != nil {
			return
		}
	}
}

func udp(port, _ string) {
	number, err := strconv.Atoi(port)
	check(err)
	at := net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: number}
	socket, err := net.ListenUDP("udp4", &at)
	check(err)
	buffer := make([]byte, chunk)
	for {
		got, from, err := socket.ReadFromUDPAddrPort(buffer)
		check(err)
		_, err = socket.WriteToUDPAddrPort(buffer[:got], from)
		check(err)
	}
}

func secure(port, pem string) {
	certificate, err := tls.LoadX509KeyPair(pem, pem)
	check(err)
	config := tls.Config{Certificates: []tls.Certificate{certificate}}
	listener, err := tls.Listen("tcp", local(port), &config)
	check(err)
	accept(listener, echo)
}

func write(port, bytes string) {
	wanted, err := strconv.Atoi(bytes)
	check(err)
	serve("tcp", local(port), func(connection net.Conn) {
		defer connection.Close()
		buffer := make([]byte, chunk)
		for left := wanted; left > 0; {
			size := chunk
			if left < size {
				size = left
			}
			sent, err := connection.Write(buffer[:size])
			if err != nil {
				return
			}
			left -= sent
		}
	})
}

func sendfile(port, path string) {
	serve("tcp", local(port), func(connection net.Conn) {
		defer connection.Close()
		file, err := os.Open(path)
		check(err)
		defer file.Close()
		io.Copy(connection, file)
	})
}

func files(port, folder string) {
	handler := http.FileServer(http.Dir(folder))
	check(http.ListenAndServe(local(port), handler))
}
