//! Checks a secret against a hash that is costly enough not to serve for guessing, and not so costly that it holds up the host.

use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use lanyard_policy::Secret;

/// Least memory of a hash, in KiB: the least that OWASP's Password Storage Cheat Sheet recommends for Argon2id.
const LEAST_MEMORY: u32 = 7_168;
/// Least memory times passes, in KiB: 7,168 KiB at five passes, from the same table.
const LEAST_WORK: u64 = 35_840;
/// Most memory of a hash, in KiB: what RFC 9106, 4, recommends where memory is scarce. It is the host's, once for each of
/// [`Capacity::verifications`](crate::Capacity::verifications).
const MOST_MEMORY: u32 = 65_536;
/// Most memory times passes, in KiB: about a second of computing, which no deadline can interrupt.
const MOST_WORK: u64 = 1_048_576;
/// Most lanes. They are computed one after another, and cost no more than one.
const MOST_LANES: u32 = 16;
/// Longest PHC string that is looked at.
const MOST_BYTES: usize = 512;

/// Why a plugin's hash is not used. Not an answer to the person: neither right nor wrong password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("`secret.verify` was handed something that is not a PHC string of a hash")]
    Malformed,
    #[error("`secret.verify` was handed a hash by another algorithm than argon2id, version 19")]
    Algorithm,
    #[error(
        "`secret.verify` was handed a hash that costs too little: at least {LEAST_MEMORY} KiB of memory, and memory times \
         passes at least {LEAST_WORK} KiB, are required"
    )]
    Cheap,
    #[error(
        "`secret.verify` was handed a hash that costs too much: at most {MOST_MEMORY} KiB of memory, memory times passes at \
         most {MOST_WORK} KiB, and {MOST_LANES} lanes are allowed"
    )]
    Dear,
}

/// A hash that was looked at and may be computed.
#[derive(Debug)]
pub(crate) struct Verification {
    hash: PasswordHash,
}

impl Verification {
    pub(crate) fn parse(phc: String) -> Result<Self, Refusal> {
        if phc.len() > MOST_BYTES {
            return Err(Refusal::Malformed);
        }
        let hash = PasswordHash::new(&phc).map_err(|_| Refusal::Malformed)?;
        if hash.algorithm != Algorithm::Argon2id.ident()
            || hash.version != Some(u32::from(Version::V0x13))
        {
            return Err(Refusal::Algorithm);
        }
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err(Refusal::Malformed);
        }
        let params = Params::try_from(&hash).map_err(|_| Refusal::Malformed)?;
        let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
        if params.m_cost() < LEAST_MEMORY || work < LEAST_WORK {
            return Err(Refusal::Cheap);
        }
        if params.m_cost() > MOST_MEMORY || work > MOST_WORK || params.p_cost() > MOST_LANES {
            return Err(Refusal::Dear);
        }
        Ok(Self { hash })
    }

    /// A secret that came out of a record matches nothing.
    pub(crate) fn run(&self, secret: &Secret) -> bool {
        !secret.is_redacted()
            && Argon2::default()
                .verify_password(secret.expose().as_bytes(), &self.hash)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::CustomizedPasswordHasher;

    use super::*;

    fn hash(algorithm: Algorithm, memory: u32, passes: u32, lanes: u32) -> String {
        let params = Params::new(memory, passes, lanes, None).unwrap();
        Argon2::default()
            .hash_password_customized(
                b"correct horse",
                b"0123456789abcdef",
                Some(algorithm.as_str()),
                Some(Version::V0x13.into()),
                params,
            )
            .unwrap()
            .to_string()
    }

    fn refusal(phc: &str) -> Refusal {
        Verification::parse(phc.to_owned()).unwrap_err()
    }

    #[test]
    fn an_ordinary_hash_tells_right_from_wrong() {
        let phc = hash(Algorithm::Argon2id, 19_456, 2, 1);
        let verification = Verification::parse(phc).unwrap();
        assert!(verification.run(&Secret::new("correct horse")));
        assert!(!verification.run(&Secret::new("Correct horse")));
        assert!(!verification.run(&Secret::new("")));
        assert!(!verification.run(&Secret::redacted()));
    }

    #[test]
    fn a_hash_that_serves_for_guessing_is_refused() {
        for (memory, passes) in [(8, 1), (7_167, 10), (7_168, 4)] {
            let phc = hash(Algorithm::Argon2id, memory, passes, 1);
            assert_eq!(refusal(&phc), Refusal::Cheap, "{phc}");
        }
        let accepted = hash(Algorithm::Argon2id, 7_168, 5, 1);
        assert!(Verification::parse(accepted).is_ok());
    }

    #[test]
    fn a_hash_that_would_hold_up_the_host_is_refused() {
        for parameters in [
            "m=65537,t=1,p=1",
            "m=4294967295,t=4294967295,p=1",
            "m=65536,t=17,p=1",
            "m=65536,t=2,p=17",
        ] {
            let phc = format!(
                "$argon2id$v=19${parameters}$MDEyMzQ1Njc4OWFiY2RlZg$c2l4dGVlbiBieXRlcyEhIQ"
            );
            assert_eq!(refusal(&phc), Refusal::Dear, "{phc}");
        }
    }

    #[test]
    fn what_is_no_hash_of_argon2id_is_refused() {
        for algorithm in [Algorithm::Argon2d, Algorithm::Argon2i] {
            let phc = hash(algorithm, 19_456, 2, 1);
            assert_eq!(refusal(&phc), Refusal::Algorithm, "{phc}");
        }
        let right = hash(Algorithm::Argon2id, 19_456, 2, 1);
        assert_eq!(refusal(&right.replace("v=19", "v=16")), Refusal::Algorithm);
        assert_eq!(refusal(&right.replace("$v=19", "")), Refusal::Algorithm);
        let (without_hash, _) = right.rsplit_once('$').unwrap();
        for malformed in ["", "correct horse", without_hash, &right.repeat(10)] {
            assert_eq!(refusal(malformed), Refusal::Malformed, "{malformed}");
        }
    }
}
