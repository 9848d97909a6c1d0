//! How often somebody may try to sign in, by name and by address, and make us compute.

use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
};

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_properties::{CodePointSetData, props::DefaultIgnorableCodePoint};

/// How much of each a minute, which is also how many may come at once.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Sign-ins with one name from one address: guessing one password. For one name from everywhere together it is ten times as many, so
    /// that a stranger who guesses does not keep the person out.
    pub per_name: NonZeroU32,
    /// Sign-ins from one address, whatever the name: guessing many. A school's devices share one.
    pub per_address: NonZeroU32,
    /// SCEP and enrollment messages from one address. Each costs private-key operations before it is known who asks; an
    /// enrollment takes about six.
    pub messages_per_address: NonZeroU32,
}

impl Default for Rates {
    fn default() -> Self {
        const TEN: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
        const HUNDRED: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
        const TWELVE_HUNDRED: NonZeroU32 = NonZeroU32::new(1200).expect("not zero");
        Self {
            per_name: TEN,
            per_address: HUNDRED,
            messages_per_address: TWELVE_HUNDRED,
        }
    }
}

/// Check-in messages of one enrollment a minute. A device sends a handful in its life, a Shared iPad one for each user.
const CHECK_INS: NonZeroU32 = NonZeroU32::new(60).expect("not zero");

/// Records an hour of what strangers led a directory to: enough to see what is wrong, and no way to fill a disk.
const RECORDS: NonZeroU32 = NonZeroU32::new(500).expect("not zero");

/// Records an hour of bindings on trial: enough to judge one by, and no more than strangers may lead to.
const TRIAL_RECORDS: NonZeroU32 = NonZeroU32::new(500).expect("not zero");

/// How many times as often a name may be tried from everywhere together as from one address.
const EVERYWHERE: NonZeroU32 = NonZeroU32::new(10).expect("not zero");

/// Counts in 65,536 places that names and addresses are hashed to, so that made-up names cannot fill the memory. Two that
/// share a place share its rate; which do is not to be guessed.
pub(crate) struct Throttle {
    names: DefaultKeyedRateLimiter<u16>,
    names_everywhere: DefaultKeyedRateLimiter<u16>,
    /// One a minute for each name and network, whatever strangers do elsewhere.
    names_at_home: DefaultKeyedRateLimiter<u16>,
    addresses: DefaultKeyedRateLimiter<u16>,
    messages: DefaultKeyedRateLimiter<u16>,
    check_ins: DefaultKeyedRateLimiter<u16>,
    records: DefaultDirectRateLimiter,
    trials: DefaultDirectRateLimiter,
    /// Trials that were left out since that was last told, and when it may be told.
    left_out: AtomicU64,
    telling: DefaultDirectRateLimiter,
    places: RandomState,
}

impl Throttle {
    pub(crate) fn new(rates: Rates) -> Self {
        Self {
            names: RateLimiter::keyed(Quota::per_minute(rates.per_name)),
            names_everywhere: RateLimiter::keyed(Quota::per_minute(
                rates.per_name.saturating_mul(EVERYWHERE),
            )),
            names_at_home: RateLimiter::keyed(Quota::per_minute(NonZeroU32::MIN)),
            addresses: RateLimiter::keyed(Quota::per_minute(rates.per_address)),
            messages: RateLimiter::keyed(Quota::per_minute(rates.messages_per_address)),
            check_ins: RateLimiter::keyed(Quota::per_minute(CHECK_INS)),
            records: RateLimiter::direct(Quota::per_hour(RECORDS)),
            trials: RateLimiter::direct(Quota::per_hour(TRIAL_RECORDS)),
            left_out: AtomicU64::new(0),
            telling: RateLimiter::direct(Quota::per_hour(NonZeroU32::MIN)),
            places: RandomState::new(),
        }
    }

    /// Counts a step of a sign-in from an address, whoever it is of, and says whether it may be looked at.
    pub(crate) fn admit_address(&self, address: IpAddr) -> bool {
        let place = self.place(network(address));
        self.addresses.check_key(&place).is_ok()
    }

    /// Counts a step of a sign-in with a name, and says whether it may be tried. Who asks has asked for the address first, so that one
    /// that is over its rate does not use up the names'.
    pub(crate) fn admit_name(&self, name: &str, address: IpAddr) -> bool {
        let name = folded(name);
        let here = self.place((&name, network(address)));
        let everywhere = self.place(&name);
        self.names.check_key(&here).is_ok()
            && (self.names_everywhere.check_key(&everywhere).is_ok()
                || self.names_at_home.check_key(&here).is_ok())
    }

    /// Counts a message that costs private-key operations, and says whether it may be read.
    pub(crate) fn admit_message(&self, address: IpAddr) -> bool {
        let place = self.place(network(address));
        self.messages.check_key(&place).is_ok()
    }

    /// Counts a check-in message of an enrollment, each of which is a write and a push, and says whether it may be taken.
    pub(crate) fn admit_check_in(&self, enrollment: &str) -> bool {
        let place = self.place(enrollment);
        self.check_ins.check_key(&place).is_ok()
    }

    /// Counts a record of a sign-in that nobody has proven anything in, and says whether it may be kept.
    pub(crate) fn admit_record(&self) -> bool {
        self.records.check().is_ok()
    }

    /// Counts the record of a trial, and says whether it may be made.
    pub(crate) fn admit_trial(&self) -> bool {
        self.trials.check().is_ok()
    }

    /// Counts a trial that is left out; how many were, once an hour.
    pub(crate) fn leave_out_trial(&self) -> Option<u64> {
        self.left_out.fetch_add(1, Ordering::Relaxed);
        let tell = self.telling.check().is_ok();
        tell.then(|| self.left_out.swap(0, Ordering::Relaxed))
    }

    fn place(&self, key: impl Hash) -> u16 {
        u16::try_from(self.places.hash_one(key) & 0xffff).unwrap_or_default()
    }
}

/// What directories take for the same name is the same here, or one account could be guessed at under many names: they look through
/// widths and forms of letters, case, accents, blanks and what cannot be seen (RFC 4518 and more). No two directories do it alike, so
/// this keeps letters, digits and ASCII's signs, and nothing else: two persons who share a rate are no harm.
fn folded(name: &str) -> String {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    DecomposingNormalizerBorrowed::new_nfkd()
        .normalize(name)
        .chars()
        .filter(|c| c.is_alphanumeric() || c.is_ascii_graphic())
        .filter(|c| !ignorable.contains(*c))
        // To upper case first: it takes together what lower case leaves apart (ß and ss, ς and σ, ı and i).
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

/// Whom an address counts for: itself, or the /56 of an IPv6 address, which is what one subscriber has to choose from.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d & 0xff00, 0, 0, 0, 0])
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
            messages_per_address: NonZeroU32::new(3).unwrap(),
        });
        let admits = |name: &str, address| {
            throttle.admit_address(address) && throttle.admit_name(name, address)
        };
        let address = |last| IpAddr::from([192, 0, 2, last]);
        assert!(admits("ada", address(1)) && admits("Ada", address(1)));
        assert!(!admits("ADA", address(1)), "one name from one address");
        assert!(admits("ada", address(2)), "the person at another address");
        let admitted = (3..60).filter(|last| admits("ada", address(*last)));
        assert_eq!(
            admitted.count(),
            57,
            "one name from many addresses: 20 in all, and one from each"
        );
        let admitted = (0..10)
            .filter(|name| admits(&name.to_string(), address(200)))
            .count();
        assert_eq!(admitted, 5, "many names from one address");
        let inside = |last| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        let admitted = (0..10)
            .filter(|name| admits(&format!("v6-{name}"), inside(*name)))
            .count();
        assert_eq!(admitted, 5, "many addresses of one IPv6 network");
        let admitted = (0..10)
            .filter(|_| throttle.admit_message(address(201)))
            .count();
        assert_eq!(admitted, 3, "messages of one address");
        assert!(throttle.admit_message(address(202)));
    }

    #[test]
    fn what_directories_take_for_one_name_is_one() {
        for same in [
            "ADA.Lovelace",
            "ａｄａ．ｌｏｖｅｌａｃｅ",
            "a\u{ad}da.love\u{200b}lace",
            "ada.\u{2060}lovelace\u{fe0f}",
            " ada. lovelace\u{3000}",
            "ad\u{3164}a.lovelace\u{115f}",
            "ádà.lovelacé",
            "a\u{301}da.lovelace",
            "𝐚𝐝𝐚.𝑙𝑜𝑣𝑒𝑙𝑎𝑐𝑒",
            "ⓐda.lovelace\u{0}",
        ] {
            assert_eq!(folded(same), "ada.lovelace", "{same:?}");
        }
        for (one, other) in [
            ("Strauß", "STRAUSS"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσεύς"),
            ("İnci", "ınci"),
            ("ﬁona", "Fiona"),
            ("Ёлка", "елка"),
        ] {
            assert_eq!(folded(one), folded(other));
        }
        for (one, other) in [
            ("ada.lovelace", "adalovelace"),
            ("ada1", "ada2"),
            ("王伟", "王芳"),
            ("ada@a.example", "ada@b.example"),
        ] {
            assert_ne!(folded(one), folded(other));
        }
    }

    #[test]
    fn trials_and_what_strangers_lead_to_leave_so_many_records_each() {
        let throttle = Throttle::new(Rates::default());
        // One comes back in seven seconds.
        for admit in [Throttle::admit_record, Throttle::admit_trial] {
            let admitted = (0..2_000).filter(|_| admit(&throttle)).count();
            assert!((500..600).contains(&admitted), "{admitted}");
        }
        assert_eq!(throttle.leave_out_trial(), Some(1));
        assert!((0..100).all(|_| throttle.leave_out_trial().is_none()));
    }
}
