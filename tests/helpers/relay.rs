//! A TCP relay that can kill its open connections, as happens while a Lambda container is frozen.

use std::time::Duration;

use organization_invitations::local::stack;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// The end of a connection that was idle for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The peer, or a device in between, has dropped the connection silently: written data is lost.
    Silent,
    /// The peer has closed the connection.
    Closed,
}

pub struct Relay {
    url: String,
    deaths: watch::Sender<Option<Death>>,
    server: JoinHandle<()>,
}

impl Relay {
    /// Starts a relay in front of the server at `upstream`, an `http` address without a path.
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

    /// Kills every open connection. New connections work.
    pub async fn end_connections(&self, death: Death) {
        self.deaths.send(Some(death)).unwrap();
        // The close of a connection arrives with a delay.
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
                // Both sockets stay open, but are no longer read.
                sleep(Duration::from_mins(1)).await;
            }
        }
    }
}
