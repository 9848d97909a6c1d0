//! What stands before several nodes: each connection goes to the next one that takes it. Before one, it is a wire that can be cut.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Forwards connections until it is dropped.
pub struct Balancer {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    cut: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Balancer {
    /// Stands before these nodes, on a free port of loopback.
    ///
    /// # Errors
    /// It cannot listen.
    pub fn start(nodes: Vec<SocketAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let of_thread = Arc::clone(&state);
        thread::spawn(move || {
            for (turn, connection) in listener.incoming().enumerate() {
                if of_thread.stop.load(Ordering::Relaxed) {
                    return;
                }
                let (nodes, state) = (nodes.clone(), Arc::clone(&of_thread));
                if let Ok(connection) = connection {
                    thread::spawn(move || forward(connection, &nodes, turn, &state));
                }
            }
        });
        Ok(Self { address, state })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks all connections, and each further one at once, until [`Balancer::mend`].
    pub fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
        for connection in self.state.open().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.state.cut.store(false, Ordering::SeqCst);
    }
}

impl State {
    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        // Its thread waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn forward(client: TcpStream, nodes: &[SocketAddr], turn: usize, state: &State) {
    let in_turn = nodes.iter().cycle().skip(turn % nodes.len());
    let mut tried = in_turn.take(nodes.len());
    let Some(node) = tried.find_map(|node| TcpStream::connect(node).ok()) else {
        return;
    };
    let (Ok(from_client), Ok(to_node)) = (client.try_clone(), node.try_clone()) else {
        return;
    };
    if let (Ok(client), Ok(node)) = (client.try_clone(), node.try_clone()) {
        let mut open = state.open();
        open.retain(|connection| connection.peer_addr().is_ok());
        open.extend([client, node]);
    }
    // Looked at once it can be broken: it is cut now, or then.
    if state.cut.load(Ordering::SeqCst) {
        return;
    }
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
