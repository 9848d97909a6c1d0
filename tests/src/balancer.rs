//! What stands before several nodes: each connection goes to the next one that takes it.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Forwards connections until it is dropped.
pub struct Balancer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Balancer {
    /// Stands before these nodes, on a free port of loopback.
    ///
    /// # Errors
    /// It cannot listen.
    pub fn start(nodes: Vec<SocketAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::spawn(move || {
            for (turn, connection) in listener.incoming().enumerate() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let nodes = nodes.clone();
                if let Ok(connection) = connection {
                    thread::spawn(move || forward(connection, &nodes, turn));
                }
            }
        });
        Ok(Self { address, stop })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Its thread waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn forward(client: TcpStream, nodes: &[SocketAddr], turn: usize) {
    let in_turn = nodes.iter().cycle().skip(turn % nodes.len());
    let mut tried = in_turn.take(nodes.len());
    let Some(node) = tried.find_map(|node| TcpStream::connect(node).ok()) else {
        return;
    };
    let (Ok(from_client), Ok(to_node)) = (client.try_clone(), node.try_clone()) else {
        return;
    };
    let there = thread::spawn(move || pass(from_client, to_node));
    pass(node, client);
    let _ = there.join();
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = to.set_nodelay(true);
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
