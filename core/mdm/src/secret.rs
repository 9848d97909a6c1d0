//! The values that open something: push tokens, unlock tokens, challenges.
//!
//! Each is a type of its own, so that one cannot be stored or sent in the place of another. All are wiped when dropped, print as
//! their length only, and are read through `expose`, which is easy to find in a review.

use std::fmt;

use zeroize::Zeroizing;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident($inner:ty) exposes $exposed:ty) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Zeroizing<$inner>);

        impl $name {
            /// Takes the secret over.
            #[must_use]
            pub fn new(secret: impl Into<$inner>) -> Self {
                Self(Zeroizing::new(secret.into()))
            }

            /// The secret itself. Whoever calls this answers for where it goes.
            #[must_use]
            pub fn expose(&self) -> &$exposed {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({} bytes)"), self.0.len())
            }
        }
    };
}

secret! {
    /// `Token` of TokenUpdate: where APNs delivers this channel's pushes. Its length is Apple's to choose (32 bytes so far).
    DeviceToken(Vec<u8>) exposes [u8]
}

impl DeviceToken {
    /// The token in lower-case hexadecimal, as the path of an APNs request spells it.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = Zeroizing::new(String::with_capacity(self.0.len() * 2));
        for byte in self.0.iter() {
            hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
            hex.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        hex
    }
}

secret! {
    /// `PushMagic` of TokenUpdate: what a push must say so that the device believes it.
    PushMagic(String) exposes str
}

secret! {
    /// `UnlockToken` of TokenUpdate: clears the passcode of this device. 1–4 KB.
    UnlockToken(Vec<u8>) exposes [u8]
}

secret! {
    /// `BootstrapToken`: authorizes updates and secure tokens on a Mac.
    BootstrapToken(Vec<u8>) exposes [u8]
}

secret! {
    /// `DigestResponse` of UserAuthenticate: the answer to a password challenge, attackable offline.
    DigestResponse(String) exposes str
}

secret! {
    /// A single-use challenge: of the Profile Service document (phase 2 echoes it) or of a SCEP payload.
    Challenge(String) exposes str
}

secret! {
    /// A message as it came, with every secret that is in it.
    RawMessage(Vec<u8>) exposes [u8]
}
