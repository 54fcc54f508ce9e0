//! A TCP relay whose open connections can die, as those of a frozen container do.

use std::time::Duration;

use organization_invitations::local::stack;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// How a connection ends that was idle for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The peer, or a device on the way, has dropped it silently: what is written is lost.
    Silent,
    /// The other side has closed it.
    Closed,
}

pub struct Relay {
    url: String,
    deaths: watch::Sender<Option<Death>>,
    server: JoinHandle<()>,
}

impl Relay {
    /// In front of the server at `upstream`, an `http` address without a path.
    pub async fn start(upstream: &str) -> Self {
        let (listener, url) = stack::listen(0, "").await.unwrap();
        let (deaths, dying) = watch::channel(None);
        let upstream = upstream.strip_prefix("http://").unwrap().to_owned();
        let server = tokio::spawn(accept(listener, upstream, dying));
        Self { url, deaths, server }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends every open connection. New ones live.
    pub async fn end_connections(&self, death: Death) {
        self.deaths.send(Some(death)).unwrap();
        // The end of a connection arrives with a delay.
        sleep(Duration::from_millis(20)).await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, upstream: String, dying: watch::Receiver<Option<Death>>) {
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let mut dying = dying.clone();
        dying.mark_unchanged();
        let far = TcpStream::connect(&upstream).await.unwrap();
        tokio::spawn(pass(near, far, dying));
    }
}

async fn pass(mut near: TcpStream, mut far: TcpStream, mut dying: watch::Receiver<Option<Death>>) {
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        changed = dying.changed() => {
            if changed.is_ok() && *dying.borrow() == Some(Death::Silent) {
                // Both sockets stay open, and are not read.
                sleep(Duration::from_mins(1)).await;
            }
        }
    }
}
