// SPDX-License-Identifier: MIT
//
// The peer Tokio: the works of executors, children, files and signals, on its
// current-thread runtime. Files are tokio::fs, which asks its blocking threads.

use std::process::{exit, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::signal::unix::{signal, SignalKind};
use tokio::task::spawn_blocking;

const BATCH: u64 = 1000;
const IN_FLIGHT: u64 = 64;
const BIG: usize = 512 << 20;
const CHUNK: usize = 65536;
const FILE_SIZE: usize = 1024;
const PAGE: usize = 4096;
const PAGES: u64 = 256;
const PIPED: u64 = 1 << 30;

type Result = io::Result<f64>;

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

extern "C" {
    fn clock_gettime(clock: i32, now: *mut Timespec) -> i32;
    fn raise(signal: i32) -> i32;
}

fn cpu() -> Duration {
    const PROCESS: i32 = 2;
    let mut now = Timespec { seconds: 0, nanoseconds: 0 };
    unsafe { clock_gettime(PROCESS, &mut now) };
    Duration::new(now.seconds as u64, now.nanoseconds as u32)
}

fn ns_each(time: Duration, n: u64) -> f64 {
    time.as_nanos() as f64 / n as f64
}

// Executors

async fn ask(times: u64) {
    for i in 0..times {
        let answer = spawn_blocking(move || i + 1).await;
        assert_eq!(answer.expect("a call"), i + 1);
    }
}

async fn round_trips(n: u64, in_flight: u64) {
    let tasks: Vec<_> = (0..in_flight)
        .map(|_| tokio::spawn(ask(n / in_flight)))
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
}

async fn executor_cpu(n: u64, in_flight: u64) -> Result {
    round_trips(BATCH, in_flight).await;
    let start = cpu();
    round_trips(n, in_flight).await;
    Ok(ns_each(cpu() - start, n))
}

async fn executor_wall(n: u64, in_flight: u64) -> Result {
    round_trips(BATCH, in_flight).await;
    let start = Instant::now();
    round_trips(n, in_flight).await;
    Ok(ns_each(start.elapsed(), n))
}

// Children

async fn succeed(mut child: Child) -> io::Result<()> {
    assert!(child.wait().await?.success());
    Ok(())
}

async fn child_1(n: u64) -> Result {
    let start = Instant::now();
    for _ in 0..n {
        succeed(Command::new("/bin/true").spawn()?).await?;
    }
    Ok(ns_each(start.elapsed(), n) / 1e3)
}

async fn child_big(n: u64) -> Result {
    let memory = vec![1u8; BIG];
    let us = child_1(n).await;
    std::hint::black_box(memory);
    us
}

async fn child_1000(n: u64) -> Result {
    let start = Instant::now();
    let mut children = Vec::new();
    for _ in 0..n {
        let mut command = Command::new("/bin/cat");
        children.push(command.stdin(Stdio::piped()).spawn()?);
    }
    for child in &mut children {
        drop(child.stdin.take());
    }
    for child in children {
        succeed(child).await?;
    }
    Ok(ns_each(start.elapsed(), 1) / 1e6)
}

fn shell(command: &str) -> Command {
    let before = env::var("BENCH_CHILD").unwrap_or_default();
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("exec {before} {command}"));
    shell
}

async fn write_all(mut pipe: ChildStdin, n: u64) -> io::Result<()> {
    let chunk = vec![0; CHUNK];
    for _ in 0..n / CHUNK as u64 {
        pipe.write_all(&chunk).await?;
    }
    Ok(())
}

async fn read_all(mut pipe: ChildStdout) -> io::Result<u64> {
    let mut chunk = vec![0; CHUNK];
    let mut all = 0;
    loop {
        match pipe.read(&mut chunk).await? {
            0 => return Ok(all),
            got => all += got as u64,
        }
    }
}

async fn pipes(mut shell: Command, n: u64) -> Result {
    let start = Instant::now();
    let mut child = shell.spawn()?;
    let writer = child.stdin.take().map(|p| tokio::spawn(write_all(p, n)));
    if let Some(pipe) = child.stdout.take() {
        assert_eq!(read_all(pipe).await?, n);
    }
    if let Some(writer) = writer {
        writer.await??;
    }
    succeed(child).await?;
    Ok(n as f64 / (1 << 20) as f64 / start.elapsed().as_secs_f64())
}

async fn pipe_out(n: u64) -> Result {
    let count = n / CHUNK as u64;
    let dd = format!("dd if=/dev/zero bs={CHUNK} count={count} status=none");
    let mut shell = shell(&dd);
    shell.stdout(Stdio::piped());
    pipes(shell, n).await
}

async fn pipe_in(n: u64) -> Result {
    let mut shell = shell("cat >/dev/null");
    shell.stdin(Stdio::piped());
    pipes(shell, n).await
}

async fn pipe_both(n: u64) -> Result {
    let mut shell = shell("cat");
    shell.stdin(Stdio::piped()).stdout(Stdio::piped());
    pipes(shell, n).await
}

// Files

fn in_tmpdir(name: &str) -> String {
    let folder = env::var("TMPDIR").unwrap_or("/tmp".to_string());
    format!("{folder}/bench.{}{name}", std::process::id())
}

fn long_file() -> io::Result<tokio::fs::File> {
    let path = in_tmpdir("");
    fs::write(&path, vec![0; PAGES as usize * PAGE])?;
    let file = fs::OpenOptions::new().read(true).write(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(tokio::fs::File::from_std(file))
}

async fn file_pread(n: u64) -> Result {
    let mut file = long_file()?;
    let mut page = [0; PAGE];
    let start = cpu();
    for i in 0..n {
        file.seek(io::SeekFrom::Start(i % PAGES * PAGE as u64)).await?;
        file.read_exact(&mut page).await?;
    }
    Ok(ns_each(cpu() - start, n))
}

async fn read_small(path: &str) -> io::Result<()> {
    let mut bytes = [0; FILE_SIZE];
    let mut file = tokio::fs::File::open(path).await?;
    let size = file.metadata().await?.len();
    assert_eq!(file.read(&mut bytes).await?, size as usize);
    Ok(())
}

async fn file_small(n: u64) -> Result {
    let folder = in_tmpdir("d");
    let path = |i: u64| format!("{folder}/{:03}", i % BATCH);
    fs::create_dir(&folder)?;
    for i in 0..BATCH {
        fs::write(path(i), [0; FILE_SIZE])?;
    }
    let start = cpu();
    for i in 0..n {
        read_small(&path(i)).await?;
    }
    let ns = ns_each(cpu() - start, n);
    fs::remove_dir_all(&folder)?;
    Ok(ns)
}

async fn file_sync(n: u64) -> Result {
    let mut file = long_file()?;
    let page = [0; PAGE];
    let start = Instant::now();
    for i in 0..n {
        file.seek(io::SeekFrom::Start(i % PAGES * PAGE as u64)).await?;
        file.write_all(&page).await?;
        file.sync_all().await?;
    }
    Ok(ns_each(start.elapsed(), n) / 1e3)
}

// Signals

async fn signals(n: u64) -> Result {
    let kind = SignalKind::user_defined1();
    let mut told = signal(kind)?;
    let start = cpu();
    for _ in 0..n {
        unsafe { raise(kind.as_raw_value()) };
        told.recv().await;
    }
    Ok(ns_each(cpu() - start, n))
}

/// Runs a work and prints its figure; returns if there is no such work.
pub async fn run(work: &str, n: Option<u64>) -> io::Result<()> {
    let or = |usual| n.unwrap_or(usual);
    let figure = match work {
        "executor-1" => executor_cpu(or(100_000), 1).await?,
        "executor-64" => executor_cpu(or(320_000), IN_FLIGHT).await?,
        "executor-1-wall" => executor_wall(or(50_000), 1).await?,
        "executor-64-wall" => executor_wall(or(320_000), IN_FLIGHT).await?,
        "child-1" => child_1(or(1000)).await?,
        "child-big" => child_big(or(1000)).await?,
        "child-1000" => child_1000(or(BATCH)).await?,
        "pipe-out" => pipe_out(or(PIPED)).await?,
        "pipe-in" => pipe_in(or(PIPED)).await?,
        "pipe-both" => pipe_both(or(PIPED)).await?,
        "file-pread" => file_pread(or(50_000)).await?,
        "file-small" => file_small(or(10_000)).await?,
        "file-sync" => file_sync(or(200)).await?,
        "signal" => signals(or(100_000)).await?,
        _ => return Ok(()),
    };
    println!("{work} {figure:.3}");
    exit(0);
}
