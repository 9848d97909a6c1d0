//! How often somebody may try to sign in, by name and by address.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    num::NonZeroU32,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Sign-ins a minute, which is also how many may come at once.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// For one name, whatever the address: guessing one password.
    pub per_name: NonZeroU32,
    /// From one address, whatever the name: guessing many. A school's devices share one.
    pub per_address: NonZeroU32,
}

impl Default for Rates {
    fn default() -> Self {
        const TEN: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
        const HUNDRED: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
        Self {
            per_name: TEN,
            per_address: HUNDRED,
        }
    }
}

/// Counts in 65,536 places that names and addresses are hashed to, so that made-up names cannot fill the memory. Two that
/// share a place share its rate; which do is not to be guessed.
pub(crate) struct Throttle {
    names: DefaultKeyedRateLimiter<u16>,
    addresses: DefaultKeyedRateLimiter<u16>,
    places: RandomState,
}

impl Throttle {
    pub(crate) fn new(rates: Rates) -> Self {
        Self {
            names: RateLimiter::keyed(Quota::per_minute(rates.per_name)),
            addresses: RateLimiter::keyed(Quota::per_minute(rates.per_address)),
            places: RandomState::new(),
        }
    }

    /// Counts an attempt, and says whether it may be made. An address that is over its rate does not use up the names'.
    pub(crate) fn admit(&self, name: &str, address: IpAddr) -> bool {
        let place = |key: u64| u16::try_from(key & 0xffff).unwrap_or_default();
        let address = place(self.places.hash_one(network(address)));
        let name = place(self.places.hash_one(name.to_lowercase()));
        self.addresses.check_key(&address).is_ok() && self.names.check_key(&name).is_ok()
    }
}

/// An IPv6 host has a whole /64 to choose addresses from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_have_rates_of_their_own() {
        let two = NonZeroU32::new(2).unwrap();
        let throttle = Throttle::new(Rates {
            per_name: two,
            per_address: NonZeroU32::new(5).unwrap(),
        });
        let address = |last| IpAddr::from([192, 0, 2, last]);
        assert!(throttle.admit("ada", address(1)) && throttle.admit("Ada", address(2)));
        assert!(
            !throttle.admit("ADA", address(3)),
            "one name from many addresses"
        );
        let admitted = (0..10)
            .filter(|name| throttle.admit(&name.to_string(), address(9)))
            .count();
        assert_eq!(admitted, 5, "many names from one address");
        let inside = |last| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        let admitted = (0..10)
            .filter(|name| throttle.admit(&format!("v6-{name}"), inside(*name)))
            .count();
        assert_eq!(admitted, 5, "many addresses of one IPv6 network");
    }
}
