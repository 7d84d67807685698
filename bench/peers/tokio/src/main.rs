// SPDX-License-Identifier: MIT
//
// The peer Tokio: the services on its current-thread runtime, a task for each
// connection. See peer.h for what they are; the works are in works.rs.

mod works;

use std::net::Ipv4Addr;
use std::{env, future::Future, io, process};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, UnixListener};

const CHUNK: usize = 65536;
const MESSAGE: usize = 16384 + 1; // a buffer for each task: it is touched
const UNSUPPORTED: i32 = 3;

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

async fn echo<S>(mut stream: S, size: usize)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = vec![0; size];
    loop {
        match stream.read(&mut buffer).await {
            Ok(got) if got > 0 => {
                if stream.write_all(&buffer[..got]).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

async fn send(mut stream: TcpStream, bytes: u64) {
    let buffer = vec![0; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let size = left.min(CHUNK as u64) as usize;
        if stream.write_all(&buffer[..size]).await.is_err() {
            return;
        }
        left -= size as u64;
    }
}

fn listen(port: &str) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, number(port) as u16).into())?;
    socket.listen(1024)
}

async fn serve<F, R>(port: &str, handle: F) -> io::Result<()>
where
    F: Fn(TcpStream) -> R,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = listen(port)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(handle(stream));
    }
}

async fn serve_unix(path: &str) -> io::Result<()> {
    let listener = UnixListener::bind(path)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(echo(stream, MESSAGE));
    }
}

async fn serve_udp(port: &str) -> io::Result<()> {
    let at = (Ipv4Addr::LOCALHOST, number(port) as u16);
    let socket = UdpSocket::bind(at).await?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let (got, from) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&buffer[..got], from).await?;
    }
}

async fn run(args: &[String]) -> io::Result<()> {
    let service = args.first().map_or("", |name| name.as_str());
    match (service, &args[args.len().min(1)..]) {
        ("echo", [port, ..]) => serve(port, |s| echo(s, MESSAGE)).await,
        ("relay", [port, ..]) => serve(port, |s| echo(s, CHUNK)).await,
        ("unix", [path, ..]) => serve_unix(path).await,
        ("udp", [port, ..]) => serve_udp(port).await,
        ("write", [port, bytes, ..]) => {
            let bytes = number(bytes);
            serve(port, move |stream| send(stream, bytes)).await
        }
        (work, n) => {
            works::run(work, n.first().map(|n| number(n))).await?;
            println!("{service} unsupported");
            process::exit(UNSUPPORTED);
        }
    }
}

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run(&args))
}
