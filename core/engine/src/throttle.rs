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
    /// For one name from one address: guessing one password. For one name from everywhere together it is ten times as many, so
    /// that a stranger who guesses does not keep the person out.
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

/// How many times as often a name may be tried from everywhere together as from one address.
const EVERYWHERE: NonZeroU32 = NonZeroU32::new(10).expect("not zero");

/// Counts in 65,536 places that names and addresses are hashed to, so that made-up names cannot fill the memory. Two that
/// share a place share its rate; which do is not to be guessed.
pub(crate) struct Throttle {
    names: DefaultKeyedRateLimiter<u16>,
    names_everywhere: DefaultKeyedRateLimiter<u16>,
    addresses: DefaultKeyedRateLimiter<u16>,
    places: RandomState,
}

impl Throttle {
    pub(crate) fn new(rates: Rates) -> Self {
        Self {
            names: RateLimiter::keyed(Quota::per_minute(rates.per_name)),
            names_everywhere: RateLimiter::keyed(Quota::per_minute(
                rates.per_name.saturating_mul(EVERYWHERE),
            )),
            addresses: RateLimiter::keyed(Quota::per_minute(rates.per_address)),
            places: RandomState::new(),
        }
    }

    /// Counts an attempt, and says whether it may be made. An address that is over its rate does not use up the names'.
    pub(crate) fn admit(&self, name: &str, address: IpAddr) -> bool {
        let place = |key: u64| u16::try_from(key & 0xffff).unwrap_or_default();
        let (name, network) = (name.to_lowercase(), network(address));
        let here = place(self.places.hash_one((&name, network)));
        let everywhere = place(self.places.hash_one(&name));
        let address = place(self.places.hash_one(network));
        self.addresses.check_key(&address).is_ok()
            && self.names.check_key(&here).is_ok()
            && self.names_everywhere.check_key(&everywhere).is_ok()
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
        assert!(throttle.admit("ada", address(1)) && throttle.admit("Ada", address(1)));
        assert!(
            !throttle.admit("ADA", address(1)),
            "one name from one address"
        );
        assert!(
            throttle.admit("ada", address(2)),
            "the person at another address"
        );
        let admitted = (3..60).filter(|last| throttle.admit("ada", address(*last)));
        assert_eq!(
            admitted.count(),
            17,
            "one name from many addresses: 20 in all"
        );
        let admitted = (0..10)
            .filter(|name| throttle.admit(&name.to_string(), address(200)))
            .count();
        assert_eq!(admitted, 5, "many names from one address");
        let inside = |last| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        let admitted = (0..10)
            .filter(|name| throttle.admit(&format!("v6-{name}"), inside(*name)))
            .count();
        assert_eq!(admitted, 5, "many addresses of one IPv6 network");
    }
}
