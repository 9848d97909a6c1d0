//! Several sealing keys: one seals, all of them open.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
};

use zeroize::Zeroizing;

use super::{SealError, SealingKey};

/// What a sealing key is called: the first four octets of a digest of it, eight hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub(super) [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl FromStr for KeyId {
    type Err = SealError;

    fn from_str(text: &str) -> Result<Self, SealError> {
        let digits = text.len() == 8 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
        let id = digits.then(|| u32::from_str_radix(text, 16).ok()).flatten();
        Ok(Self(id.ok_or(SealError::Id)?.to_be_bytes()))
    }
}

/// Sealing keys in the order in which they came, of which one is current: it seals. All of them open. Clones are the same ring, so that
/// a rotation reaches everything that seals or opens.
#[derive(Clone)]
pub struct KeyRing(Arc<RwLock<Keys>>);

struct Keys {
    all: Vec<SealingKey>,
    current: usize,
}

impl KeyRing {
    /// Reads one key a line, the oldest first, each as [`SealingKey::from_text`] does; lines that are empty or begin with `#` are passed
    /// over. The first key is current, until [`Self::turn_to`] says otherwise.
    ///
    /// # Errors
    /// [`SealError::Key`], also where there is none at all; [`SealError::Alike`].
    pub fn from_text(text: &str) -> Result<Self, SealError> {
        let mut all: Vec<SealingKey> = Vec::new();
        for line in key_lines(text) {
            let key = SealingKey::from_text(line)?;
            if all.iter().any(|other| other.id() == key.id()) {
                return Err(SealError::Alike);
            }
            all.push(key);
        }
        if all.is_empty() {
            return Err(SealError::Key);
        }
        Ok(Self(Arc::new(RwLock::new(Keys { all, current: 0 }))))
    }

    /// The text without the line of this key, and otherwise as it is.
    #[must_use]
    pub fn text_without(text: &str, id: KeyId) -> Zeroizing<String> {
        let other = |line: &&str| {
            let key = key_lines(line).next().map(SealingKey::from_text);
            !matches!(key, Some(Ok(key)) if key.id() == id)
        };
        let kept = text.split_inclusive('\n').filter(other);
        let mut without = Zeroizing::new(String::with_capacity(text.len()));
        kept.for_each(|line| without.push_str(line));
        without
    }

    /// The text and, below it, this key.
    #[must_use]
    pub fn text_with(text: &str, key: &SealingKey) -> Zeroizing<String> {
        let key = key.to_text();
        let mut with = Zeroizing::new(String::with_capacity(text.len() + key.len() + 2));
        with.push_str(text);
        if !text.is_empty() && !text.ends_with('\n') {
            with.push('\n');
        }
        with.push_str(&key);
        with.push('\n');
        with
    }

    /// The keys' ids, the oldest first.
    #[must_use]
    pub fn ids(&self) -> Vec<KeyId> {
        self.read(|keys| keys.all.iter().map(SealingKey::id).collect())
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn current(&self) -> KeyId {
        self.read(|keys| keys.all[keys.current].id())
    }

    /// A key of the ring.
    #[must_use]
    pub fn key(&self, id: KeyId) -> Option<SealingKey> {
        self.read(|keys| keys.all.iter().find(|key| key.id() == id).cloned())
    }

    /// Makes this key the one that seals; whether the ring has it.
    pub fn turn_to(&self, id: KeyId) -> bool {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let place = keys.all.iter().position(|key| key.id() == id);
        if let Some(place) = place {
            keys.current = place;
        }
        place.is_some()
    }

    /// Takes over the keys of another ring, in its order. The current key stays current, and stays in the ring if the other has it not:
    /// what seals must open.
    pub fn take_over(&self, other: &KeyRing) {
        let mut all: Vec<SealingKey> = other.read(|keys| keys.all.clone());
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let current = keys.all[keys.current].clone();
        let place = all.iter().position(|key| key.id() == current.id());
        keys.current = place.unwrap_or(0);
        if place.is_none() {
            all.insert(0, current);
        }
        keys.all = all;
    }

    /// Seals a secret for one place, with the current key.
    #[must_use]
    pub fn seal(&self, context: &str, secret: &[u8]) -> Vec<u8> {
        self.current_key().seal(context, secret)
    }

    /// Opens what any key of the ring sealed for this place.
    ///
    /// # Errors
    /// [`SealError`]
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let id = sealed_with(sealed).ok_or(SealError::Damaged)?;
        let key = self.key(id).ok_or(SealError::OtherKey)?;
        key.open(context, sealed)
    }

    /// Keys for something else, one of each key of the ring, whichever they are at the time.
    #[must_use]
    pub fn derive(&self, purpose: &'static str) -> MacRing {
        MacRing {
            ring: self.clone(),
            purpose,
        }
    }

    fn current_key(&self) -> SealingKey {
        self.read(|keys| keys.all[keys.current].clone())
    }

    fn read<T>(&self, look: impl FnOnce(&Keys) -> T) -> T {
        // Nothing panics while it holds the lock for writing.
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<SealingKey> for KeyRing {
    fn from(key: SealingKey) -> Self {
        Self(Arc::new(RwLock::new(Keys {
            all: vec![key],
            current: 0,
        })))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({:?}, current {})", self.ids(), self.current())
    }
}

/// Which key sealed a value, from its first five octets on; `None` for what is no sealed value.
#[must_use]
pub fn sealed_with(sealed: &[u8]) -> Option<KeyId> {
    let (&version, rest) = sealed.split_first()?;
    let id = rest.first_chunk()?;
    (version == super::VERSION).then_some(KeyId(*id))
}

/// Keys for message authentication, derived from a [`KeyRing`]: the current one tags, all of them verify.
#[derive(Clone, Debug)]
pub struct MacRing {
    ring: KeyRing,
    purpose: &'static str,
}

impl MacRing {
    /// The authentication tag of a message.
    #[must_use]
    pub fn tag(&self, message: &[u8]) -> [u8; 32] {
        self.ring.current_key().derive(self.purpose).tag(message)
    }

    /// Whether the tag is the message's under one of the keys. The time it takes tells at most which key it was.
    #[must_use]
    pub fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        let keys = self.ring.read(|keys| keys.all.clone());
        (keys.iter()).any(|key| key.derive(self.purpose).verify(message, tag))
    }
}

fn key_lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keys: &[&SealingKey]) -> KeyRing {
        let lines: Vec<String> = keys.iter().map(|key| key.to_text().to_string()).collect();
        KeyRing::from_text(&format!("# ours\n\n{}\n", lines.join("\n"))).unwrap()
    }

    #[test]
    fn a_ring_opens_with_every_key_and_seals_with_one() {
        let [old, new] = [SealingKey::generate(), SealingKey::generate()];
        let both = ring(&[&old, &new]);
        assert_eq!(both.ids(), [old.id(), new.id()]);
        assert_eq!(both.current(), old.id());
        let sealed = both.seal("a", b"secret");
        assert_eq!(sealed_with(&sealed), Some(old.id()));
        // As a value is that one key sealed before there were rings.
        assert_eq!(
            both.open("a", &old.seal("a", b"x")).unwrap().as_slice(),
            b"x"
        );

        let shared = both.clone();
        assert!(both.turn_to(new.id()));
        assert!(!both.turn_to(SealingKey::generate().id()));
        assert_eq!(sealed_with(&shared.seal("a", b"secret")), Some(new.id()));
        assert_eq!(shared.open("a", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(shared.open("b", &sealed), Err(SealError::Forged));

        both.take_over(&ring(&[&new]));
        assert_eq!(shared.open("a", &sealed), Err(SealError::OtherKey));
        assert_eq!(shared.ids(), [new.id()]);
    }

    #[test]
    fn the_current_key_stays_when_others_are_taken_over() {
        let [current, other] = [SealingKey::generate(), SealingKey::generate()];
        let here = KeyRing::from(current.clone());
        here.take_over(&ring(&[&other]));
        assert_eq!(here.current(), current.id());
        assert_eq!(here.ids(), [current.id(), other.id()]);
    }

    #[test]
    fn derived_keys_of_a_ring_verify_what_an_older_one_tagged() {
        let [old, new] = [SealingKey::generate(), SealingKey::generate()];
        let both = ring(&[&old, &new]);
        let derived = both.derive("challenges");
        let tag = derived.tag(b"message");
        both.turn_to(new.id());
        assert_ne!(derived.tag(b"message"), tag);
        assert!(derived.verify(b"message", &tag));
        assert!(!both.derive("else").verify(b"message", &tag));
        both.take_over(&ring(&[&new]));
        assert!(!derived.verify(b"message", &tag));
    }

    #[test]
    fn a_file_keeps_its_remarks() {
        let [old, new] = [SealingKey::generate(), SealingKey::generate()];
        let text = format!("# made in spring\n{}", old.to_text().as_str());
        let both = KeyRing::text_with(&text, &new);
        assert_eq!(
            KeyRing::from_text(&both).unwrap().ids(),
            [old.id(), new.id()]
        );
        let one = KeyRing::text_without(&both, old.id());
        assert_eq!(
            one.as_str(),
            format!("# made in spring\n{}\n", new.to_text().as_str())
        );
    }

    #[test]
    fn what_is_no_ring_is_refused() {
        let key = SealingKey::generate().to_text();
        let twice = format!("{0}\n{0}\n", key.as_str());
        for (text, error) in [
            ("", SealError::Key),
            ("# nothing\n", SealError::Key),
            ("no key", SealError::Key),
            (twice.as_str(), SealError::Alike),
        ] {
            assert_eq!(KeyRing::from_text(text).unwrap_err(), error, "{text}");
        }
        assert_eq!("00ff".parse::<KeyId>(), Err(SealError::Id));
        let id = SealingKey::generate().id();
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
