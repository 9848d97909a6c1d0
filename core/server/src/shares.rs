//! What one network may have of something that all share: connections, memory for bodies.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use lanyard_engine::network;

/// Who has how much.
#[derive(Clone)]
pub(crate) struct Shares {
    most: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// Part of a network's share, given back when it is dropped.
pub(crate) struct Share {
    shares: Shares,
    network: IpAddr,
    amount: usize,
}

impl Shares {
    /// Each network may have `most` at a time.
    pub(crate) fn of(most: usize) -> Self {
        Self {
            most,
            taken: Arc::default(),
        }
    }

    /// Takes so much for the network of this address, unless that would be more than its share.
    pub(crate) fn take(&self, address: IpAddr, amount: usize) -> Option<Share> {
        let network = network(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let before = taken.get(&network).copied().unwrap_or_default();
        let after = before
            .checked_add(amount)
            .filter(|after| *after <= self.most)?;
        taken.insert(network, after);
        Some(Share {
            shares: self.clone(),
            network,
            amount,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let taken = &self.shares.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(had) = taken.get_mut(&self.network) {
            *had -= self.amount;
            if *had == 0 {
                taken.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_share_and_gives_it_back() {
        let shares = Shares::of(10);
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let held = [shares.take(one, 7).unwrap(), shares.take(one, 3).unwrap()];
        assert!(shares.take(one, 1).is_none() && shares.take(other, 10).is_some());
        drop(held);
        assert!(shares.take(one, 10).is_some());
        let inside = |last| IpAddr::from([0x2001, 0xdb8, 0, 0x0102, 0, 0, 0, last]);
        let _held = shares.take(inside(1), 10).unwrap();
        assert!(shares.take(inside(2), 1).is_none(), "one subscriber");
    }
}
